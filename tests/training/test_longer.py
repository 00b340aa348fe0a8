"""A training that is resumed with another length: its rates, its files, and what is refused."""

import csv
import json
from math import cos, pi

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.training import AverageWeights

from .conftest import tiny_network

TOP = 0.01


def cosine(epoch, epochs):
    return TOP * (1 + cos(pi * epoch / epochs)) / 2


def planned(epochs):
    """Return the rates of a training from its start: an epoch at a tenth, then the cosine."""
    return [TOP / 10, *(cosine(epoch, epochs - 1) for epoch in range(epochs - 1))]


def rates(training):
    found = []
    training.trainer.add_event_handler("EPOCH_STARTED", lambda one: found.append(one.optimizer.param_groups[0]["lr"]))
    training.trainer.run()
    return found


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_two_ways_against_the_cosine(make_training, tmp_path, caplog):
    caplog.set_level("INFO")
    assert rates(make_training(epochs=4)) == pytest.approx(planned(4))
    assert planned(4)[-1] == pytest.approx(TOP * 0.25)
    stretched = rates(make_training(epochs=8, resume=True, longer="stretch"))
    assert stretched == pytest.approx(planned(8)[4:])
    assert "longer (stretch): 8 epochs instead of 4 epochs, from epoch 5 on" in caplog.text
    # cos(3 pi / 7) = 0.2225
    assert "learning rate 0.0025 in the last step, 0.00611 in the next" in caplog.text
    restarted = rates(make_training(epochs=12, resume=True, longer="restart"))
    assert restarted == pytest.approx([cosine(epoch, 4) for epoch in range(4)])
    assert restarted[0] == pytest.approx(TOP)
    assert [row.get("longer") for row in history(tmp_path)] == [
        "",
        "",
        "",
        "",
        "stretch",
        *[""] * 3,
        "restart",
        *[""] * 3,
    ]
    known = json.loads((tmp_path / "training.json").read_text())
    assert [(one["way"], one["after_epoch"], one["to"]["epochs"]) for one in known["lengthened"]] == [
        ("stretch", 4, 8),
        ("restart", 8, 12),
    ]
    assert known["lengthened"][1]["rate_after"] == pytest.approx(TOP)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stretch", "restart"])
def test_an_interrupted_lengthening_continues_as_an_unbroken_one(make_training, tmp_path, way):
    make_training(epochs=2).trainer.run()
    last = (tmp_path / "last.pt").read_bytes()
    whole = rates(make_training(epochs=6, resume=True, longer=way))
    weights = torch.load(tmp_path / "last.pt", weights_only=True)["network"]

    (tmp_path / "last.pt").write_bytes(last)
    broken = make_training(epochs=6, resume=True, longer=way)
    broken.trainer.add_event_handler("EPOCH_COMPLETED", lambda one: one.terminate() if one.state.epoch == 4 else 0)
    first = rates(broken)
    # The same words again, as the hint of an interrupted training has them; or without the way.
    again = rates(make_training(epochs=6, resume=True, longer=way))
    assert first + again == pytest.approx(whole)
    resumed = torch.load(tmp_path / "last.pt", weights_only=True)["network"]
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_a_restarted_training_is_stretched_from_its_restart(make_training):
    make_training(epochs=2).trainer.run()
    make_training(epochs=4, resume=True, longer="restart").trainer.run()
    found = rates(make_training(epochs=8, resume=True, longer="stretch"))
    assert found == pytest.approx([cosine(epoch, 6) for epoch in range(2, 6)])


def test_an_unfinished_training_may_become_shorter(make_training):
    first = make_training(epochs=8)
    first.trainer.add_event_handler("EPOCH_COMPLETED", lambda one: one.terminate() if one.state.epoch == 2 else 0)
    first.trainer.run()
    assert rates(make_training(epochs=5, resume=True, longer="stretch")) == pytest.approx(planned(5)[2:])


def test_the_files_before_are_kept(make_training, tmp_path):
    make_training(epochs=2, planned=[0.2, 0.5]).trainer.run()
    before = {name: (tmp_path / name).read_bytes() for name in ("model.pt", "last.pt", "history.csv", "training.json")}
    better = make_training(epochs=3, planned=[0, 0, 0.9], resume=True, longer="restart")
    better.trainer.run()
    assert {name: (tmp_path / "previous_1" / name).read_bytes() for name in before} == before
    assert (tmp_path / "model.pt").read_bytes() != before["model.pt"]


def test_a_worse_validation_after_a_restart_leaves_the_best_weights(make_training, tmp_path):
    make_training(epochs=2, planned=[0.2, 0.9]).trainer.run()
    before = (tmp_path / "model.pt").read_bytes()
    resumed = make_training(epochs=4, planned=[0.2, 0.9, 0.3, 0.8], resume=True, longer="restart")
    resumed.trainer.run()
    assert (tmp_path / "model.pt").read_bytes() == before
    assert (resumed.validator.state.best_metric, resumed.validator.state.best_metric_epoch) == (0.9, 2)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (
            {"epochs": 6, "resume": True},
            "a training of 3 epochs (3 epochs done, the learning rate at 0.005), and now 6",
        ),
        ({"epochs": 2, "resume": True, "longer": "stretch"}, "a length of 2 epochs, and 3 epochs done"),
        ({"epochs": 3, "resume": True, "longer": "restart"}, "the length that the training has already: 3 epochs"),
        ({"epochs": 6, "longer": "restart"}, "longer restart of a new training"),
        ({"resume": True, "minutes": 1, "longer": "stretch"}, "--longer stretch with a time limit"),
    ],
)
def test_what_is_refused_leaves_the_training(make_training, tmp_path, options, found):
    make_training(epochs=3).trainer.run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError) as raised:
        make_training(**options).trainer.run()
    assert found in str(raised.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_refusal_has_the_next_rate_of_each_way(make_training):
    make_training(epochs=3).trainer.run()
    with pytest.raises(InputError) as raised:
        make_training(epochs=6, resume=True).trainer.run()
    # (1 + cos(2 pi / 5)) / 2 = 0.6545
    assert "resume with --epochs 3; or add --longer stretch" in str(raised.value)
    assert "planned for this length from its start, next rate 0.00655)" in str(raised.value)
    assert "to 0 over what is added, next rate 0.01)" in str(raised.value)


def test_a_checkpoint_of_an_earlier_version_has_its_length_in_its_schedule(make_training, tmp_path):
    make_training(epochs=3).trainer.run()
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    for key in ("length", "rate"):
        del state[key]
    torch.save(state, tmp_path / "last.pt")
    with pytest.raises(InputError, match="a training of 3 epochs"):
        make_training(epochs=6, resume=True).trainer.run()
    assert rates(make_training(epochs=6, resume=True, longer="stretch")) == pytest.approx(planned(6)[3:])


def test_without_validations_the_last_average_is_the_model(make_training, tmp_path, caplog):
    caplog.set_level("INFO")
    network = tiny_network()
    average = AverageWeights(network, 0.3)
    training = make_training(epochs=3, network=network, average=average.average, validate=False)
    average.attach(training.trainer)
    training.trainer.run()
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    expected = average.average.state_dict()
    # The average is attached behind the checkpoint here: that of the last step is compared with what is resumed.
    assert all(torch.equal(saved[name], last["average"][name]) for name in expected)
    assert all(torch.allclose(saved[name], expected[name]) for name in expected)
    assert not all(torch.equal(saved[name], last["network"][name]) for name in expected)
    assert (last["best_metric"], last["best_epoch"]) == (-1.0, -1)
    known = json.loads((tmp_path / "training.json").read_text())
    assert (known["trained_cases"], known["best_dice"], known["finished"]) == (5, None, True)
    assert {row["val_cases"] for row in history(tmp_path)} == {"0"}
    assert {row["val_mean_dice"] for row in history(tmp_path)} == {""}
    assert "training on all 5 cases, not validated" in caplog.text
    assert "trained on all 5 cases, not validated; the weights of the end" in caplog.text
