import json
from pathlib import Path

import pytest

from pipeline.bundle.nested_rules import check_nested
from pipeline.bundle.overrides import apply_override
from pipeline.data.errors import InputError

_BUNDLES = Path(__file__).resolve().parents[2] / "bundles"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("inferer#sw_batch_size", -1, "a whole number, 1 or more"),
        ("inferer#sw_batch_size", 1.5, "a whole number, 1 or more"),
        ("inferer#sw_batch_size", True, "a whole number, 1 or more"),
        ("inferer#overlap", 1, "at least 0 and less than 1"),
        ("inferer#overlap", [0.5, -0.1, 0.5], "at least 0 and less than 1"),
        ("inferer#overlap", float("nan"), "at least 0 and less than 1"),
        ("inferer#roi_size", [16.5, 16, 16], "whole numbers of voxels"),
        ("inferer#roi_size", [-2, 16, 16], "whole numbers of voxels"),
        ("dataloader#num_workers", -1, "a whole number from 0 to 512"),
        ("dataloader#num_workers", 10**6, "a whole number from 0 to 512"),
        ("dataloader#batch_size", 0, "a whole number, 1 or more"),
        ("preprocessing#transforms#2#pixdim", [0, 1, 1], "numbers above 0"),
        ("preprocessing#transforms#2#pixdim", [1, float("inf"), 1], "numbers above 0"),
        ("network_def#dropout", 1.0, "less than 1"),
        ("mirror_axes", [0, 0], "different axes"),
        ("mirror_axes", [3], "different axes"),
    ],
)
def test_numbers_out_of_range_are_refused(key: str, value: object, expected: str) -> None:
    config = json.loads((_BUNDLES / "hippocampus_mri" / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert apply_override(config, key, value)
    with pytest.raises(InputError, match=rf"^inference\.json: found {key} .*{expected}"):
        check_nested(config, "inference.json")


@pytest.mark.parametrize("value", ["$1 + 1", "@batch", None, 4, {"_target_": "a"}])
def test_expressions_and_values_in_range_are_accepted(value: object) -> None:
    check_nested({"validate": {"inferer": {"sw_batch_size": value}}, "train#dataset#num_workers": 0}, "a")


def test_keys_with_whole_ids_are_checked() -> None:
    with pytest.raises(InputError, match="train#dataset#num_workers -1"):
        check_nested({"train#dataset": {"num_workers": -1}}, "a")


@pytest.mark.parametrize(
    "file", sorted(_BUNDLES.glob("*/configs/*.json")), ids=lambda file: f"{file.parts[-3]}-{file.stem}"
)
def test_the_shipped_configs_are_in_range(file: Path) -> None:
    check_nested(json.loads(file.read_text(encoding="utf-8")), file.name)
