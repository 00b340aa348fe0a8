"""What overrides a bundle's config: the check of names and kinds, for a running config and for a command line.

Needs neither torch nor MONAI, so that a mistyped name is told before they are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..data.errors import InputError

__all__ = ["check_none", "check_overridden", "known_ids", "merge", "normalised", "place", "shown"]

Known = dict[str, list[Any]]
Accepted = Callable[[dict[str, Any]], set[str] | None]

# MONAI's own (monai.bundle.utils); importing them from there would import torch.
_SEPARATOR = "::"
_MERGE = "+"
_EVALUATED = ("$", "@", "%")


def check_none(files: Iterable[Path], nothing: Sequence[str]) -> None:
    """Refuse overrides with None, which MONAI's runner leaves out: the run would go on with the configured value.

    Args:
        files: the config's files, for the message.
        nothing: ids that None was given for.

    Raises:
        InputError: naming all of them.
    """
    if not nothing:
        return
    names = [shown(key) for key in nothing]
    if names == ["skip"]:
        expected, remedy = "the name of a skip connection", "did you mean none (the name of no skip)? Give --skip none"
    else:
        expected = "a value: overriding with None is not possible on the command line"
        remedy = "leave it out, or set null in the config file"
    raise InputError(
        ", ".join(map(str, files)),
        found=", ".join(f"--{name} None" for name in names) + ", which MONAI ignores",
        expected=expected,
        remedy=remedy,
    )


def check_overridden(
    files: Iterable[Path], config: dict[str, Any], known: Known, *, accepted: Accepted, lost: Sequence[str] = ()
) -> None:
    """Refuse what an overridden config holds and its files do not know, and values of another kind than theirs.

    Args:
        files: the config's files, for the message.
        config: the config with the overrides in it.
        known: ids of the files, as :func:`known_ids` gives them.
        accepted: gives the names of the arguments that a component (a mapping with ``_target_``) takes; None when it
            takes any, or when that cannot be told. Asked only about components that were given other arguments.
        lost: overrides that found no place in the config.

    Raises:
        InputError: naming every unknown override and the nearest known ids, or every value of another kind.
    """
    where = ", ".join(map(str, files))
    unknown = [*lost, *_unknown_ids(config, "", known, accepted)]
    if unknown:
        raise InputError(
            where,
            found=f"unknown override{'s' * (len(unknown) > 1)}: " + ", ".join(f"--{shown(key)}" for key in unknown),
            expected="a key that the config has" + _nearest(unknown, known),
            remedy="correct the name; every key in the config file is one, a nested key with # between its parts",
        )
    misfits = list(_misfits(config, "", known))
    if misfits:
        raise InputError(
            where,
            found=", ".join(f"--{shown(key)} {value!r}" for key, value, _ in misfits),
            expected=", ".join(f"{kind} for {shown(key)}" for key, _, kind in misfits),
            remedy="give a value of that kind; the config file has one",
        )


def known_ids(configs: Iterable[dict[str, Any]]) -> Known:
    """Every id that the files of a config have, with the values that they give it."""
    known: Known = {}
    for config in configs:
        _add_ids(config, "", known)
    return known


def merge(configs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One config of several files, as MONAI merges them: later ones win, ``+key`` adds to a mapping or a list."""
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
                place(merged, own, value)
    return merged


def place(config: dict[str, Any], id_: str, value: Any) -> bool:
    """Put an override into a config, in place; False where the config has nothing that it could stand in."""
    *above, last = normalised(id_).split(_SEPARATOR)
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


def normalised(id_: str) -> str:
    """An id with MONAI's separator between its parts."""
    return id_.replace("#", _SEPARATOR)


def shown(id_: str) -> str:
    """An id as a person types it."""
    return id_.replace(_SEPARATOR, "#")


def _add_ids(config: Any, prefix: str, known: Known) -> None:
    for key, value in _children(config):
        # A file that overlays another may write whole ids ("train#trainer#max_epochs") and "+" for merging.
        child = prefix + normalised(key.removeprefix(_MERGE))
        known.setdefault(child, []).append(value)
        _add_ids(value, child + _SEPARATOR, known)


def _children(config: Any) -> list[tuple[str, Any]]:
    if isinstance(config, dict):
        return [(str(key), value) for key, value in config.items()]
    return [(str(i), value) for i, value in enumerate(config)] if isinstance(config, list) else []


def _unknown_ids(config: Any, prefix: str, known: Known, accepted: Accepted) -> Iterator[str]:
    """Ids of the dictionary keys in the running config that no file has, where a file has the dictionary around them.

    What replaces a whole value of the files (a number, an expression, a macro's text) is the user's own and not
    looked into; nor are items added to a list, as tracking does with handlers, nor the options of a layer or skip,
    ``[name, {option: value}]``, which are another name's own.
    """
    for key, value in _children(config):
        child = prefix + key
        if child not in known:
            if isinstance(config, dict):
                yield child
        elif isinstance(value, dict) and "_target_" in value:
            yield from _unknown_arguments(value, child, known, accepted)
        elif isinstance(value, dict) and isinstance(config, list):
            continue
        elif any(type(value) is type(before) for before in known[child]):
            yield from _unknown_ids(value, child + _SEPARATOR, known, accepted)


def _unknown_arguments(component: dict[str, Any], id_: str, known: Known, accepted: Accepted) -> Iterator[str]:
    prefix = id_ + _SEPARATOR
    replaced = component["_target_"] not in known.get(prefix + "_target_", [])
    added = {key for key in component if replaced or prefix + key not in known}
    if added:
        # Looking a target up imports it: only where there is something to find out.
        names = accepted(component)
        yield from (prefix + key for key in sorted(added) if names is not None and key not in names)
    yield from _unknown_ids({key: component[key] for key in component if key not in added}, prefix, known, accepted)


def _misfits(config: Any, prefix: str, known: Known) -> Iterator[tuple[str, Any, str]]:
    """Id, value and expected kind of what replaces a value of the files by one of another kind.

    Lists are not looked into: one item says nothing about the kind of another that takes its place.
    """
    for key, value in _children(config):
        child = prefix + key
        kinds = [_misfit(value, before) for before in known.get(child, [])]
        if kinds and all(kinds):
            yield child, value, kinds[-1]
        elif isinstance(value, dict):
            yield from _misfits(value, child + _SEPARATOR, known)


def _misfit(value: Any, before: Any) -> str:
    """The kind that the value should have, empty when it fits."""
    if value is None or (isinstance(value, str) and value.startswith(_EVALUATED)):
        return ""
    if isinstance(before, bool):
        # On the command line only True and False are truth values. "false" is text, and text counts as true.
        return "" if isinstance(value, bool | int) or value == "true" else "True or False (with a capital letter)"
    if isinstance(before, int | float):
        return "a number" if isinstance(value, str | bool | dict) else ""
    if isinstance(before, dict):
        return "" if isinstance(value, dict) else "a mapping"
    return ""


def _nearest(unknown: Iterable[str], known: Known) -> str:
    by_last_part: dict[str, list[str]] = {}
    for key in known:
        by_last_part.setdefault(key.rsplit(_SEPARATOR, 1)[-1], []).append(key)
    close: dict[str, None] = {}
    for key in unknown:
        words = get_close_matches(key, known, n=2)
        for last in get_close_matches(key.rsplit(_SEPARATOR, 1)[-1], by_last_part, n=2):
            words += by_last_part[last][:2]
        close.update(dict.fromkeys(words))
    return f"; the nearest are {', '.join(shown(key) for key in close)}" if close else ""
