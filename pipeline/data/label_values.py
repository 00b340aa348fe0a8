"""The values of a datalist's labels, and those of voxels without annotation, in any form that datalists have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError

__all__ = ["MAX_VALUE", "MIN_VALUE", "entry_error", "read_values", "whole_number"]

MIN_VALUE, MAX_VALUE = -(2**31), 2**32 - 1
"""The values that label maps of 32 bits can have, signed or not."""

_WHOLE = re.compile(r"-?[0-9]+")
_LABELS = '"labels": {"0": "background", "1": "liver"} or {"background": 0, "liver": 1}, one value per name'

Values = dict[str, int | tuple[int, ...]]


def read_values(content: Mapping[str, Any], file: str | Path) -> tuple[Values, tuple[int, ...]]:
    """Return the value or values of each name in "labels" without "ignore", and the ignored values, each once.

    Args:
        content: the datalist's content.
        file: where it is from; errors name it.

    Raises:
        InputError: an entry has another form, a name or value is twice, or a value is no whole number of 32 bits.
    """
    pairs = _pairs(content.get("labels"), file)
    named = {name: value for name, value in pairs if name.lower() != "ignore"}
    own = [value for name, value in pairs if name.lower() == "ignore"]
    plain = [value for value in named.values() if isinstance(value, int)]
    several = any(isinstance(value, tuple) for value in named.values())
    if len(named) + len(own) < len(pairs) or (len(set(plain)) < len(plain) and not several):
        raise entry_error(file, f'"labels" {content["labels"]!r}', "every name once and every value once")
    ignored = [each for value in own for each in (value if isinstance(value, tuple) else (value,))]
    ignored += _ignored_entry(content.get("ignore"), file)
    for name, value in [*named.items(), *(("ignore", value) for value in ignored)]:
        for each in value if isinstance(value, tuple) else (value,):
            if not MIN_VALUE <= each <= MAX_VALUE:
                raise entry_error(file, f'the value {each} of "{name}"', f"values from {MIN_VALUE} to {MAX_VALUE}")
    return named, tuple(dict.fromkeys(ignored))


def whole_number(value: Any) -> int | None:
    """Return a value as an integer; None if it is no whole number. 255.0 is one: some programs write it for 255."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def entry_error(
    file: str | Path, found: str, expected: str, remedy: str = "correct this entry of the datalist"
) -> InputError:
    """Return the error about an entry of a datalist."""
    return InputError(file, found=found, expected=expected, remedy=remedy)


def _ignored_entry(entry: Any, file: str | Path) -> list[int]:
    """Return the values of the entry "ignore"."""
    if entry is None:
        return []
    values = [whole_number(value) for value in (entry if isinstance(entry, list) else [entry])]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        expected = '"ignore": 255, or [254, 255]: values of voxels without annotation'
        raise entry_error(file, f'"ignore" {entry!r:.100}', expected)
    return known


def _pairs(named: Any, file: str | Path) -> list[tuple[str, int | tuple[int, ...]]]:
    """Return the name and the value or values of each label."""
    if named is None:
        return []
    pairs = list(named.items()) if isinstance(named, Mapping) else []
    if pairs and all(_WHOLE.fullmatch(str(key)) and isinstance(value, str) for key, value in pairs):
        return [(value, int(key)) for key, value in pairs]
    read = [(str(key), _value_or_values(value)) for key, value in pairs]
    known = [(name, value) for name, value in read if value is not None]
    if not known or len(known) < len(read):
        raise entry_error(file, f'"labels" {named!r}', _LABELS)
    return known


def _value_or_values(entry: Any) -> int | tuple[int, ...] | None:
    """Return the value of a label, or the values of a region; None if there is none, or one is no whole number."""
    if not isinstance(entry, list | tuple):
        return whole_number(entry)
    values = tuple(value for value in map(whole_number, entry) if value is not None)
    return values if values and len(values) == len(entry) else None
