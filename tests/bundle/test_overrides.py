from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from pipeline.bundle.launch_checks import read
from pipeline.bundle.overrides import apply_override, merge_configs

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "configs"


@pytest.mark.parametrize("names", [["train"], ["train", "evaluate"], ["train", "multi_gpu_train"]], ids="+".join)
def test_merges_files_as_monai_does(names: list[str]) -> None:
    files = [CONFIGS / f"{name}.json" for name in names]
    assert merge_configs(map(read, files)) == ConfigParser.load_config_files([str(file) for file in files])


def test_merging_leaves_what_it_is_given_as_it_was() -> None:
    first: dict[str, Any] = {"a": {"b": 1}, "list": [1]}
    assert merge_configs([first, {"a#b": 2, "+list": [2]}, {"+a": {"c": 3}}]) == {"a": {"b": 2, "c": 3}, "list": [1, 2]}
    assert first == {"a": {"b": 1}, "list": [1]}


@pytest.mark.parametrize(
    ("id_", "value"),
    [
        ("epochs", 3),
        ("new", {"a": 1}),
        ("network_def#channels", [4, 8]),
        ("network_def::channels::0", 4),
        ("train#handlers#2#interval", 5),
        ("train#handlers#0", {"_target_": "StatsHandler"}),
        ("optimizer#betas", [0.9, 0.99]),
    ],
)
def test_places_an_override_where_monai_does(id_: str, value: Any) -> None:
    parser = ConfigParser(read(CONFIGS / "train.json"))
    parser.update({id_: value})
    config = read(CONFIGS / "train.json")
    assert apply_override(config, id_, value)
    assert config == parser.config


@pytest.mark.parametrize("id_", ["trian#trainer", "epochs#x", "patch#3", "patch#first", "train#handlers#99#interval"])
def test_tells_of_an_override_without_a_place(id_: str) -> None:
    config = read(CONFIGS / "train.json")
    assert not apply_override(config, id_, 1)
    assert config == read(CONFIGS / "train.json")
    with pytest.raises((KeyError, IndexError, ValueError, TypeError)):  # MONAI ends in a traceback
        ConfigParser(config).update({id_: 1})
