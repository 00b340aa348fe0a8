"""Parts of ours in a config (``_target_: pipeline.…``), and their names in an exported bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .scripts import defining_module

__all__ = ["retarget", "targets"]

# Where MONAI's part does the same for the files that it reads itself.
_MONAIS = {"pipeline.data.reader.LoadScand": "LoadImaged"}
_WAITS_FOR = "@scripts"


def targets(config: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every part of ours that a config instantiates, those aside that MONAI's own stand in for."""
    for target in _strings(config):
        if target.startswith("pipeline.") and target not in _MONAIS:
            package, _, name = target.rpartition(".")
            yield defining_module(package, name), name


def retarget(config: Any, names: Mapping[str, str]) -> Any:
    """The config with parts of ours under their names in the bundle, each waiting for the path to them to be set.

    Args:
        config: nested dictionaries and lists.
        names: the bundle's module for each of ours.
    """
    if isinstance(config, list):
        return [retarget(item, names) for item in config]
    if not isinstance(config, dict):
        return config
    new = {key: retarget(value, names) for key, value in config.items()}
    target = config.get("_target_", "")
    if target in _MONAIS:
        return new | {"_target_": _MONAIS[target]}
    package, _, name = target.rpartition(".")
    if target.startswith("pipeline."):
        home = names[defining_module(package, name)]
    else:
        # A module of the user's own, which is carried as well.
        home = names.get(f"pipeline.{package}", "")
    if not home:
        return new
    new["_target_"] = f"{home}.{name}"
    return {"_target_": new.pop("_target_"), "_requires_": _WAITS_FOR, **new}


def _strings(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield config["_target_"]
        for value in config.values():
            yield from _strings(value)
    elif isinstance(config, list):
        for item in config:
            yield from _strings(item)
