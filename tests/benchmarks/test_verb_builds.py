"""Whole commands of two checkouts are run in turn, and their processor times are compared round by round."""

import argparse
from pathlib import Path
from typing import Any

import pytest


def test_builds_take_turns_and_ratios_are_taken_within_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import verb_builds  # noqa: PLC0415
    from processes import ProcessCost  # noqa: PLC0415

    (tmp_path / "imagesTr").mkdir()
    for name in ("a.nii.gz", "b.nii.gz", "._b.nii.gz"):
        (tmp_path / "imagesTr" / name).touch()
    folders: list[Path] = []

    def run(words: list[Any], _log: Path, *, folder: Path, **_: Any) -> ProcessCost:
        folders.append(folder)
        assert len(list(Path(words[words.index("predict") + 2]).iterdir())) == 2
        seconds = (6.0 if folder == verb_builds.HERE else 3.0) * len(folders)
        return ProcessCost(0.0, seconds, 0)

    monkeypatch.setattr(verb_builds, "run_alone", run)
    options = argparse.Namespace(other=tmp_path, dataset_dir=tmp_path, rounds=2, epochs=1)
    found = verb_builds.measure_verb("predict", options)
    here, other = verb_builds.HERE, tmp_path.resolve()
    assert folders == [here, other, other, here]
    assert (found["this"].median, found["other"].median) == ((6 + 24) / 2, (6 + 9) / 2)
    assert found["ratio"].median == pytest.approx((6 / 6 + 24 / 9) / 2)
