"""A training on all cases, and one that is lengthened, by MONAI's runner on a small sample."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.cli import main
from pipeline.data import reader

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = "--network_def#channels [4,8,16] --window [32,32,16] --patch [16,16,16] --precision float32 --device cpu"
TRAIN = ["train", "shapes", "--dataset_dir", "data", *SMALL.split(), "--logging_file", "False", "--tracking", "none"]


@pytest.fixture
def bundle(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle ``shapes`` in the working directory, and the sample without folds in ``data``."""
    shutil.copytree(REPOSITORY / "bundles" / "synthetic_shapes" / "configs", tmp_path / "shapes" / "configs")
    shutil.copytree(sample, tmp_path / "data")
    file = tmp_path / "data" / "dataset.json"
    content = json.loads(file.read_text())
    for item in content["training"]:
        del item["fold"]
    file.write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shapes"


@pytest.mark.usefixtures("own_process")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_it_reads_each_case_once_saves_the_last_average_and_is_lengthened(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read: list[str] = []
    load = reader.LoadScand.__call__

    def note(self: reader.LoadScand, data: dict[str, Any]) -> Any:
        # Behind the first loader an image is a tensor.
        read.extend([data["image"]] if isinstance(data["image"], str) else [])
        return load(self, data)

    monkeypatch.setattr(reader.LoadScand, "__call__", note)
    words = [*TRAIN, "--fold", "all", "--check_data", "False"]
    assert main([*words, "--epochs", "2"]) == 0
    # Once for the training, and none for a validation.
    assert len(read) == len(set(read)) == 6
    run = bundle / "runs" / "fold_all"
    last = torch.load(run / "last.pt", weights_only=True)
    model = torch.load(run / "model.pt", weights_only=True)
    assert all(torch.equal(model[name], last["average"][name]) for name in model)
    assert not all(torch.equal(model[name], last["network"][name]) for name in model)
    assert "(trained on all 6 cases, not validated)" in capsys.readouterr().out

    assert main([*words, "--epochs", "3", "--resume"]) == 2
    assert "a training of 2 epochs (2 epochs done" in capsys.readouterr().err
    assert main([*words, "--epochs", "3", "--resume", "--longer", "restart"]) == 0
    assert capsys.readouterr().out.startswith("longer (restart): 3 epochs instead of 2 epochs, from epoch 3 on; ")
    with (run / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["longer"], row["val_cases"]) for row in rows] == [("", "0"), ("", "0"), ("restart", "0")]
    assert float(rows[2]["learning_rate"]) == pytest.approx(0.003)


@pytest.mark.usefixtures("own_process", "bundle")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_minutes_without_a_validation() -> None:
    assert main([*TRAIN, "--fold", "all", "--epochs", "$None", "--warmup_epochs", "$None", "--minutes", "0.02",
                 "--early_stop_patience", "0", "--clock", "processor", "--cache_dir", "$None"]) == 0  # fmt: skip
    known = json.loads(Path("shapes/runs/fold_all/training.json").read_text())
    assert (known["finished"], known["best_dice"], known["length"]) == (True, None, {"epochs": None, "minutes": 0.02})
