"""Keys and columns that resemble a known one: a mistyped key would be ignored without a word, and its values with it.

Files of datasets have many keys of other programs, so that an unknown one alone is no mistake.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path

from .errors import InputError

__all__ = ["ITEM_KEYS", "check_keys", "resembled_key"]

ITEM_KEYS = ("image", "label", "fold", "subject", "annotated")
"""The keys of a datalist's item that are read."""

_MIN_LENGTH = 4  # a shorter key resembles too many words
_LONG = 8  # from here on two letters may be wrong
# Words of their own, although only one letter is different.
_OTHER_WORDS = frozenset({"path", "text", "rest", "past", "gold", "bold", "cold", "hold", "annotator"})


def check_keys(
    keys: Iterable[object],
    read: Collection[str],
    file: str | Path,
    *,
    place: str = "",
    known: Collection[str] = (),
    line: int | None = None,
) -> None:
    """Refuse a key that resembles one that is read, if that one is not there.

    Args:
        keys: of one mapping, or the columns of a table.
        read: the keys whose values count.
        file: where they are; a JSON file is searched for the key's line.
        place: of the mapping in the file, such as "training[3]"; empty for the file as a whole.
        known: further keys, which are right although nobody reads them.
        line: of the keys, if it is known.

    Raises:
        InputError: the first such key, with its line and the key that it resembles.
    """
    there = tuple(map(str, keys))
    found = _mistyped(there, tuple(read), tuple(known))
    if found is None:
        return
    key, meant = found
    number = line if line is not None else _line_of(file, key, place)
    where = " and ".join(part for part in (place, f"line {number}" if number else "") if part)
    raise InputError(
        file,
        found=f'the key "{key}"{f" in {where}" if where else ""}, which is not read',
        expected=f'"{meant}", or a key that does not resemble it',
        remedy=f'did you mean "{meant}"? Otherwise give it another name',
    )


def resembled_key(key: str, known: Iterable[str]) -> str | None:
    """Return the known key that an unknown one resembles; None if there is none, or it is known itself.

    It is the same but for case, spaces, signs and a plural in -ies; or one letter is wrong, missing, too many or
    exchanged with the next one (two, in keys of 8 letters or more). Numbers at the end are deliberate.
    """
    names = list(known)
    if key in names:
        return None
    plain = _letters(key)
    for name in names:
        if plain == _letters(name):
            return name
    if len(plain) < _MIN_LENGTH or key.lower() in _OTHER_WORDS or plain[-1:].isdigit():
        return None
    distances = {name: _distance(plain, _letters(name)) for name in names if len(_letters(name)) >= _MIN_LENGTH}
    close = [name for name, count in distances.items() if count <= (2 if len(name) >= _LONG else 1)]
    return min(close, key=lambda name: distances[name], default=None)


@lru_cache(maxsize=256)
def _mistyped(keys: tuple[str, ...], read: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, str] | None:
    absent = [name for name in read if name not in keys]
    for key in keys:
        if key not in read and key not in known:
            meant = resembled_key(key, absent)
            if meant is not None:
                return key, meant
    return None


def _letters(key: str) -> str:
    plain = "".join(sign for sign in key.lower() if sign.isalnum())
    return f"{plain[:-3]}y" if plain.endswith("ies") else plain


def _distance(one: str, other: str) -> int:
    """Return the number of letters to insert, delete, replace or exchange with the next one.

    Optimal string alignment, a restricted form of the Damerau-Levenshtein distance.
    """
    if abs(len(one) - len(other)) > 2:
        return 3
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, sign in enumerate(one, 1):
        earlier, before, row = before, row, [number]
        for column, wanted in enumerate(other, 1):
            least = min(row[-1] + 1, before[column] + 1, before[column - 1] + (sign != wanted))
            if number > 1 and column > 1 and sign == other[column - 2] and one[number - 2] == wanted:
                least = min(least, earlier[column - 2] + 1)
            row.append(least)
    return row[-1]


def _line_of(file: str | Path, key: str, place: str) -> int | None:
    """Return the line of a key in a JSON file: of its first place; None if the file is no text or lacks it.

    A key of an item is searched for from the item's list on.
    """
    try:
        text = Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    part = re.search(rf"{re.escape(json.dumps(place.partition('[')[0]))}\s*:", text) if place else None
    found = re.compile(rf"{re.escape(json.dumps(key, ensure_ascii=False))}\s*:").search(text, part.end() if part else 0)
    return None if found is None else text.count("\n", 0, found.start()) + 1
