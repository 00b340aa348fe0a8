"""One of several processes that share scans without knowing of one another: ``lightskip predict --shard 3/20``.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NoReturn

from ..data.errors import InputError

__all__ = ["MAX_SHARDS", "Shard"]

MAX_SHARDS = 9_999
_WORD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True)
class Shard:
    """One share of the scans.

    Attributes:
        number: of this share, 1 to `count`.
        count: number of shares, 1 to `MAX_SHARDS`.

    Raises:
        InputError: a number is no whole number, or out of range.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        whole = all(isinstance(one, Integral) and not isinstance(one, bool) for one in (self.number, self.count))
        if not (whole and 1 <= self.number <= self.count <= MAX_SHARDS):
            _refuse(f"{self.number}/{self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: Any) -> Shard:
        """Return the share that a word such as ``3/20`` names.

        Raises:
            InputError: the word is another one, or a number is out of range.
        """
        if isinstance(text, cls):
            return text
        found = _WORD.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            _refuse(f"{text!r}"[:100])
        return cls(int(found[1]), int(found[2]))

    @property
    def report_name(self) -> str:
        """The file name of this share's report, such as ``report.shard_03_of_20.json``."""
        width = max(2, len(str(self.count)))
        return f"report.shard_{self.number:0{width}}_of_{self.count:0{width}}.json"

    def share(self, names: Collection[str]) -> set[str]:
        """Return the names of this share: of the sorted names every n-th. The order of the names does not matter."""
        return set(sorted(names)[self.number - 1 :: self.count])


def _refuse(found: str) -> NoReturn:
    raise InputError(
        "--shard",
        found=found,
        expected=f"I/N: the share I of N, I from 1 to N, N at most {MAX_SHARDS}",
        remedy="correct it, such as --shard 3/20",
    )
