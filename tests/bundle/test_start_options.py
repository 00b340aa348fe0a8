"""`lightskip train --from`: what it chooses, and what it refuses before anything is computed."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.bundle.launch import Launch, prepare
from pipeline.bundle.start_options import LENGTH_SHARE
from pipeline.bundle.words import parse_values
from pipeline.data.errors import InputError

SHAPES = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file in the place of weights, in the working directory, next to the bundle ``shapes`` with its data."""
    shutil.copytree(SHAPES, tmp_path / "shapes")
    items = [{"image": f"i{fold}.nii", "label": f"l{fold}.nii", "fold": fold} for fold in range(2)]
    data = tmp_path / "shapes" / "data"
    data.mkdir()
    for name in [str(item[key]) for item in items for key in ("image", "label")]:
        (data / name).touch()
    (data / "dataset.json").write_text(json.dumps({"training": items}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").touch()
    return tmp_path / "w.pt"


def launched(words: str, verb: str = "train") -> Launch:
    return prepare(verb, Path("shapes"), shlex.split(words))


def refusal(words: str, verb: str = "train") -> str:
    with pytest.raises(InputError) as raised:
        launched(words, verb)
    return str(raised.value)


def began_from(name: str, folder: Path, **settings: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "started_from.json").write_text(json.dumps({"weights": name, "whole": [], "settings": settings}))
    (folder / "last.pt").touch()


def test_the_length_is_planned_for_it() -> None:
    launch = launched("--from w.pt")
    assert parse_values(launch.settings) == {"start_from": "w.pt", "epochs": round(50 * LENGTH_SHARE)}
    assert launch.note.startswith("from: w.pt; learning_rate 0.003, epochs 25, half of the plan's 50")
    assert "--start_from w.pt" in launch.command


def test_own_settings_win() -> None:
    settings = parse_values(launched("--from w.pt --learning_rate 0.01 --epochs 7 --frozen_epochs 2").settings)
    assert settings == {"start_from": "w.pt", "learning_rate": 0.01, "epochs": 7, "frozen_epochs": 2}


def test_minutes() -> None:
    settings = parse_values(launched("--from w.pt --epochs '$None' --warmup_epochs '$None' --minutes 10").settings)
    assert settings["minutes"] == 10
    assert settings["epochs"] == "$None"


def test_monais_key_alone_changes_no_other_setting() -> None:
    assert parse_values(launched("--start_from w.pt").settings) == {"start_from": "w.pt"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--from nothing.pt", "--from nothing.pt: found no such file"),
        ("--start_from nothing.pt", "--from nothing.pt: found no such file"),
        ("--from synthetic_shape", "no bundle of this name"),
        ("--from w.pt --start_from w.pt", "found --start_from as well"),
        ("--frozen_epochs 2", "frozen_epochs 2 of a training from new weights"),
        ("--from w.pt --frozen_epochs -1", "found frozen_epochs -1"),
        ("--from w.pt --frozen_epochs 1.5", "found frozen_epochs 1.5"),
        ("--from w.pt --learning_rate 0", "found learning_rate 0"),
        ("--from w.pt --resume", "that started from new weights"),
    ],
)
def test_refusals(words: str, expected: str) -> None:
    assert expected in refusal(words)


def test_only_a_training_starts_from_weights() -> None:
    assert "lightskip train BUNDLE --from" in refusal("--from w.pt --checkpoint w.pt", "evaluate")


def test_resuming_keeps_the_settings_and_loads_nothing(weights: Path) -> None:
    began_from("w.pt", Path("shapes/runs/fold_0"), learning_rate=0.00123, epochs=11, minutes=None, frozen_epochs=3)
    launch = launched("--resume")
    assert parse_values(launch.settings) == {"resume": True, "learning_rate": 0.00123, "epochs": 11}
    assert "not loaded again" in launch.note
    assert parse_values(launched("--resume --epochs 20").settings)["epochs"] == 20
    # The same words as at the first start.
    again = launched(f"--from {weights} --resume")
    assert parse_values(again.settings) == {"resume": True, "learning_rate": 0.00123, "epochs": 11}


def test_resuming_from_other_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.pt").touch()
    began_from("v.pt", Path("shapes/runs/fold_0"))
    assert "that started from v.pt" in refusal("--from w.pt --resume")


def test_the_command_that_resumes_does_not_name_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a training that has started.
    monkeypatch.setitem(sys.modules, "monai.bundle", ModuleType("bundle"))
    launch = launched("--from w.pt")
    (Path("shapes/runs/fold_0")).mkdir(parents=True)
    Path("shapes/runs/fold_0/last.pt").touch()
    words = shlex.split(launch.resume_hint())
    assert "--start_from" not in words
    assert "--resume" in words
