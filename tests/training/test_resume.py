"""A training that is killed and resumed, as a user does it: MONAI's own runner, the rendered config, SIGKILL."""

import csv
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import torch

from pipeline.data.sample import make_sample

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "bundles" / "synthetic_shapes" / "configs" / "train.json"
SMALL = {
    "epochs": "4",
    "val_interval": "1",
    "patch": "[16, 16, 16]",
    "window": "[32, 32, 32]",
    "samples_per_case": "1",
    "network_def#channels": "[4, 8, 16]",
    "network_def#convs_per_level": "[1, 1, 1]",
}


def words(sample, ckpt_dir, **overrides):
    options = {"config_file": str(CONFIG), "dataset_dir": str(sample), "ckpt_dir": str(ckpt_dir), **SMALL, **overrides}
    arguments = [text for key, value in options.items() for text in (f"--{key}", value)]
    return ["-m", "monai.bundle", "run", "training", *arguments]


def kill_after_first_epoch(folder, ended):
    """Kill the training that writes into a folder; without one, wait until ``ended`` is set."""
    history, last = folder / "history.csv", folder / "last.pt"
    while not ended.wait(0.005):
        # The first checkpoint is written after the first row: without one there is nothing to resume from.
        if last.is_file() and history.is_file() and rows_of(history):
            # The training is a child of the warm process, which runs one program at a time.
            warm = [child for child in psutil.Process().children() if "warm_start.py" in " ".join(child.cmdline())]
            (training,) = [program for process in warm for program in process.children()]
            training.kill()
            break


def rows_of(history):
    with history.open(newline="") as file:
        return list(csv.DictReader(file))


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_sample(tmp_path_factory.mktemp("resume") / "sample", cases=5, scans=0, folds=5).parent


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only there is the training a child of the warm process")
def test_a_killed_training_ends_as_if_it_had_not_been(sample, tmp_path, warm_start):
    def finish(ckpt_dir, **overrides):
        done = warm_start(*words(sample, ckpt_dir, **overrides), cwd=sample.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    finish(unbroken)

    # After the first of four epochs: a busy machine may look seconds later, when the training is further on.
    ended = threading.Event()
    with ThreadPoolExecutor(1) as others:
        killed = others.submit(kill_after_first_epoch, broken, ended)
        done = warm_start(*words(sample, broken), cwd=sample.parent)
        ended.set()
        killed.result()
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    assert load(broken / "last.pt")["epoch"] in (1, 2, 3)
    assert len(rows_of(broken / "history.csv")) < 4
    assert "resuming after epoch" in finish(broken, resume="true")

    expected, resumed = rows_of(unbroken / "history.csv"), rows_of(broken / "history.csv")
    assert [row["epoch"] for row in resumed] == ["1", "2", "3", "4"]
    for column in ("train_loss", "val_mean_dice", "learning_rate", "samples_seen"):
        values = [float(row[column]) for row in resumed]
        assert values == pytest.approx([float(row[column]) for row in expected], abs=1e-6), column
    assert len({row["train_loss"] for row in expected}) == 4
    for name in ("model.pt", "last.pt"):
        ours, theirs = load(broken / name), load(unbroken / name)
        if name == "last.pt":
            assert (ours["best_metric"], ours["best_epoch"]) == (theirs["best_metric"], theirs["best_epoch"])
            ours, theirs = ours["network"], theirs["network"]
        assert list(ours) == list(theirs)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert not list(broken.glob("previous_*"))
