"""Find LightSkip's parts in a config (``_target_: pipeline.…``), and rename them for an exported bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .scripts import find_defining_module

__all__ = ["list_targets", "retarget"]

# MONAI's parts that do the same, for files that MONAI can read.
_MONAI_PARTS = {"pipeline.data.reader.LoadScand": "LoadImaged"}
_WAITS_FOR = "@scripts"


def list_targets(config: Any) -> Iterator[tuple[str, str]]:
    """Yield module and name of each LightSkip part that a config instantiates, unless a MONAI part replaces it."""
    for target in _find_targets(config):
        if target.startswith("pipeline.") and target not in _MONAI_PARTS:
            package, _, name = target.rpartition(".")
            yield find_defining_module(package, name), name


def retarget(config: Any, names: Mapping[str, str]) -> Any:
    """Return the config with LightSkip's parts under their names in the bundle.

    Each part gets a ``_requires_``, so that the path to the bundle's code is set before.

    Args:
        config: nested dictionaries and lists.
        names: name in the bundle of each LightSkip module.
    """
    if isinstance(config, list):
        return [retarget(item, names) for item in config]
    if not isinstance(config, dict):
        return config
    new = {key: retarget(value, names) for key, value in config.items()}
    target = config.get("_target_", "")
    if target in _MONAI_PARTS:
        return new | {"_target_": _MONAI_PARTS[target]}
    package, _, name = target.rpartition(".")
    if target.startswith("pipeline."):
        home = names[find_defining_module(package, name)]
    else:
        # A module of the user, which the bundle includes as well.
        home = names.get(f"pipeline.{package}", "")
    if not home:
        return new
    new["_target_"] = f"{home}.{name}"
    return {"_target_": new.pop("_target_"), "_requires_": _WAITS_FOR, **new}


def _find_targets(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("_target_"), str):
            yield config["_target_"]
        for value in config.values():
            yield from _find_targets(value)
    elif isinstance(config, list):
        for item in config:
            yield from _find_targets(item)
