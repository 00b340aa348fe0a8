"""Names of labels and channels, converted from the forms that datasets have to the datalist's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..label_values import MAX_VALUE, MIN_VALUE, whole_number

__all__ = ["channels_by_index", "is_whole_number", "labels_by_value", "parse_label_names"]

_BOTH_FORMS = '{"0": "background", "1": "liver"} or {"background": 0, "liver": 1}, one whole number per name'


def labels_by_value(named: Any, where: str | Path) -> dict[str, str]:
    """Return label names in the form {"0": "background", "1": "liver"}: value in the files -> name.

    Args:
        named: that form, or nnU-Net's {"background": 0, "liver": 1}; values need not be consecutive.
        where: the file or option that they are from; errors name it.

    Raises:
        InputError: a name or a value occurs twice, a value is beyond 32 bits, or the value 0 is not the background.
    """
    if not isinstance(named, Mapping) or not named:
        raise _entry_error(where, f"labels {named!r}", _BOTH_FORMS)
    if all(is_whole_number(key) and not is_whole_number(value) for key, value in named.items()):
        pairs = [(int(key), str(value)) for key, value in named.items()]
    elif all(is_whole_number(value) for value in named.values()):
        pairs = [(int(value), str(name)) for name, value in named.items()]
    else:
        raise _entry_error(where, f"labels {named!r}", _BOTH_FORMS)
    _check_pairs(pairs, where)
    return {str(value): name for value, name in sorted(pairs)}


def parse_label_names(words: Sequence[str]) -> dict[str, str]:
    """Return the label names of --label-names: names of the values 0, 1, 2 …, or VALUE=NAME for each.

    Raises:
        InputError: the two forms are mixed, or `labels_by_value` would refuse the names.
    """
    parted = [word.partition("=") for word in words]
    named = [bool(equals) for _, equals, _ in parted]
    if any(named) != all(named) or any(equals and not is_whole_number(value) for value, equals, _ in parted):
        raise _entry_error("--label-names", " ".join(words), "background liver, or 0=background 255=liver")
    pairs = [(int(value), name) for value, _, name in parted] if all(named) else list(enumerate(words))
    _check_pairs(pairs, "--label-names")
    return {str(value): name for value, name in sorted(pairs)}


def channels_by_index(named: Any, where: str | Path) -> dict[str, str]:
    """Return channel names, given as {"0": "CT"}, ["CT"] or "CT", in the form {"0": "CT"}.

    Raises:
        InputError: they have another form, or the indices are not 0, 1, 2 ….
    """
    names = [named] if isinstance(named, str) else named
    pairs = dict(names) if isinstance(names, Mapping) else None
    if pairs is None and isinstance(names, Sequence):
        pairs = dict(enumerate(names))
    indices = sorted(int(key) for key in pairs or {} if is_whole_number(key))
    if not pairs or indices != list(range(len(pairs))):
        raise _entry_error(where, f"channels {named!r}", '{"0": "CT", "1": "PET"}, with an entry for each channel')
    return {str(int(index)): str(name) for index, name in sorted(pairs.items(), key=lambda pair: int(pair[0]))}


def _check_pairs(pairs: Sequence[tuple[int, str]], where: str | Path) -> None:
    for what, seen in (("value", [str(value) for value, _ in pairs]), ("name", [name for _, name in pairs])):
        twice = next((entry for entry in seen if seen.count(entry) > 1), None)
        if twice is not None:
            raise _entry_error(where, f"the label {what} {twice} twice", "every name once and every value once")
    far = next((value for value, _ in pairs if not MIN_VALUE <= value <= MAX_VALUE), None)
    if far is not None:
        raise _entry_error(where, f"the label value {far}", f"values from {MIN_VALUE} to {MAX_VALUE}")
    names = dict(pairs)
    if "" in names.values():
        raise _entry_error(where, "a label without a name", "a name for every value")
    # If another value is the background, 0 may be anything.
    if not any(name.lower() == "background" for name in names.values()) and 0 in names:
        raise InputError(
            where,
            found=f'the label value 0 with the name "{names[0]}"',
            expected='the name "background" for 0',
            remedy="name the labels with --label-names, starting with background",
        )
    if "ignore" in names.values():
        raise InputError(
            where,
            found='a label "ignore", for voxels without a class',
            expected="labels alone",
            remedy="leave it out, and name its value with --ignore",
        )


def is_whole_number(value: Any) -> bool:
    """Return whether something is a whole number, or the text of one."""
    if isinstance(value, str):
        return value.strip().removeprefix("-").isdecimal()
    return whole_number(value) is not None


def _entry_error(where: str | Path, found: str, expected: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy="correct this entry")
