"""Check that a checkpoint is resumed by the training that wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..data.errors import InputError

__all__ = ["check_identity", "to_json_values"]

_MISSING = "nothing"
_MAX_VALUE_LENGTH = 100  # characters; of a longer list a message names the first difference


def to_json_values(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity as JSON stores it, with tuples as lists, so that it equals its copy from a checkpoint.

    Raises:
        TypeError: a value is not a number, text, None, or a list or mapping of these.
    """
    values: dict[str, Any] = json.loads(json.dumps(dict(identity)))
    return values


def check_identity(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a checkpoint was written by the training that resumes it.

    Args:
        path: the checkpoint.
        before: the identity in it.
        now: the identity of the running training. Both come from :func:`to_json_values`.

    Raises:
        InputError: a key differs. The message has both values, or the first difference of a long list.
    """
    for key in {**now, **before}:
        old, new = before.get(key, _MISSING), now.get(key, _MISSING)
        if old == new:
            continue
        found, expected = f"{key} {old!r}", f"{key} {new!r}"
        if isinstance(old, list) and isinstance(new, list) and max(len(found), len(expected)) > _MAX_VALUE_LENGTH:
            found, expected = _describe_difference(key, old, new)
        raise InputError(
            path,
            found=f"the checkpoint of a training with {found}",
            expected=f"{expected}, as in this training",
            remedy="resume with the settings of the first run, or start a new training in another --ckpt_dir",
        )


def _describe_difference(key: str, old: list[Any], new: list[Any]) -> tuple[str, str]:
    """Return what was found and expected of a long list: its first difference."""
    removed, added = [x for x in old if x not in new], [x for x in new if x not in old]
    if not removed and not added:
        position = next(i for i, (a, b) in enumerate(zip_longest(old, new)) if a != b)
        return f"{key} in another order, from entry {position + 1}", f"{key} in the same order"
    differing = len(removed) + len(added)
    count = f"{differing} {'entry differs' if differing == 1 else 'entries differ'}"
    if removed:
        return f"other {key} ({count}, the first {removed[0]!r})", f"{key} without {removed[0]!r}"
    return f"other {key} ({count}: {added[0]!r} is missing)", f"{key} with {added[0]!r}"
