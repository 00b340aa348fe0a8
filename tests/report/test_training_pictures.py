"""The files that a tracked training leaves to look at."""

from pathlib import Path

import pytest

from pipeline.report import training_pictures
from pipeline.report.training_pictures import draw_training

HISTORY = (
    "epoch,train_loss,val_mean_dice,val_dice_liver,learning_rate,seconds,elapsed_seconds,samples_seen\n"
    "1,1.5,,,0.001,2.0,2.0,8\n2,1.25,0.5,0.5,0.001,2.0,4.0,16\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "history.csv").write_text(HISTORY)
    (tmp_path / "out").mkdir()
    return tmp_path / "fold_0"


def test_the_curve_and_the_page(folder: Path, tmp_path: Path) -> None:
    found = draw_training(folder, tmp_path / "out")
    assert [file.name for file in found] == ["report.html", "curve.png"]
    assert found[1].read_bytes().startswith(b"\x89PNG")
    assert "fold_0" in found[0].read_text(encoding="utf-8")


def test_without_matplotlib_there_is_the_page(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_pictures, "find_spec", lambda _name: None)
    assert [file.name for file in draw_training(folder, tmp_path / "out")] == ["report.html"]


def test_without_a_history_there_is_nothing(tmp_path: Path) -> None:
    assert draw_training(tmp_path, tmp_path) == []
