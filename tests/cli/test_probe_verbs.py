from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pipeline.probe
from pipeline.cli import main


def test_probe_passes_its_options_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    results = SimpleNamespace(format_table=lambda: "a table", format_levels=lambda: "levels")
    done = SimpleNamespace(notes=("a note",), weights="the weights", results=results, files=(Path("o/cases.csv"),))

    def record(*args: Any, **named: Any) -> Any:
        given.append((args, named))
        return done

    monkeypatch.setattr(pipeline.probe, "probe_bundle", record)
    words = "-o o --checkpoint c --fold 1 --dataset_dir d --probes off maps=2 --levels 0 2 --maps --cases x y --seed 3"
    assert main(["probe", "x/b", *words.split(), "--set", "precision=float32", "val#x=1"]) == 0
    out, err = capsys.readouterr()
    assert out == "the weights\na table\n\nlevels\no/cases.csv\n"
    assert err == "note: a note\n"
    assert main(["probe", "x/b", "-o", "o"]) == 0
    nothing: dict[str, Any] = {"checkpoint": None, "training": None, "fold": None, "dataset_dir": None, "levels": None}
    assert given == [
        (
            (Path("x/b"), Path("o")),
            {
                "checkpoint": Path("c"),
                "training": None,
                "fold": 1,
                "dataset_dir": Path("d"),
                "probes": ["off", "maps=2"],
                "levels": [0, 2],
                "maps": True,
                "cases": ["x", "y"],
                "seed": 3,
                "settings": ["precision=float32", "val#x=1"],
            },
        ),
        (
            (Path("x/b"), Path("o")),
            {
                **nothing,
                "probes": ("off", "shuffle", "mean", "maps=1"),
                "maps": False,
                "cases": [],
                "seed": 0,
                "settings": [],
            },
        ),
    ]


def test_bad_input_exits_with_2_and_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["probe", str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.count("error:") == 1
    assert "found no such folder" in err
    assert list(tmp_path.iterdir()) == []
