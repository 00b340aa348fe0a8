"""A real `lightskip fit` of seconds: two folds, interrupted in the first training, then continued."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.data.sample import make_sample

pytestmark = pytest.mark.slow
FIT = ["fit", "data", "-o", "run", "--folds", "all", "--fold-count", "2", "--hours", "0.006", "--device", "cpu"]
FIT += ["--memory", "2GB"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *FIT],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_from_a_dataset_to_an_ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_sample(tmp_path / "data", cases=4, scans=1, folds=2)
    first = start(tmp_path)
    while not (tmp_path / "run/bundle/runs/fold_0/last.pt").exists():
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    text, _ = first.communicate()
    assert first.returncode == 130, text
    assert "to continue, run the same command again" in text
    assert "Traceback" not in text
    assert not json.loads(Path("run/bundle/runs/fold_0/training.json").read_text())["finished"]

    second = start(tmp_path)
    text, _ = second.communicate()
    assert second.returncode == 0, text
    assert "[4/10] lightskip train run/bundle --fold 0 --device cpu --resume" in text
    epochs = [int(row["epoch"]) for row in rows_of(Path("run/bundle/runs/fold_0/history.csv"))]
    assert epochs == list(range(1, len(epochs) + 1))

    # Each case once, with the Dice that the evaluation of its own fold has.
    pooled = rows_of(Path("run/bundle/evaluation/cross_validation/cases.csv"))
    folds = [rows_of(Path(f"run/bundle/evaluation/folds/fold_{fold}/cases.csv")) for fold in (0, 1)]
    expected = {(row["case"], row["label"]): row["dice"] for rows in folds for row in rows}
    assert {(row["case"], row["label"]): row["dice"] for row in pooled} == expected
    assert len(pooled) == len(expected) == 4 * 3
    summary = json.loads(Path("run/bundle/evaluation/cross_validation/summary.json").read_text())
    assert summary["statistics"]["cross_validation"]["mean of labels"]["dice"]["interval"] is not None
    assert "sample_000" in Path("run/report.html").read_text()

    # Both networks, without naming them.
    assert main(["predict", "run/bundle", "data/imagesTs", "-o", "out"]) == 0
    report = json.loads(Path("out/report.json").read_text())
    assert len(report["checkpoints"] if "checkpoints" in report else report["weights"]) == 2
