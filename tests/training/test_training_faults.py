"""A training that runs out of memory, or loses a process, ends in one message with cases and settings."""

import pytest
import torch
from ignite.engine import Events

from pipeline.data.errors import InputError
from pipeline.training import distributed, training_faults

NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
KILLED = RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. ")


def fail(error):
    def handler():
        raise error

    return handler


def test_a_step_without_memory_says_what_to_set(make_training, tmp_path, caplog):
    training = make_training(epochs=2)
    training.trainer.add_event_handler(Events.ITERATION_STARTED(once=4), fail(NO_MEMORY))
    with pytest.raises(InputError) as raised:
        training.trainer.run()
    said = str(raised.value)
    assert "too little memory while training in epoch 2, step 1 of 3: CUDA out of memory" in said
    assert "set --batch to fewer than 2 cases per step" in said
    assert "lightskip plan choose them: --memory SIZE" in said
    assert f"continue with --resume from {tmp_path / 'last.pt'}" in said
    # Ignite logs errors, with a traceback.
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_validation_without_memory_says_so(make_training):
    training = make_training(epochs=1)
    training.validator.add_event_handler("ITERATION_STARTED", fail(MemoryError("no room")))
    with pytest.raises(InputError, match=r"while validating epoch 1: no room; .* a smaller --window"):
        training.trainer.run()


def test_a_killed_loading_process_is_one_message(make_training):
    training = make_training(epochs=1)
    training.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), fail(KILLED))
    with pytest.raises(
        InputError, match=r"ended by the system \(Killed\) while training in epoch 1, step 3 of 3; .*num_w"
    ):
        training.trainer.run()


@pytest.mark.parametrize("handled", [False, True])
def test_a_folder_that_was_removed_is_named(make_training, tmp_path, handled):
    lost = FileNotFoundError(2, "No such file or directory", str(tmp_path / "tensorboard" / "events"))
    error = RuntimeError("while another was handled") if handled else lost
    error.__context__ = lost if handled else None
    training = make_training(epochs=1)
    training.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), fail(error))
    with pytest.raises(InputError, match=r"something else has removed it.*nothing was saved yet") as raised:
        training.trainer.run()
    assert raised.value.where == tmp_path / "tensorboard" / "events"


def test_after_the_loss_of_another_process_this_one_waits_to_be_ended(monkeypatch, tmp_path):
    waits = []
    monkeypatch.setattr(training_faults, "has_lost_another", lambda error: "Connection closed by peer" in str(error))
    monkeypatch.setattr(training_faults, "wait_for_end", lambda: waits.append(1))
    found = training_faults.explain_training(None, RuntimeError("gloo: Connection closed by peer [::1]:123"), tmp_path)
    assert "another process of this training that has ended" in str(found)
    assert waits == [1]


def test_only_several_processes_can_lose_one():
    assert not distributed.has_lost_another(RuntimeError("Connection closed by peer"))
