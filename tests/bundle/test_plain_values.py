"""Values that JSON alone shows."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.bundle.plain_values import UNKNOWN, PlainValues

CONFIG: dict[str, Any] = {
    "bundle_root": "$str(next(frame for frame in frames))",
    "dataset_dir": "$@bundle_root + '/data'",
    "datalist": "$@dataset_dir + '/list.json'",
    "fold": 2,
    "ckpt_dir": "$@bundle_root + '/runs/fold_' + str(@fold)",
    "same": "@datalist",
    "labels": {"background": 0},
    "nothing": None,
    "no_epochs": "$None",
    "whole": "$3",
    "device": "$torch.device('cpu')",
    "device_name": "$'on ' + str(@device)",
    "macro": "%fold",
    "nested": {"lr": "@fold"},
    "sum": "$@fold + 1",
    "here": "$@there",
    "there": "$@here",
    "broken": "$'a' +",
    "deeper": "$@nested#lr + 'a'",
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset_dir", "/bundle/data"),
        ("datalist", "/bundle/data/list.json"),
        ("ckpt_dir", "/bundle/runs/fold_2"),
        ("same", "/bundle/data/list.json"),
        ("fold", 2),
        ("labels", {"background": 0}),
        ("nothing", None),
        ("no_epochs", None),
        ("whole", 3),
    ],
)
def test_texts_are_put_together(key: str, value: Any) -> None:
    assert PlainValues(CONFIG, Path("/bundle")).find(key) == value


@pytest.mark.parametrize(
    "key", ["device", "device_name", "macro", "nested", "sum", "here", "broken", "deeper", "no_such_key"]
)
def test_what_only_monai_can_evaluate_is_unknown(key: str) -> None:
    assert PlainValues(CONFIG, Path("/bundle")).find(key) is UNKNOWN
    assert PlainValues(CONFIG, Path("/bundle")).find_text(key) is None


def test_another_root_than_the_bundles_folder_counts() -> None:
    assert PlainValues({**CONFIG, "bundle_root": "/other"}, Path("/bundle")).find("dataset_dir") == "/other/data"


def test_a_number_is_no_text() -> None:
    assert PlainValues(CONFIG, Path("/bundle")).find_text("fold") is None
