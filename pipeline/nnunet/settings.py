"""Read the entry ``lightskip`` in a configuration of nnU-Net's plans."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..data.errors import InputError
from .choice import BASE_NAME, Choice, find_skip

__all__ = ["Settings", "read_settings"]

_WHERE = "nnU-Net's plans, entry lightskip of the configuration"
_OF_THE_TASK = ("spatial_dims", "in_channels", "out_channels", "deep_supervision")
_NOT_ARGUMENTS = ("name", "skip", "sparsity", "imports")


@dataclass(frozen=True)
class Settings:
    """The network to train.

    Attributes:
        network: registered name.
        skip: the network's argument ``skip``; None for its default.
        sparsity: weight of the selecting skips' L1 term in the loss.
        arguments: further arguments of the network. They replace those that follow from nnU-Net's plans.
    """

    network: str
    skip: Any = None
    sparsity: float = 0.0
    arguments: dict[str, Any] = field(default_factory=dict)


def read_settings(choice: Choice, configuration: Mapping[str, Any]) -> Settings:
    """Return the network to train, from the trainer's name and the plans.

    Args:
        choice: what the trainer's name says.
        configuration: a configuration of nnU-Net's plans. Its entry ``lightskip``, which may be missing, has the keys
            ``name`` (a network), ``skip`` (a name, ``[name, options]``, or a list with one of these per level, finest
            first), ``sparsity`` (weight of the sparsity term; by default the one of the skip's file in
            ``configs/skips``, otherwise 0), ``imports`` (modules that register skips or networks), and arguments of
            the network.

    Raises:
        InputError: neither names a network, they contradict each other, or the entry sets what the task decides.
    """
    entry = configuration.get("lightskip", {})
    if not isinstance(entry, Mapping):
        raise InputError(
            _WHERE, found=repr(entry), expected="a mapping", remedy='write {"name": "unet", "skip": "sat4"}'
        )
    for module in entry.get("imports", []):
        import_module(module)
    network = _agreed("name", choice.network, entry)
    if network is None:
        raise InputError(
            f"trainer {BASE_NAME}",
            found="no network, neither in the trainer's name nor in nnU-Net's plans",
            expected=f"a trainer such as {BASE_NAME}_unet_sat4, or an entry lightskip in the plans' configuration",
            remedy='choose another trainer, or write "lightskip": {"name": "unet", "skip": "sat4"} into the plans',
        )
    forbidden = [key for key in entry if key in _OF_THE_TASK]
    if forbidden:
        raise InputError(
            _WHERE,
            found=f"the key {forbidden[0]}",
            expected="only keys that the dataset and nnU-Net do not decide",
            remedy="remove it",
        )
    skip = _agreed("skip", choice.skip, entry)
    sparsity = 0.0
    if isinstance(skip, str):
        skip, sparsity = find_skip(skip, _WHERE)
    return Settings(
        network=network,
        skip=skip,
        sparsity=_not_negative(entry.get("sparsity", sparsity)),
        arguments={key: value for key, value in entry.items() if key not in _NOT_ARGUMENTS},
    )


def _agreed(key: str, named: str | None, entry: Mapping[str, Any]) -> Any:
    """Return the value of the trainer's name or of the entry; both may have the same."""
    written = entry.get(key)
    if named is not None and written is not None and written != named:
        raise InputError(
            _WHERE,
            found=f"{key} {written!r}, but the trainer's name has {named}",
            expected="the same in both, or only one of them",
            remedy=f"train with {BASE_NAME}, or remove {key} from the entry",
        )
    return written if named is None else named


def _not_negative(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InputError(_WHERE, found=f"sparsity {value!r}", expected="0 or more", remedy="correct it")
    return float(value)
