"""A loss that is not a number ends a training, says where, and leaves what there was."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine

from pipeline.data.errors import InputError
from pipeline.training import StopDiverged
from pipeline.training.stop_diverged import MAX_OVERFLOWS


def train(folder, losses, *, scaler=None, epochs=2):
    """Run an engine whose steps have these losses, over and over; return the number of steps that it did."""
    done = []

    def step(engine, loss):
        done.append(loss)
        return {"loss": torch.tensor(loss)}

    engine = Engine(step)
    engine.state.rank = 0
    engine.scaler = scaler
    StopDiverged(folder).attach(engine)
    try:
        engine.run(losses, max_epochs=epochs)
    finally:
        train.steps = len(done)
    return len(done)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_one_such_loss_ends_it_and_the_file_says_where(tmp_path, loss):
    with pytest.raises(InputError, match=r"diverged: the loss is -?(nan|inf) in epoch 1, step 3 of 4"):
        train(tmp_path, [0.5, 0.4, loss, 0.3])
    assert train.steps == 3
    content = json.loads((tmp_path / "diverged.json").read_text())
    assert (content["epoch"], content["step"], content["loss"]) == (1, 3, str(loss))


def test_finite_losses_change_nothing_and_an_earlier_file_goes(tmp_path):
    (tmp_path / "diverged.json").write_text("{}")
    assert train(tmp_path, [1e30, -1e30, 0.0]) == 6
    assert not list(tmp_path.iterdir())


def test_float16_may_overflow_now_and_then_but_not_all_the_time(tmp_path):
    scaler = SimpleNamespace()
    assert train(tmp_path, [math.inf] * (MAX_OVERFLOWS - 1) + [0.5], scaler=scaler) == 2 * MAX_OVERFLOWS
    with pytest.raises(InputError, match=f"epoch 1, step {MAX_OVERFLOWS} of"):
        train(tmp_path, [math.inf] * (MAX_OVERFLOWS + 5), scaler=scaler)


def make_trained(folder, weights, *, scaler=None):
    """Return an engine whose network has these weights after its second step."""
    network = torch.nn.Linear(2, 1)

    def step(engine, batch):
        if engine.state.iteration == 2:
            with torch.no_grad():
                network.weight.copy_(torch.tensor([weights]))
        return {"loss": torch.tensor(0.5)}

    engine = Engine(step)
    engine.state.rank, engine.scaler, engine.network = 0, scaler, network
    engine.optimizer = torch.optim.SGD(network.parameters(), lr=0.25)
    StopDiverged(folder).attach(engine)
    return engine


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("scaler", [None, SimpleNamespace()], ids=["float32", "float16"])
def test_weights_that_an_epochs_last_step_made_infinite_end_it(tmp_path, value, scaler):
    saved = []
    engine = make_trained(tmp_path, [1.0, value], scaler=scaler)
    engine.add_event_handler("EPOCH_COMPLETED", lambda: saved.append(1))
    with pytest.raises(
        InputError, match=r"not finite, first in weight, in epoch 1, step 2 of 2 \(learning rate 0.25\)"
    ):
        engine.run([1, 2], max_epochs=3)
    assert saved == []  # later handlers, which validate and save, do not see them
    assert json.loads((tmp_path / "diverged.json").read_text())["learning_rate"] == 0.25


def test_the_last_finite_state_is_named(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"the last finite weights are in .*last\.pt: continue from them with --resume"
    ):
        make_trained(tmp_path, [math.nan, 0.0]).run([1, 2], max_epochs=3)


def test_the_step_is_counted_from_the_epochs_start(tmp_path):
    # A time limit may cut an epoch short, so that steps are no multiple of its length.
    engine = make_trained(tmp_path, [1.0, 1.0])
    engine.add_event_handler(
        "ITERATION_COMPLETED", lambda: engine.terminate_epoch() if engine.state.epoch == 1 else None
    )
    losses = iter([0.5, 0.5, math.nan])
    engine._process_function = lambda *_: {"loss": torch.tensor(next(losses))}
    with pytest.raises(InputError, match="in epoch 2, step 2 of 3"):
        engine.run([1, 2, 3], max_epochs=3)


@pytest.mark.parametrize(("broken", "words"), [((), "a training that has diverged"), ((1,), "in case case_1.nii.gz")])
def test_cases_and_their_voxels_are_named(tmp_path, broken, words):
    class Cases(torch.utils.data.Dataset):
        def __init__(self):
            self.data = [{"image": f"/scans/case_{number}.nii.gz"} for number in range(2)]

        def __len__(self):
            return 2

        def __getitem__(self, place):
            return {"image": torch.tensor([math.nan if place in broken else 1.0])}

    sampler = torch.utils.data.DistributedSampler(Cases(), num_replicas=1, rank=0)
    loader = torch.utils.data.DataLoader(Cases(), batch_size=2, sampler=sampler)
    engine = make_trained(tmp_path, [1.0, 1.0])
    engine._process_function = lambda *_: {"loss": torch.tensor(math.nan)}
    engine.data_loader = loader
    with pytest.raises(InputError) as raised:
        engine.run(loader, max_epochs=1)
    assert words in raised.value.found
    assert set(json.loads((tmp_path / "diverged.json").read_text())["cases"]) == {"case_0.nii.gz", "case_1.nii.gz"}


def test_other_processes_leave_the_message_to_the_first(tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("pipeline.training.distributed.wait_for_end", lambda: waits.append(1))
    engine = make_trained(tmp_path, [math.nan, 1.0])
    engine.state.rank = 1
    with pytest.raises(InputError):
        engine.run([1, 2], max_epochs=1)
    assert waits == [1]
    assert not list(tmp_path.iterdir())
