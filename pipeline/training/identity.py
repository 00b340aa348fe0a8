"""What a training is of: a checkpoint is resumed by the training that wrote it, and by no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..data.errors import InputError

__all__ = ["check_identity", "plain"]

_MISSING = "nothing"
_SHORT = 100  # characters of a value that a message holds whole


def plain(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Give the identity as JSON has it, tuples as lists, so that it equals itself after a checkpoint.

    Raises:
        TypeError: when a value is not a number, text, None, or a list or mapping of these.
    """
    values: dict[str, Any] = json.loads(json.dumps(dict(identity)))
    return values


def check_identity(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint is of the training that resumes it.

    Args:
        path: the checkpoint.
        before: the identity in it.
        now: the identity of the running training; both as :func:`plain` gives them.

    Raises:
        InputError: naming the first key that differs, with both values; of a long list, the first entry that differs.
    """
    for key in {**now, **before}:
        theirs, ours = before.get(key, _MISSING), now.get(key, _MISSING)
        if theirs == ours:
            continue
        found, expected = f"{key} {theirs!r}", f"{key} {ours!r}"
        if isinstance(theirs, list) and isinstance(ours, list) and max(len(found), len(expected)) > _SHORT:
            found, expected = _first_difference(key, theirs, ours)
        raise InputError(
            path,
            found=f"the checkpoint of a training with {found}",
            expected=f"{expected}, as in this training",
            remedy="resume with the settings of the first run, or start a new training in another --ckpt_dir",
        )


def _first_difference(key: str, theirs: list[Any], ours: list[Any]) -> tuple[str, str]:
    removed, added = [x for x in theirs if x not in ours], [x for x in ours if x not in theirs]
    if not removed and not added:
        position = next(i for i, (a, b) in enumerate(zip_longest(theirs, ours)) if a != b)
        return f"{key} in another order, the first at entry {position + 1}", f"{key} in the same order"
    differing = len(removed) + len(added)
    count = f"{differing} {'entry differs' if differing == 1 else 'entries differ'}"
    if removed:
        return f"other {key} ({count}, the first {removed[0]!r})", f"{key} without {removed[0]!r}"
    return f"other {key} ({count}: {added[0]!r} is missing)", f"{key} with {added[0]!r}"
