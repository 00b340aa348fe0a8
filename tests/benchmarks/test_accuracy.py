import csv
import json
from argparse import Namespace
from pathlib import Path

import accuracy
import pytest

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes"
OPTIONS = {"bundle": str(BUNDLE), "minutes": 8.0, "epochs": 10, "threads": 1, "device": None, "threshold": 0.5}


@pytest.fixture
def options(tmp_path: Path) -> Namespace:
    return Namespace(**OPTIONS, runs=str(tmp_path))


def test_an_arm_is_a_skip_or_a_network_and_more_overrides(options: Namespace) -> None:
    assert accuracy._overrides("concat", options) == ["--skip", "'concat'"]
    text = '["sat", {"maps": 2}]: --learning_rate 3e-3 --optimizer#_target_ torch.optim.AdamW'
    words = accuracy._overrides(text, options)
    assert words[:2] == ["--skip", "['sat', {'maps': 2}]"]
    assert words[2:] == ["--learning_rate", "3e-3", "--optimizer#_target_", "torch.optim.AdamW"]
    key, network, *sizes = accuracy._overrides("MONAI VNet", options)
    assert (key, sizes) == ("--network_def", ["--patch", "[32, 32, 32]", "--window", "[48, 48, 32]"])
    assert eval(network)["_target_"] == "VNet"
    with pytest.raises(ValueError, match="NOTHING_LIKE_IT"):
        accuracy._overrides("nothing_like_it", options)


def test_a_run_is_read_from_its_history(options: Namespace) -> None:
    folder = write_run("sum", options)
    run = accuracy._result("sum", 0, options)
    assert run is not None
    # The last epoch counts, not the best one.
    assert (run["dice"], run["best_dice"], run["epoch"], run["samples"]) == (0.6, 0.7, 3, 30)
    assert run["minutes_to_threshold"] == 2.0
    assert run["dice_by_label"] == {"shell": 0.6}
    assert [point["dice"] for point in run["curve"]] == [0.7, 0.6]
    summary = accuracy._summary("sum", [run, run | {"dice": 0.8}])
    assert summary["mean"] == pytest.approx(0.7)
    assert summary["standard_deviation"] == pytest.approx(0.02**0.5)
    (folder / "done.json").unlink()
    assert accuracy._result("sum", 0, options) is None


def test_a_run_of_other_settings_is_not_taken_for_done(options: Namespace) -> None:
    folder = write_run("sum", options)
    assert accuracy._is_done(folder, ["--skip", "'sum'"], options)
    assert not accuracy._is_done(folder, ["--skip", "'none'"], options)
    options.threads = 2
    assert not accuracy._is_done(folder, ["--skip", "'sum'"], options)


def write_run(arm: str, options: Namespace) -> Path:
    folder = accuracy._folder(arm, 0, options)
    folder.mkdir()
    columns = ["epoch", "val_mean_dice", "val_dice_shell", "elapsed_seconds", "samples_seen"]
    rows = [[1, "", "", 60, 10], [2, 0.7, 0.7, 120, 20], [3, 0.6, 0.6, 180, 30]]
    with (folder / "history.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    (folder / "done.json").write_text(json.dumps(accuracy._settings(["--skip", repr(arm)], options)))
    return folder
