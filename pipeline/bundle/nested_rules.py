"""The ranges of numbers inside a bundle's config: those of windows, loaders, spacings. Needs neither torch nor MONAI.

PyTorch and MONAI accept many of these: a negative batch of windows computes none, and a negative spacing keeps the
scan's own. `setting_rules.py` has the ranges of the keys at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from typing import Any

from ..data.errors import InputError

__all__ = ["check_nested"]

_MAX_WORKERS = 512  # each is a process of its own
_EVALUATED = ("$", "@", "%")


def check_nested(config: Mapping[str, Any], where: str) -> None:
    """Raise InputError for a number inside a config that is out of range; expressions are not evaluated.

    Args:
        config: the config, with the overrides of this run.
        where: the config's files, for the message.
    """
    for path, value in _values_in(config, ()):
        rule = _RULES.get(path[-2:]) or _RULES.get(path[-1:])
        if rule is None or _is_unknown(value):
            continue
        fits, expected = rule
        if not fits(value):
            key = "#".join(path)
            raise InputError(
                where, found=f"{key} {value!r:.80}", expected=expected, remedy=f"set another value of {key}"
            )


def _values_in(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path:
        yield path, value
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values_in(inner, (*path, *str(key).replace("::", "#").split("#")))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            if isinstance(inner, Mapping | list | tuple):
                yield from _values_in(inner, (*path, str(number)))


def _is_unknown(value: Any) -> bool:
    """Return whether only evaluating the config tells a value, or whether it is none: a default, or a component."""
    if isinstance(value, list | tuple):
        return any(map(_is_unknown, value))
    return value is None or isinstance(value, Mapping) or (isinstance(value, str) and value.startswith(_EVALUATED))


def _is_whole(value: Any, low: int, high: int = 2**31 - 1) -> bool:
    return type(value) is int and low <= value <= high


def _is_number(value: Any, low: float, high: float = float("inf")) -> bool:
    return type(value) in (int, float) and isfinite(value) and low <= value <= high


def _each(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a rule for a value, or for a list with one per axis."""
    return lambda value: all(map(fits, value)) if isinstance(value, list | tuple) and value else fits(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value, 0) and value > 0


_WORKERS = (lambda value: _is_whole(value, 0, _MAX_WORKERS), f"a whole number from 0 to {_MAX_WORKERS}")
_COUNT = (lambda value: _is_whole(value, 1), "a whole number, 1 or more")
_SHARE = (lambda value: _is_number(value, 0, 1), "a number from 0 to 1")
_SPACING = (_each(_is_positive), "numbers above 0, one per axis")
_RULES: Mapping[tuple[str, ...], tuple[Callable[[Any], bool], str]] = {
    ("inferer", "sw_batch_size"): _COUNT,
    ("inferer", "overlap"): (_each(lambda value: _is_number(value, 0) and value < 1), "at least 0 and less than 1"),
    ("inferer", "roi_size"): (
        _each(lambda value: _is_whole(value, -1)),
        "whole numbers of voxels, one per axis; 0 or -1 for the whole axis",
    ),
    ("dataset", "num_workers"): _WORKERS,
    ("dataset", "cache_rate"): _SHARE,
    ("dataloader", "num_workers"): _WORKERS,
    ("dataloader", "batch_size"): _COUNT,
    ("num_workers",): _WORKERS,
    ("batch_size",): _COUNT,
    ("max_epochs",): _COUNT,
    ("max_samples_per_class",): _COUNT,
    ("optimizer", "lr"): (_is_positive, "a number above 0"),
    ("optimizer", "weight_decay"): (lambda value: _is_number(value, 0), "a number, 0 or more"),
    ("lr_scheduler", "warmup_multiplier"): _SHARE,
    ("network_def", "dropout"): (
        lambda value: _is_number(value, 0) and value < 1,
        "a number from 0 on, less than 1",
    ),
    ("pixdim",): _SPACING,
    ("patch",): (_each(lambda value: _is_whole(value, 1)), "whole numbers of voxels above 0, one per axis"),
    ("window",): (_each(lambda value: _is_whole(value, 1)), "whole numbers of voxels above 0, one per axis"),
    ("average_momentum",): (lambda value: _is_number(value, 0, 1) and value > 0, "a number above 0, at most 1"),
    ("class_ratios",): (
        # How many there must be is checked with the labels.
        lambda value: not isinstance(value, list | tuple) or (all(_is_number(one, 0) for one in value) and any(value)),
        "numbers, 0 or more, one per label with background first, at least one of them above 0",
    ),
    ("mirror_axes",): (
        lambda value: (
            isinstance(value, list | tuple)
            and all(_is_whole(one, 0, 2) for one in value)
            and len(set(value)) == len(value)
        ),
        "different axes, counted from 0",
    ),
}
