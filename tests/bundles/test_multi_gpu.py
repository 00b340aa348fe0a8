"""Training in two processes, as a user starts it: what it computes is what one process computes."""

import copy
import csv
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, run

from pipeline.data.errors import InputError
from pipeline.data.sample import make_sample

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs"
TRAIN, MULTI = (str(CONFIGS / f"{name}.json") for name in ("train", "multi_gpu_train"))
SETTINGS = {
    "epochs": 2,
    "val_interval": 1,
    "fold": 1,  # four cases in training, and three in validation: unequal shares
    "precision": "float32",
    "network_def#channels": [4, 8, 16],
    "patch": [16, 16, 16],
    "window": [32, 32, 16],
}


@pytest.fixture(scope="module")
def trained(
    warm_start: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder with the runs ``one`` and ``two``, and what the latter's processes said."""
    folder = tmp_path_factory.mktemp("ranks")
    dataset = make_sample(folder / "data", cases=7, scans=0, folds=2).parent
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    settings = {"dataset_dir": str(dataset), "cache_dir": str(folder / "prepared"), "device": "cpu", **SETTINGS}
    words = [f"--{key}={value}" for key, value in settings.items()]
    command = [*torchrun, "-m", "monai.bundle", "run", "training", f"--config_file=['{TRAIN}','{MULTI}']", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        [*command, "--ckpt_dir=two"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as ranks:
        alone = ["-m", "monai.bundle", "run", "training", f"--config_file={TRAIN}", *words, "--ckpt_dir=one"]
        done = warm_start(*alone, cwd=folder, CUDA_VISIBLE_DEVICES="")
        out, _ = ranks.communicate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ranks.returncode == 0, out
    return folder, out


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_two_ranks_follow_the_curve_of_one_process(trained: tuple[Path, str]) -> None:
    one, two = (read_rows(trained[0] / name / "history.csv") for name in ("one", "two"))
    assert [row["epoch"] for row in two] == ["1", "2"]
    for ours, alone in zip(two, one, strict=True):
        assert float(ours["train_loss"]) == pytest.approx(float(alone["train_loss"]), rel=5e-5)
        for column in (name for name in alone if name.startswith("val_")):
            # Rounding turns a voxel or two over.
            assert float(ours[column]) == pytest.approx(float(alone[column]), abs=1e-3), column
        assert (ours["learning_rate"], ours["samples_seen"]) == (alone["learning_rate"], alone["samples_seen"])
    assert two[-1]["samples_seen"] == str(4 * 2 * 2)  # cases, patches of each, epochs
    assert float(two[-1]["val_mean_dice"]) > 0


@pytest.mark.slow
def test_two_ranks_come_to_the_weights_of_one_process(trained: tuple[Path, str]) -> None:
    one, two = (torch.load(trained[0] / name / "model.pt", weights_only=True) for name in ("one", "two"))
    assert list(two) == list(one)
    # Together: a step of Muon or AdamW is as long for a gradient that is rounding alone as for any other.
    first, second = (torch.cat([weights.flatten() for weights in state.values()]) for state in (one, two))
    assert (second - first).norm() < 0.01 * first.norm()


@pytest.mark.slow
def test_the_first_rank_alone_tells_and_writes(trained: tuple[Path, str]) -> None:
    folder, out = trained
    assert out.count("epoch 2/2") == 1
    assert len(list((folder / "two" / "tensorboard").iterdir())) == 2  # of the trainer and of the validator
    assert sorted(path.name for path in (folder / "two").iterdir()) == [
        "history.csv",
        "last.pt",
        "model.json",
        "model.pt",
        "tensorboard",
        "training.json",
    ]


@pytest.mark.usefixtures("own_process")
@pytest.mark.filterwarnings("ignore")
def test_without_torchrun_it_says_how_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Exception) as raised:  # noqa: PT011  the chain below it is what is checked
        run("training", config_file=[TRAIN, MULTI], logging_file=False, device="cpu", ckpt_dir=str(tmp_path / "run"))
    error: BaseException | None = raised.value
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    assert "torchrun --standalone --nproc_per_node 2 -m monai.bundle run training" in str(error)
    assert not (tmp_path / "run").exists()


@cache
def recipe() -> dict[str, Any]:
    content: dict[str, Any] = ConfigParser.load_config_files([TRAIN, MULTI])
    return content


def loader(part: str, cases: int, rank: int, ranks: int, batch: int) -> list[list[int]]:
    """The numbers of the cases in the batches that the recipe's loader gives a rank."""
    parser = ConfigParser(copy.deepcopy(recipe()))
    numbers: dict[str, Any] = {"train_cases": list(range(cases)), "val_cases": list(range(cases))}
    numbers |= {"rank": rank, "world_size": ranks, "batch": batch, f"{part}#dataset": list(range(cases))}
    parser.update(numbers)
    batches: list[list[int]] = [numbers.tolist() for numbers in parser.get_parsed_content(f"{part}#dataloader")]
    return batches


# Every remainder of cases by batch.
@pytest.mark.parametrize("cases", range(4, 8))
@pytest.mark.parametrize(("ranks", "batch"), [(2, 2), (2, 4), (3, 3), (4, 4)])
def test_every_batch_of_one_process_is_shared_out_equally(cases: int, ranks: int, batch: int) -> None:
    alone = loader("train", cases, 0, 1, batch)
    shares = [loader("train", cases, rank, ranks, batch) for rank in range(ranks)]
    assert len(alone) == cases // batch
    assert all(len(share) == len(alone) for share in shares)
    for number, whole in enumerate(alone):
        parts = [share[number] for share in shares]
        assert {len(part) for part in parts} == {batch // ranks}
        assert sorted(chain.from_iterable(parts)) == sorted(whole)


@pytest.mark.parametrize(("cases", "ranks"), [(6, 2), (7, 2), (3, 3), (4, 3)])
def test_every_case_is_validated_once(cases: int, ranks: int) -> None:
    shares = [loader("validate", cases, rank, ranks, batch=2) for rank in range(ranks)]
    assert sorted(chain.from_iterable(shares)) == [[case] for case in range(cases)]


def test_fewer_cases_than_ranks_are_validated_by_all_of_them() -> None:
    # Each counts as often as the others: their mean stays what it was.
    assert [loader("validate", 2, rank, 3, batch=2) for rank in range(3)] == [[[0], [1]]] * 3


def test_nothing_that_a_training_begins_with_is_left_out() -> None:
    begun, here = (ConfigParser.load_config_file(file)["initialize"] for file in (TRAIN, MULTI))
    shared = [line for line in begun if not line.startswith("$check_cases")]
    assert [line for line in here if line in shared] == shared
    assert sum(line.startswith("$check_cases") for line in here) == 1
