"""The file that says what a training started from, and its frozen epochs."""

import json
import logging
from typing import Any

import pytest
import torch

from pipeline.training import AverageWeights, StartedFrom
from pipeline.training.started_from import STARTED

RECORD = {"weights": "other/model.pt", "bundle": "other", "share": 1.0}


def weights_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items() if name.startswith("encoder.")}


def start(
    make_training: Any, folder: Any, *, frozen: int, resume: bool = False, record: bool = True, **options: Any
) -> Any:
    """Return a training with the handler, and the encoder's weights, and their average's, after each epoch."""
    training = make_training(resume=resume, **options)
    if record and not resume:
        training.network.started_from = {**RECORD, "whole": list(training.network.state_dict())}
    average = AverageWeights(training.network, 0.5)
    average.attach(training.trainer)
    settings = {"frozen_epochs": frozen, "learning_rate": 0.01}
    StartedFrom(
        folder, training.network, frozen_epochs=0 if resume else frozen, resume=resume, settings=settings
    ).attach(training.trainer)
    epochs: list[Any] = [(weights_of(training.network), weights_of(average.average))]
    training.trainer.add_event_handler(
        "EPOCH_COMPLETED", lambda: epochs.append((weights_of(training.network), weights_of(average.average)))
    )
    training.trainer.run()
    return epochs


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_encoder_and_its_average_are_bit_equal_after_the_frozen_epochs(
    make_training: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pipeline")
    epochs = start(make_training, tmp_path, frozen=2, epochs=3)
    (network, average), after_two, after_three = epochs[0], epochs[2], epochs[3]
    assert same(network, after_two[0])
    assert same(average, after_two[1])
    assert not same(network, after_three[0])
    assert not same(average, after_three[1])
    said = " ".join(caplog.messages)
    assert "epoch 1: the encoder is frozen up to and including epoch 2" in said
    assert "epoch 3: the encoder trains from now on" in said


def test_the_record_has_the_settings(make_training: Any, tmp_path: Any) -> None:
    start(make_training, tmp_path, frozen=0, epochs=1)
    content = json.loads((tmp_path / STARTED).read_text())
    assert content["weights"] == "other/model.pt"
    assert content["settings"] == {"frozen_epochs": 0, "learning_rate": 0.01}
    assert json.loads((tmp_path / "training.json").read_text())["started_from"] == "other"


def test_a_resumed_training_keeps_its_frozen_epochs(make_training: Any, tmp_path: Any) -> None:
    first = start(make_training, tmp_path, frozen=2, epochs=1)
    written = (tmp_path / STARTED).read_text()
    resumed = start(make_training, tmp_path, frozen=0, resume=True, epochs=3, longer="stretch")
    assert same(first[-1][0], resumed[1][0])  # epoch 2
    assert not same(first[-1][0], resumed[2][0])  # epoch 3
    assert (tmp_path / STARTED).read_text() == written
    assert json.loads((tmp_path / "training.json").read_text())["started_from"] == "other"


def test_a_training_from_new_weights_writes_no_record(make_training: Any, tmp_path: Any) -> None:
    start(make_training, tmp_path, frozen=0, record=False, epochs=1)
    assert not (tmp_path / STARTED).exists()
    assert "started_from" not in json.loads((tmp_path / "training.json").read_text())


def test_a_new_training_moves_the_record_away(make_training: Any, tmp_path: Any) -> None:
    start(make_training, tmp_path, frozen=0, epochs=1)
    start(make_training, tmp_path, frozen=0, record=False, epochs=1)
    assert not (tmp_path / STARTED).exists()
    assert (tmp_path / "previous_1" / STARTED).is_file()


def test_an_encoder_that_is_frozen_to_the_end_is_reported(
    make_training: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    epochs = start(make_training, tmp_path, frozen=5, epochs=2)
    assert same(epochs[0][0], epochs[2][0])
    assert "ended after 2 epochs, and its encoder was frozen for 5" in caplog.text
