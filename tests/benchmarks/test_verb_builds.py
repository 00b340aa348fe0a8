"""Whole commands of two checkouts are run at the same time, and their processor times are compared round by round."""

import argparse
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest


def test_builds_run_at_the_same_time_and_change_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import verb_builds  # noqa: PLC0415
    from processes import ProcessCost  # noqa: PLC0415

    (tmp_path / "imagesTr").mkdir()
    for name in ("a.nii.gz", "b.nii.gz", "._b.nii.gz"):
        (tmp_path / "imagesTr" / name).touch()
    ran: list[tuple[Path, str]] = []
    together = Barrier(2, timeout=60)

    def run(words: list[Any], _log: Path, *, folder: Path, **_: Any) -> ProcessCost:
        assert len(list(Path(words[words.index("predict") + 2]).iterdir())) == 2
        together.wait()
        ran.append((folder, words[2]))
        is_this, core = folder == verb_builds.HERE, int(words[2])
        return ProcessCost(0.0, (6.0 if is_this else 3.0) * core, 0)

    monkeypatch.setattr(verb_builds, "run_alone", run)
    monkeypatch.setattr(verb_builds, "list_cores", lambda: [1, 2, 3])
    options = argparse.Namespace(other=tmp_path, dataset_dir=tmp_path, rounds=2, epochs=1)
    found = verb_builds.measure_verb("predict", options)
    here, other = verb_builds.HERE, tmp_path.resolve()
    assert sorted(ran[:2]) == sorted([(here, "1"), (other, "2")])
    assert sorted(ran[2:]) == sorted([(here, "2"), (other, "1")])
    assert (found["this"].median, found["other"].median) == ((6 + 12) / 2, (3 + 6) / 2)
    assert found["ratio"].median == pytest.approx((6 / 6 + 12 / 3) / 2)


def test_one_core_is_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import verb_builds  # noqa: PLC0415

    (tmp_path / "imagesTr").mkdir()
    monkeypatch.setattr(verb_builds, "list_cores", lambda: [0])
    with pytest.raises(RuntimeError, match="one core only: expected two"):
        verb_builds.measure_verb("predict", argparse.Namespace(other=tmp_path, dataset_dir=tmp_path, rounds=1))
