"""`lightskip train` and `lightskip evaluate` on a small sample, as a user starts them."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine

from pipeline.cli import main
from pipeline.training import Progress

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = "--network_def#channels [4,8,16] --window [32,32,16] --precision float32 --device cpu --logging_file False"
QUICK = f"--dataset_dir data --fold 1 {SMALL} --patch [16,16,16] --val_interval 1"


@pytest.fixture
def bundle(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle ``shapes`` in the working directory, beside the sample dataset in ``data``."""
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes" / "configs", tmp_path / "shapes" / "configs")
    (tmp_path / "data").symlink_to(sample)
    monkeypatch.chdir(tmp_path)
    return Path("shapes")


@pytest.mark.slow
@pytest.mark.usefixtures("own_process", "bundle")
@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_training_goes_on_and_is_evaluated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Progress._start_epoch

    def interrupted(self: Progress, engine: Engine) -> None:
        if engine.state.epoch == 2:
            signal.raise_signal(signal.SIGINT)
        start(self, engine)

    train = ["train", "shapes", *QUICK.split(), "--epochs", "3"]
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "_start_epoch", interrupted)
        assert main(train) == 130
    told = capsys.readouterr().err.splitlines()[-2:]
    assert told[0].startswith("continue with: lightskip train shapes --dataset_dir data ")
    assert told[0].endswith(" --epochs 3 --resume True")
    assert told[1] == "interrupted"

    assert main([*train, "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    with Path("shapes/runs/fold_1/history.csv").open(newline="") as file:
        dice = [float(row["val_mean_dice"]) for row in csv.DictReader(file)]
    assert len(dice) == 3
    best = f"(validation Dice {max(dice):.4f}, epoch {dice.index(max(dice)) + 1} of 3)"
    assert f"best weights: shapes/runs/fold_1/model.pt  {best}" in lines
    assert lines[-1].startswith("next:         lightskip evaluate shapes --dataset_dir data --fold 1 ")

    assert main(["evaluate", "shapes", "--dataset_dir", "data", "--fold", "1", *SMALL.split()]) == 0
    assert (
        "weights: shapes/runs/fold_1/model.pt, of the only fold-1 training fold_1 (fold 1, best Dice"
        in capsys.readouterr().out
    )
    assert Path("shapes/evaluation/fold_1/summary.json").is_file()


@pytest.mark.usefixtures("own_process", "bundle")
@pytest.mark.filterwarnings("ignore")
def test_a_mistake_that_only_the_run_can_tell_ends_with_its_message_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "shapes", *QUICK.split(), "--patch", "[17,16,16]"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert told[0].startswith("error: shapes/configs/train.json: found patch [17, 16, 16]; expected 3 whole numbers")
    assert not Path("shapes/runs").exists()


def started_ranks(bundle: Path, run: str) -> subprocess.Popen[str]:
    """A training in two processes that does nothing but what ``run``, an expression, says."""
    config: dict[str, Any] = {"run": [f"${run}"], "training": "%run", "ckpt_dir": "run", "dataset_dir": "data"}
    for name in ("train", "evaluate"):
        (bundle / "configs" / f"{name}.json").write_text(json.dumps({**config, "evaluating": "%run"}))
    (bundle / "configs" / "multi_gpu_train.json").write_text(
        json.dumps({"imports": ["$import os", "$import sys", "$import time"]})
    )
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "train", str(bundle), "--processes", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )


def nothing_left_of(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.long
def test_several_processes_pass_their_exit_status_on(bundle: Path) -> None:
    with started_ranks(bundle, "sys.exit(int(os.environ['WORLD_SIZE']) + 3)") as ranks:
        out, _ = ranks.communicate(timeout=600)
    assert ranks.returncode == 5, out
    assert out.startswith(
        "python -m torch.distributed.run --standalone --nproc_per_node 2 -m monai.bundle run training "
    )
    assert "next:" not in out
    assert nothing_left_of(ranks.pid)


@pytest.mark.long
@pytest.mark.parametrize("whole_group", [True, False], ids=["as Ctrl-C in a terminal", "the parent alone"])
def test_an_interrupt_ends_all_processes(bundle: Path, whole_group: bool) -> None:
    with started_ranks(bundle, "print('run', 'ning') or time.sleep(600)") as ranks:
        assert ranks.stdout is not None
        running = 0
        for line in ranks.stdout:
            running += line.startswith("run ning")
            if running == 2:
                break
        (os.killpg if whole_group else os.kill)(ranks.pid, signal.SIGINT)
        out, _ = ranks.communicate(timeout=600)
    assert ranks.returncode == 130, out
    assert out.endswith("interrupted\n")
    deadline = time.monotonic() + 300
    while not nothing_left_of(ranks.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert nothing_left_of(ranks.pid)
