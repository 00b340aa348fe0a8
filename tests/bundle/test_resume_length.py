"""Another length of a resumed training, told before PyTorch is imported."""

import json
from math import cos, pi
from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.resume_length import check_resume_length
from pipeline.data.errors import InputError

CONFIG = {
    "optimizer": {"lr": "@learning_rate"},
    "lr_scheduler": {"_target_": "monai.optimizers.WarmupCosineSchedule", "warmup_multiplier": 0.1},
}


def values(folder: Path, **more: Any) -> dict[str, Any]:
    known = {"resume": True, "longer": None, "epochs": 300, "minutes": None, "ckpt_dir": str(folder)}
    return {**known, "learning_rate": 0.004, "warmup_epochs": None, **more}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A training of 200 of 200 epochs."""
    known = {"epochs": 200, "finished": True, "length": {"epochs": 200, "minutes": None}, "rate": 3e-7}
    (tmp_path / "training.json").write_text(json.dumps(known))
    return tmp_path


def test_the_same_length_passes(finished: Path) -> None:
    assert check_resume_length(values(finished, epochs=200), CONFIG, "train.json") == ""


def test_other_lengths_need_a_way_and_have_both_rates(finished: Path) -> None:
    with pytest.raises(InputError) as raised:
        check_resume_length(values(finished), CONFIG, "train.json")
    # A warm-up of round(0.045 * 300) = 14 epochs (to even), so 186 of 286 epochs of the cosine are done.
    stretched = 0.004 * (1 + cos(pi * 186 / 286)) / 2
    assert f"next rate {stretched:.3g})" in str(raised.value)
    assert "200 epochs done, the learning rate at 3e-07" in str(raised.value)
    assert "next rate 0.004)" in str(raised.value)
    line = check_resume_length(values(finished, longer="restart"), CONFIG, "train.json")
    assert "300 epochs instead of 200 epochs, from epoch 201 on" in line
    assert "learning rate 3e-07 in the last step, 0.004 in the next" in line


def test_rates_that_only_the_run_knows_are_left_out(finished: Path) -> None:
    with pytest.raises(InputError) as raised:
        check_resume_length(values(finished), {**CONFIG, "optimizer": {"lr": 0.1}}, "train.json")
    assert "next rate" not in str(raised.value)


def test_a_time_limit_that_is_lengthened(tmp_path: Path) -> None:
    known = {"epochs": 31, "length": {"epochs": None, "minutes": 10.0}, "rate": 1e-6, "seconds": 594.0}
    (tmp_path / "training.json").write_text(json.dumps(known))
    given = values(tmp_path, epochs=None, minutes=20)
    with pytest.raises(InputError, match=r"a training of 10 minutes \(31 epochs in 9\.9 minutes done"):
        check_resume_length(given, CONFIG, "train.json")
    line = check_resume_length({**given, "longer": "stretch"}, CONFIG, "train.json")
    # Half of the time: 455 of 955 thousandths of the cosine.
    assert f"{0.004 * (1 + cos(pi * 455 / 955)) / 2:.3g} in the next" in line


def test_a_way_without_a_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="longer restart of a new training"):
        check_resume_length(values(tmp_path, resume=False, longer="restart"), CONFIG, "train.json")


def test_nothing_is_known_of_earlier_versions(tmp_path: Path) -> None:
    assert check_resume_length(values(tmp_path), CONFIG, "train.json") == ""
    (tmp_path / "training.json").write_text('{"epochs": 3, "length": "odd"}')
    assert check_resume_length(values(tmp_path), CONFIG, "train.json") == ""
