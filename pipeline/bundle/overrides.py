"""Check the names and types of the overrides of a bundle's config, for a running config and for a command line.

Needs neither torch nor MONAI, so that a mistyped name is reported before they are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES
from ..data.errors import InputError

__all__ = [
    "apply_override",
    "check_none",
    "check_overridden",
    "format_id",
    "known_ids",
    "merge_configs",
    "normalise_id",
]

Known = dict[str, list[Any]]
Accepted = Callable[[dict[str, Any]], set[str] | None]

# As in monai.bundle.utils, whose import would import torch.
_SEPARATOR = "::"
_MERGE = "+"
_EVALUATED = ("$", "@", "%")
_WORDS = {"fold": (ALL_CASES,)}  # in place of a number


def check_none(files: Iterable[Path], nothing: Sequence[str]) -> None:
    """Refuse overrides with None: MONAI's runner ignores them, and would run with the configured value.

    Args:
        files: the config's files, for the message.
        nothing: ids of the overrides with None.

    Raises:
        InputError: names all of them.
    """
    if not nothing:
        return
    names = [format_id(key) for key in nothing]
    if names == ["skip"]:
        expected, remedy = "the name of a skip connection", "for no skip connections, use --skip none"
    else:
        expected = "a value: MONAI cannot override a key with None on the command line"
        remedy = "leave it out, or set it to null in the config file"
    raise InputError(
        ", ".join(map(str, files)),
        found=", ".join(f"--{name} None" for name in names) + ", which MONAI ignores",
        expected=expected,
        remedy=remedy,
    )


def check_overridden(
    files: Iterable[Path], config: dict[str, Any], known: Known, *, accepted: Accepted, lost: Sequence[str] = ()
) -> None:
    """Refuse overrides with unknown keys, or with values of another type than the files' values.

    Args:
        files: the config's files, for the message.
        config: the config with the overrides applied.
        known: ids of the files, from :func:`known_ids`.
        accepted: returns the names of a component's arguments (a mapping with ``_target_``), or None if it takes any or
            that is unknown. Called only for components with added arguments.
        lost: overrides without a place in the config.

    Raises:
        InputError: names every unknown override with the nearest known ids, or every value of a wrong type.
    """
    where = ", ".join(map(str, files))
    unknown = [*lost, *_find_unknown_ids(config, "", known, accepted)]
    if unknown:
        raise InputError(
            where,
            found=f"unknown override{'s' * (len(unknown) > 1)}: " + ", ".join(f"--{format_id(key)}" for key in unknown),
            expected="a key of the config" + _suggest_ids(unknown, known),
            remedy="correct the name; any key of the config file will do, with # between the parts of a nested key",
        )
    misfits = list(_find_misfits(config, "", known))
    if misfits:
        raise InputError(
            where,
            found=", ".join(f"--{format_id(key)} {value!r}" for key, value, _ in misfits),
            expected=", ".join(f"{kind} for {format_id(key)}" for key, _, kind in misfits),
            remedy="use a value of that type, as in the config file",
        )


def known_ids(configs: Iterable[dict[str, Any]]) -> Known:
    """Return every id in the files of a config, with its values there."""
    known: Known = {}
    for config in configs:
        _add_ids(config, "", known)
    return known


def merge_configs(configs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge several configs as MONAI does: later ones win, and ``+key`` adds to a mapping or a list."""
    merged: dict[str, Any] = {}
    for config in configs:
        for key, value in deepcopy(config).items():
            own = key.removeprefix(_MERGE)
            there = merged.get(own)
            if own != key and isinstance(there, dict) and isinstance(value, dict):
                there.update(value)
            elif own != key and isinstance(there, list) and isinstance(value, list):
                there.extend(value)
            else:
                apply_override(merged, own, value)
    return merged


def apply_override(config: dict[str, Any], id_: str, value: Any) -> bool:
    """Apply an override to a config in place; return False if the config has no place for it."""
    *above, last = normalise_id(id_).split(_SEPARATOR)
    inside: Any = config
    for part in above:
        inside = dict(_children(inside)).get(part)
    if isinstance(inside, dict):
        inside[last] = value
    elif isinstance(inside, list) and last in dict(_children(inside)):
        inside[int(last)] = value
    else:
        return False
    return True


def normalise_id(id_: str) -> str:
    """Return an id with MONAI's separator between its parts."""
    return id_.replace("#", _SEPARATOR)


def format_id(id_: str) -> str:
    """Return an id as a user types it."""
    return id_.replace(_SEPARATOR, "#")


def _add_ids(config: Any, prefix: str, known: Known) -> None:
    for key, value in _children(config):
        # An overlay may contain whole ids ("train#trainer#max_epochs") and "+" for merging.
        child = prefix + normalise_id(key.removeprefix(_MERGE))
        known.setdefault(child, []).append(value)
        _add_ids(value, child + _SEPARATOR, known)


def _children(config: Any) -> list[tuple[str, Any]]:
    if isinstance(config, dict):
        return [(str(key), value) for key, value in config.items()]
    return [(str(i), value) for i, value in enumerate(config)] if isinstance(config, list) else []


def _find_unknown_ids(config: Any, prefix: str, known: Known, accepted: Accepted) -> Iterator[str]:
    """Yield ids of the running config that no file has, within dictionaries that a file has.

    Three kinds of values are the user's own and not checked: replacements of a whole value (a number, an expression, a
    macro's text), items added to a list (such as tracking's handlers), and the options of a layer or skip,
    ``[name, {option: value}]``, since these belong to the new name.
    """
    for key, value in _children(config):
        child = prefix + key
        if child not in known:
            if isinstance(config, dict):
                yield child
        elif isinstance(value, dict) and "_target_" in value:
            yield from _find_unknown_arguments(value, child, known, accepted)
        elif isinstance(value, dict) and isinstance(config, list):
            continue
        elif any(type(value) is type(before) for before in known[child]):
            yield from _find_unknown_ids(value, child + _SEPARATOR, known, accepted)


def _find_unknown_arguments(component: dict[str, Any], id_: str, known: Known, accepted: Accepted) -> Iterator[str]:
    prefix = id_ + _SEPARATOR
    replaced = component["_target_"] not in known.get(prefix + "_target_", [])
    added = {key for key in component if replaced or prefix + key not in known}
    if added:
        # Looking up a target imports it, so only where there are added arguments.
        names = accepted(component)
        yield from (prefix + key for key in sorted(added) if names is not None and key not in names)
    yield from _find_unknown_ids(
        {key: component[key] for key in component if key not in added}, prefix, known, accepted
    )


def _find_misfits(config: Any, prefix: str, known: Known) -> Iterator[tuple[str, Any, str]]:
    """Yield id, value and expected type of each override whose type differs from the files' value.

    Inside lists nothing is checked: one item says nothing about the type of another. A list that starts with a name,
    such as ``["sat", {"maps": 2}]``, may be replaced by a name.
    """
    for key, value in _children(config):
        child = prefix + key
        kinds = [_expected_type(value, before) for before in known.get(child, [])]
        words = _WORDS.get(child, ())
        if kinds and all(kinds) and value not in words:
            yield child, value, " or ".join((kinds[-1], *words))
        elif isinstance(value, dict):
            yield from _find_misfits(value, child + _SEPARATOR, known)


def _expected_type(value: Any, before: Any) -> str:
    """Return the expected type, in words; empty if the value fits."""
    if value is None or (isinstance(value, str) and value.startswith(_EVALUATED)):
        return ""
    if isinstance(before, bool):
        # On the command line only True and False are booleans. "false" would be text, which counts as true.
        return "" if isinstance(value, bool | int) or value == "true" else "True or False (with a capital letter)"
    if isinstance(before, int | float):
        return "a number" if isinstance(value, str | bool | dict) else ""
    if isinstance(before, dict):
        return "" if isinstance(value, dict) else "a mapping"
    if _is_numeric_list(before):
        # The network would take a text for a list of its letters.
        return "a list of numbers" if isinstance(value, str | bool | dict) else ""
    return ""


def _is_numeric_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and type(value[0]) in (int, float)


def _suggest_ids(unknown: Iterable[str], known: Known) -> str:
    by_last_part: dict[str, list[str]] = {}
    for key in known:
        by_last_part.setdefault(key.rsplit(_SEPARATOR, 1)[-1], []).append(key)
    close: dict[str, None] = {}
    for key in unknown:
        words = get_close_matches(key, known, n=2)
        for last in get_close_matches(key.rsplit(_SEPARATOR, 1)[-1], by_last_part, n=2):
            words += by_last_part[last][:2]
        close.update(dict.fromkeys(words))
    return f"; the nearest are {', '.join(format_id(key) for key in close)}" if close else ""
