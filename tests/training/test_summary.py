"""The summary of a training, written on the way and at its end."""

import json

import pytest
from ignite.engine import Events

IDENTITY = {"fold": 1, "seed": 7, "skip": "sat", "labels": {"a": 1}, "training": ["x.nii"]}


def summary(folder):
    return json.loads((folder / "training.json").read_text())


def test_a_finished_training_is_summed_up(make_training, tmp_path):
    make_training(epochs=3, planned=[0.2, 0.5, 0.4], identity=IDENTITY).trainer.run()
    assert summary(tmp_path) == {
        "fold": 1,
        "seed": 7,
        "skip": "sat",
        "epochs": 3,
        "planned": 3,
        "best_dice": 0.5,
        "best_epoch": 2,
        "finished": True,
        "length": {"epochs": 3, "minutes": None},
        # One epoch of warm-up, and the second of two on the cosine.
        "rate": pytest.approx(0.005),
    }


def test_an_interrupted_training_is_not_finished_and_a_resumed_one_is(make_training, tmp_path):
    training = make_training(epochs=3, planned=[0.2, 0.5, 0.4])

    def interrupt():
        raise KeyboardInterrupt

    training.trainer.add_event_handler(Events.EPOCH_STARTED(once=2), interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.trainer.run()
    assert (summary(tmp_path)["epochs"], summary(tmp_path)["finished"]) == (1, False)
    make_training(epochs=3, planned=[0.2, 0.5, 0.4], resume=True).trainer.run()
    assert (summary(tmp_path)["epochs"], summary(tmp_path)["finished"]) == (3, True)


def test_a_training_that_stops_early_is_finished(make_training, tmp_path):
    make_training(epochs=9, planned=[0.5, 0.4, 0.3] * 3, patience=2).trainer.run()
    assert (summary(tmp_path)["epochs"], summary(tmp_path)["planned"], summary(tmp_path)["finished"]) == (3, 9, True)


def test_without_a_validation_there_is_no_best(make_training, tmp_path):
    make_training(epochs=1, interval=2).trainer.run()
    assert (summary(tmp_path)["best_dice"], summary(tmp_path)["best_epoch"]) == (None, None)


def test_a_new_training_sets_the_summary_aside(make_training, tmp_path):
    make_training(epochs=1, planned=[0.25]).trainer.run()
    make_training(epochs=1, planned=[0.75]).trainer.run()
    assert summary(tmp_path)["best_dice"] == 0.75
    assert summary(tmp_path / "previous_1")["best_dice"] == 0.25
