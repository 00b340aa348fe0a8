"""Dice and the scores of membranes, of maps by hand."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import membranes
import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.evaluation.membranes import measure_membranes

REFERENCE = np.zeros((9, 9), bool)
REFERENCE[4] = True


def probabilities(samples: int) -> np.ndarray:
    """A border that leaks at its end with one pass, and is whole with more."""
    found = np.where(REFERENCE, 0.8, 0.1)
    found[4, 0] = 0.8 if samples > 1 else 0.2
    return found


def test_each_training_and_number_of_passes_has_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Any, ...]] = []

    @contextmanager
    def open_evaluation(*arguments: Any) -> Iterator[str]:
        asked.append(arguments)
        yield "session"

    monkeypatch.setattr(membranes, "open_evaluation", open_evaluation)
    monkeypatch.setattr(membranes, "find_membranes", lambda _, samples: iter([(probabilities(samples), REFERENCE)]))
    words = ["membranes.py", "--dataset_dir", str(tmp_path), "--runs", str(tmp_path), "--trainings", "one", "two"]
    monkeypatch.setattr(sys, "argv", [*words, "--threads", "1", "-o", str(tmp_path / "found.json")])
    assert membranes.main() == 0
    assert [arguments[1] for arguments in asked] == [tmp_path / "one" / "model.pt", tmp_path / "two" / "model.pt"]
    text = (tmp_path / "found.json").read_text()
    assert str(tmp_path) not in text
    rows = json.loads(text)["rows"]
    assert [(row["training"], row["samples"]) for row in rows] == [("one", 1), ("one", 8), ("two", 1), ("two", 8)]
    # 8 of 9 pixels, and all.
    assert [row["dice"] for row in rows[:2]] == [pytest.approx(2 * 8 / 17), 1.0]
    # The border: 0.1 is the limit.
    assert [row["unsure"] for row in rows[:2]] == [pytest.approx(9 / 81)] * 2
    leaking = measure_membranes(probabilities(1), REFERENCE)
    assert rows[0]["v_rand"] == pytest.approx(leaking.v_rand.v_rand)
    assert rows[1]["v_rand"] == rows[1]["v_info"] == pytest.approx(1)


def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("model.pt", found="nothing", expected="weights", remedy="train")

    monkeypatch.setattr(membranes, "measure_weights", refuse)
    monkeypatch.setattr(sys, "argv", ["membranes.py", "--dataset_dir", str(tmp_path), "--trainings", "one"])
    assert membranes.main() == 2
    assert capsys.readouterr().out.startswith("error: model.pt: found nothing")
