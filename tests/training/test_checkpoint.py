import logging
import os
import socket

import pytest
import torch
from monai.optimizers import WarmupCosineSchedule
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.networks.spec_file import read_outputs, read_spec
from pipeline.training import AverageWeights

KEYS = {"network", "optimizer", "optimizer_type", "lr_scheduler", "epoch", "iteration", "best_metric", "best_epoch"}
KEYS |= {"network_spec", "length", "rate"}


def tiny_network():
    torch.manual_seed(0)
    return VNet(2, 1, 3, channels=(2, 4), norm="instance", skip="sat")


def load(path):
    return torch.load(path, weights_only=True)


def same(first, second):
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def weights_after_each_epoch(training):
    weights = []
    training.trainer.add_event_handler(
        "EPOCH_COMPLETED",
        lambda: weights.append({name: value.clone() for name, value in training.network.state_dict().items()}),
    )
    training.trainer.run()
    return weights


def learning_rates(training):
    rates = []
    training.trainer.add_event_handler(
        "EPOCH_STARTED", lambda engine: rates.append(engine.optimizer.param_groups[0]["lr"])
    )
    training.trainer.run()
    return rates


def schedule_of(epochs):
    """Return the learning rates of an uninterrupted training by epoch, from MONAI's schedule alone."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule = WarmupCosineSchedule(optimizer, warmup_steps=1, t_total=epochs, warmup_multiplier=0.1)
    return [0.01 * schedule.lr_lambda(epoch) for epoch in range(epochs)]


def test_contents(make_training, tmp_path):
    training = make_training(epochs=3, planned=[0.2, 0.5, 0.4])
    weights = weights_after_each_epoch(training)
    last = load(tmp_path / "last.pt")
    assert set(last) == KEYS
    assert same(last["network"], weights[2])
    assert same(load(tmp_path / "model.pt"), weights[1])
    assert (last["epoch"], last["iteration"]) == (3, 9)  # five cases make three batches of two
    assert (last["best_metric"], last["best_epoch"]) == (0.5, 2)
    step = training.optimizer.state_dict()["state"][0]["step"]
    assert last["optimizer"]["state"][0]["step"] == step == 9
    assert last["network_spec"] == read_spec(tmp_path / "model.pt") == training.network.spec


@pytest.mark.parametrize(
    ("identity", "outputs"),
    [
        ({"labels": {"spleen": 2, "background": 0, "liver": 1}}, ["background", "liver", "spleen"]),
        ({"labels": {"background": 0, "a": 1}, "regions": ["whole: a, b", "core: b"]}, ["whole", "core"]),
        ({"fold": 0}, None),
    ],
)
def test_the_weights_name_their_outputs(make_training, tmp_path, identity, outputs):
    make_training(epochs=1, identity=identity).trainer.run()
    assert read_outputs(tmp_path / "model.pt") == outputs


def test_a_network_of_another_make_has_no_spec(make_training, tmp_path):
    make_training(epochs=1, network=torch.nn.Conv2d(1, 3, 1)).trainer.run()
    assert "network_spec" not in load(tmp_path / "last.pt")
    assert (tmp_path / "model.pt").exists()
    assert not (tmp_path / "model.json").exists()


@pytest.mark.parametrize(
    ("planned", "best"),
    [([0.1, 0.2, 0.3], 3), ([0.3, 0.2, 0.1], 1), ([0.1, 0.3, 0.3], 2), ([0.0, 0.0, 0.0], 1)],
)
def test_best_weights_change_only_when_the_metric_improves(make_training, tmp_path, planned, best):
    weights = weights_after_each_epoch(make_training(epochs=3, planned=planned))
    assert same(load(tmp_path / "model.pt"), weights[best - 1])


def test_without_a_validation_there_are_no_best_weights_yet(make_training, tmp_path):
    make_training(epochs=1, interval=2).trainer.run()
    assert load(tmp_path / "last.pt")["best_epoch"] == -1
    assert not (tmp_path / "model.pt").exists()


def test_a_worse_validation_after_a_resume_leaves_the_best_weights(make_training, tmp_path):
    planned = [0.2, 0.9, 0.3, 0.8, 0.95]
    make_training(epochs=2, planned=planned).trainer.run()
    before = (tmp_path / "model.pt").read_bytes()

    resumed = make_training(epochs=4, planned=planned, resume=True, longer="stretch")
    resumed.trainer.run()
    assert (tmp_path / "model.pt").read_bytes() == before
    assert (resumed.validator.state.best_metric, resumed.validator.state.best_metric_epoch) == (0.9, 2)

    better = make_training(epochs=5, planned=planned, resume=True, longer="stretch")
    better.trainer.run()
    assert same(load(tmp_path / "model.pt"), better.network.state_dict())
    assert load(tmp_path / "last.pt")["best_epoch"] == 5


def test_a_broken_training_ends_where_the_unbroken_one_does(make_training, tmp_path):
    unbroken = make_training(epochs=4)
    unbroken.trainer.run()
    whole = load(tmp_path / "last.pt")

    broken = make_training(epochs=4)
    broken.trainer.add_event_handler(
        "EPOCH_COMPLETED", lambda engine: engine.terminate() if engine.state.epoch == 2 else 0
    )
    broken.trainer.run()
    assert load(tmp_path / "last.pt")["epoch"] == 2
    torch.rand(100)
    make_training(epochs=4, resume=True).trainer.run()
    resumed = load(tmp_path / "last.pt")

    assert same(resumed["network"], whole["network"])
    assert resumed["lr_scheduler"] == whole["lr_scheduler"]
    assert resumed["iteration"] == whole["iteration"] == 12
    for mine, theirs in zip(resumed["optimizer"]["state"].values(), whole["optimizer"]["state"].values(), strict=True):
        assert same(mine, theirs)


def test_more_epochs_on_a_resume_follow_the_longer_schedule(make_training):
    short, long = schedule_of(3), schedule_of(6)
    assert learning_rates(make_training(epochs=3)) == pytest.approx(short)
    assert learning_rates(make_training(epochs=6, resume=True, longer="stretch")) == pytest.approx(long[3:])


def test_resuming_a_finished_training_changes_nothing(make_training, tmp_path):
    make_training(epochs=2).trainer.run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    make_training(epochs=2, resume=True).trainer.run()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_resume_with_nothing_left_says_so(make_training, caplog):
    make_training(epochs=2).trainer.run()
    resumed = make_training(epochs=2, resume=True)
    weights = weights_after_each_epoch(resumed)
    assert weights == []
    assert "nothing left to do: 2 of 2 epochs are done; raise --epochs" in caplog.text


def test_a_resume_before_the_first_validation_knows_no_best(make_training, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    make_training(epochs=1, interval=2).trainer.run()
    make_training(epochs=2, interval=2, resume=True, longer="stretch").trainer.run()
    assert f"resuming after epoch 1, no validation so far: {tmp_path / 'last.pt'}" in caplog.text
    make_training(epochs=3, interval=2, resume=True, longer="restart").trainer.run()
    assert "resuming after epoch 2, best so far 0." in caplog.text


def test_tensorboard_files_of_the_earlier_training_are_set_aside(make_training, tmp_path):
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    earlier = {
        "events.out.tfevents.1700000000.host.1.0",
        "events.out.tfevents.4000000000.host.1.1",  # of a resume that wrote no checkpoint any more
        f"events.out.tfevents.1700000000.{socket.gethostname()}.{os.getpid()}.0",  # a container counts from 1 again
    }
    for name in (*earlier, "notes.txt"):
        (folder / name).write_text("earlier")
    make_training(epochs=1).trainer.run()
    assert len(list(folder.iterdir())) == 4, "there was no earlier training yet"

    # The recipe's own handler makes its writer before the training starts.
    writer = SummaryWriter(folder)
    make_training(epochs=1).trainer.run()
    writer.add_scalar("loss", 1.0, 1)
    writer.close()
    aside = tmp_path / "previous_1" / "tensorboard"
    assert {path.name for path in aside.iterdir()} == earlier
    (own,) = folder.glob("events*")
    (loss,) = EventAccumulator(str(own)).Reload().Scalars("loss")
    assert (loss.step, loss.value) == (1, 1.0)
    assert (folder / "notes.txt").exists()


def test_an_earlier_trainings_files_are_set_aside(make_training, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "notes.txt").write_text("mine")
    for number in (1, 2, 3):
        make_training(epochs=1).trainer.run()
        (tmp_path / "history.csv").write_text(f"training {number}")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.csv",
        "last.pt",
        "model.json",
        "model.pt",
        "notes.txt",
        "previous_1",
        "previous_2",
        "training.json",
    ]
    for number in (1, 2):
        aside = tmp_path / f"previous_{number}"
        assert sorted(path.name for path in aside.iterdir()) == [
            "history.csv",
            "last.pt",
            "model.json",
            "model.pt",
            "training.json",
        ]
        assert (aside / "history.csv").read_text() == f"training {number}"
    assert str(tmp_path / "previous_2") in caplog.text


def test_a_resume_sets_nothing_aside(make_training, tmp_path):
    make_training(epochs=1).trainer.run()
    make_training(epochs=1, resume=True).trainer.run()
    assert not list(tmp_path.glob("previous_*"))


def test_a_second_run_of_the_same_trainer_goes_on(make_training, tmp_path):
    training = make_training(epochs=1)
    training.trainer.run()
    training.trainer.state.max_epochs = 2
    training.trainer.run()
    assert load(tmp_path / "last.pt")["epoch"] == 2
    assert not list(tmp_path.glob("previous_*"))


def test_nothing_to_resume_from(make_training, tmp_path):
    with pytest.raises(InputError, match="no checkpoint to resume from") as error:
        make_training(resume=True).trainer.run()
    assert str(tmp_path / "last.pt") in str(error.value)
    assert "--resume" in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"channels": (4, 4)},
        {"channels": (2, 4), "skip": "concat"},
        {"channels": (2, 4), "skip": "none"},
    ],
)
def test_a_checkpoint_of_another_network_is_refused(make_training, tmp_path, options):
    make_training(epochs=1).trainer.run()
    before = (tmp_path / "last.pt").read_bytes()
    other = VNet(
        2, 1, 3, convs_per_level=(1, 1), decoder_convs_per_level=(1,), norm="instance", **{"skip": "sat", **options}
    )
    with pytest.raises(InputError, match="weights of a network with other layers or widths") as error:
        make_training(epochs=2, resume=True, network=other).trainer.run()
    assert str(tmp_path / "last.pt") in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("resume", [False, True])
def test_a_kill_while_writing_does_not_matter(make_training, tmp_path, resume):
    make_training(epochs=1).trainer.run()
    whole = (tmp_path / "last.pt").read_bytes()
    for name in (".1234.last.pt", ".1234.model.pt", "last.pt.tmp"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert load(tmp_path / "last.pt")["epoch"] == 1
    training = make_training(epochs=2, resume=resume, planned=[0.1, 0.9], longer="stretch" if resume else None)
    training.trainer.run()
    assert load(tmp_path / "last.pt")["epoch"] == 2
    assert same(load(tmp_path / "model.pt"), training.network.state_dict())


def test_writing_that_fails_leaves_the_file_before(make_training, tmp_path, monkeypatch):
    make_training(epochs=1).trainer.run()
    before = {name: (tmp_path / name).read_bytes() for name in ("last.pt", "model.pt")}

    def full_disk(content, stream):
        stream.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space left"):
        make_training(epochs=2, resume=True, planned=[0.1, 0.2], longer="stretch").trainer.run()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.pt")} == before


def test_equal_trainings_write_equal_bytes(make_training, tmp_path):
    make_training(epochs=1).trainer.run()
    before = {name: (tmp_path / name).read_bytes() for name in ("last.pt", "model.pt")}
    make_training(epochs=1).trainer.run()
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("part", [0.5, 0.0])
def test_a_checkpoint_that_is_not_whole_is_refused(make_training, tmp_path, part):
    make_training(epochs=1).trainer.run()
    whole = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(InputError, match="a file that PyTorch cannot load") as error:
        make_training(epochs=2, resume=True).trainer.run()
    assert str(tmp_path / "last.pt") in str(error.value)


@pytest.mark.parametrize(
    ("without", "found"),
    [(KEYS, "no best_epoch in it, as in a file that has only weights"), ({"optimizer"}, "no optimizer in it")],
)
def test_a_file_that_is_no_checkpoint_is_refused(make_training, tmp_path, without, found):
    training = make_training(epochs=1)
    training.trainer.run()
    state = load(tmp_path / "last.pt")
    content = training.network.state_dict() if without == KEYS else {k: v for k, v in state.items() if k not in without}
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(InputError, match=f"found {found};"):
        make_training(epochs=2, resume=True).trainer.run()


def test_a_training_is_resumed_by_itself_only(make_training, tmp_path):
    identity = {"fold": 0, "skip": ("sat", {"select": "hard"}), "labels": {"organ": 1}, "cases": ["a", "b"]}
    make_training(epochs=1, identity=identity).trainer.run()
    assert load(tmp_path / "last.pt")["identity"] == {**identity, "skip": ["sat", {"select": "hard"}]}
    make_training(epochs=2, identity=identity, resume=True, longer="stretch").trainer.run()
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(
        InputError, match="found the checkpoint of a training with fold 0; expected fold 1, as"
    ) as error:
        make_training(epochs=3, identity={**identity, "fold": 1}, resume=True).trainer.run()
    assert str(tmp_path / "last.pt") in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_a_checkpoint_without_an_identity_is_resumed(make_training, tmp_path):
    make_training(epochs=1).trainer.run()
    make_training(epochs=2, identity={"fold": 1}, resume=True, longer="stretch").trainer.run()
    assert load(tmp_path / "last.pt")["epoch"] == 2


def test_an_average_of_the_weights_is_the_model_and_is_resumed(make_training, tmp_path):
    def train(epochs, **options):
        network = tiny_network()
        averaging = AverageWeights(network, momentum=0.3)
        training = make_training(epochs=epochs, network=network, average=averaging.average, **options)
        averaging.attach(training.trainer)
        training.trainer.run()
        return network.state_dict(), averaging.average.state_dict()

    weights, average = train(2, planned=[0.1, 0.2])
    assert not torch.equal(weights["head.0.0.weight"], average["head.0.0.weight"])
    best = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(best[name], average[name]) for name in average)
    # Nothing left to train: what is loaded is what was saved.
    weights_again, average_again = train(2, planned=[0.1, 0.2], resume=True)
    assert all(torch.equal(weights[name], weights_again[name]) for name in weights)
    assert all(torch.equal(average[name], average_again[name]) for name in average)


def test_a_checkpoint_of_another_optimiser_is_refused(make_training, tmp_path):
    make_training(epochs=1).trainer.run()
    path = tmp_path / "last.pt"
    state = load(path)
    assert state["optimizer_type"] == "AdamW"
    torch.save(state | {"optimizer_type": "Muon"}, path)
    with pytest.raises(InputError, match=r"the state of Muon .* expected AdamW .* first run's optimizer"):
        make_training(epochs=2, resume=True).trainer.run()


@pytest.mark.parametrize("part", ["network", "average"])
def test_weights_that_are_not_finite_are_never_written(make_training, tmp_path, part):
    network = tiny_network()
    average = AverageWeights(network, 0.5)
    training = make_training(epochs=3, network=network, average=average.average)
    broken = network if part == "network" else average.average

    def ruin(engine):
        if engine.state.epoch == 2:
            with torch.no_grad():
                next(broken.parameters()).flatten()[0] = torch.nan

    training.validator.add_event_handler("EPOCH_COMPLETED", ruin)
    with pytest.raises(InputError, match=r"found weights that are not finite .* nothing was written"):
        training.trainer.run()
    assert load(tmp_path / "last.pt")["epoch"] == 1
    for name in ("last.pt", "model.pt"):
        content = load(tmp_path / name)
        weights = [*content.get("network", content).values(), *content.get("average", {}).values()]
        assert all(bool(value.isfinite().all()) for value in weights)


def test_a_state_that_is_not_finite_or_damaged_is_not_resumed(make_training, tmp_path):
    make_training(epochs=1).trainer.run()
    whole = load(tmp_path / "last.pt")
    name, first = next(iter(whole["network"].items()))
    moments = next(iter(whole["optimizer"]["state"].values()))
    broken = {0: {**moments, "exp_avg": moments["exp_avg"] * torch.nan}}
    for key, value, found in (
        ("network", {**whole["network"], name: first * torch.inf}, "weights that are not finite .* start a new"),
        ("network", {**whole["network"], name: first.double() + 1e200}, "weights that are not finite"),
        ("network", {**whole["network"], name: first.long()}, f"a tensor of int64: {name}"),
        ("optimizer", {**whole["optimizer"], "state": broken}, "weights that are not finite .* first in optimizer"),
        ("epoch", "1", r"epoch \(str\)"),
    ):
        torch.save({**whole, key: value}, tmp_path / "last.pt")
        with pytest.raises(InputError, match=rf"last\.pt: found {found}"):
            make_training(epochs=2, resume=True, longer="stretch").trainer.run()
