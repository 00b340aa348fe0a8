import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accuracy
import pytest

from pipeline.bundle.plan import load_plan
from pipeline.data.sample import make_sample

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"


def test_an_arm_is_a_skip_or_a_network_and_more_overrides() -> None:
    assert accuracy.arm_overrides("concat", BUNDLE) == ["--skip", "'concat'"]
    text = '["sat", {"maps": 2}]: --learning_rate 3e-3 --optimizer#_target_ torch.optim.AdamW'
    words = accuracy.arm_overrides(text, BUNDLE)
    assert words[:2] == ["--skip", "['sat', {'maps': 2}]"]
    assert words[2:] == ["--learning_rate", "3e-3", "--optimizer#_target_", "torch.optim.AdamW"]
    key, network, *sizes = accuracy.arm_overrides("MONAI VNet", BUNDLE)
    assert (key, sizes) == ("--network_def", ["--patch", "[32, 32, 32]", "--window", "[48, 48, 32]"])
    assert eval(network)["_target_"] == "VNet"
    with pytest.raises(ValueError, match="nothing_like_it"):
        accuracy.arm_overrides("nothing_like_it", BUNDLE)


def test_an_arm_is_summarised_over_its_runs() -> None:
    run = {"fold": 0, "seed": 0, "dice": 0.6, "epoch": 3, "minutes": 3.0, "samples": 30, "minutes_to_threshold": None}
    summary = accuracy.summarise("sum", [run, run | {"seed": 1, "dice": 0.8}])
    assert (summary["seeds"], summary["folds"], summary["dice"]) == ([0, 1], [0, 0], [0.6, 0.8])
    assert summary["mean"] == pytest.approx(0.7)
    assert summary["standard_deviation"] == pytest.approx(0.02**0.5)
    assert accuracy.summarise("sum", [])["mean"] is None


@pytest.mark.long
def test_two_arms_of_one_fold_are_trained_and_measured(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    data = make_sample(tmp_path / "data", cases=6, scans=0, folds=3).parent
    small = ": --network_def#channels [4,8,16] --patch [16,16,16] --window [32,32,16] --val_interval 1"
    words = ["--bundle", str(BUNDLE), "--dataset_dir", str(data), "--runs", str(tmp_path / "runs")]
    words += ["--minutes", "0", "--epochs", "2", "--threads", "1", "--threshold", "0", "-o", str(tmp_path / "a.json")]
    words += ["--arm", f"concat{small}", "--arm", f"none{small}"]
    done = run_script("accuracy", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "a.json").read_text())
    assert [len(run["curve"]) for run in found["runs"]] == [2, 2]
    assert found["runs"][0]["dice"] != found["runs"][1]["dice"]
    assert len(list((tmp_path / "runs").iterdir())) == 2
    again = run_script("accuracy", *words)
    assert "synthetic_shapes_" not in again.stdout, "nothing is trained again"
    assert json.loads((tmp_path / "a.json").read_text())["runs"] == found["runs"]


def test_an_arm_is_another_of_lightskips_networks() -> None:
    key, network, skip_key, skip = accuracy.arm_overrides("unet sat4", BUNDLE)
    assert (key, skip_key) == ("--network_def", "--skip")
    assert "'pipeline.networks.UNet'" in network
    channels = load_plan(BUNDLE).network.settings()["channels"]
    assert f"'channels': {channels}" in network
    assert skip == "['sat', {'maps': 4, 'gate': 'linear', 'merge': 'sum'}]"
    _, network, *_ = accuracy.arm_overrides('{"name": "tiramisu", "form": 56, "skip": "concat"}', BUNDLE)
    assert "'form': 56" in network
    assert "channels'" not in network.replace("in_channels'", "").replace("out_channels'", "")
    with pytest.raises(ValueError, match="did you mean"):
        accuracy.arm_overrides("unet conct", BUNDLE)
