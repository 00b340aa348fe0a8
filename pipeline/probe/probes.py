"""The probes: ways to take something away from what a skip connection transfers, without training again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..data.errors import InputError

__all__ = ["DEFAULT_PROBES", "Probe", "parse_probes"]

DEFAULT_PROBES = ("off", "shuffle", "mean", "maps=1")
_PLAIN = ("off", "shuffle", "mean")
_FORMS = "off, shuffle, mean or maps=N with N from 1"


@dataclass(frozen=True)
class Probe:
    """A probe of one level's skip connection.

    Attributes:
        kind: ``off``: the skip transfers zeros. For a skip that is concatenated, the decoder's convolution reads zeros
            in its place; for one that is added, nothing is added.
            ``mean``: each transferred channel is replaced by its mean over the window. What is left is one number per
            channel and window, without any place.
            ``shuffle``: the skip gets what another case's encoder gave it, from the window at the same relative place.
            ``maps``: only the strongest maps are transferred, the others are zero.
        maps: number of maps that are left, for ``maps``; otherwise None.
    """

    kind: str
    maps: int | None = None

    @property
    def name(self) -> str:
        """The probe as it is written on the command line."""
        return self.kind if self.maps is None else f"maps={self.maps}"


def parse_probes(words: Sequence[str]) -> list[Probe]:
    """Return the probes that a user named, each once, in their order.

    Args:
        words: ``off``, ``shuffle``, ``mean`` or ``maps=N``; ``none`` alone for no probe.

    Raises:
        InputError: a word is none of these.
    """
    if list(words) == ["none"]:
        return []
    return list(dict.fromkeys(_parse(word) for word in words))


def _parse(word: str) -> Probe:
    if word in _PLAIN:
        return Probe(word)
    number = re.fullmatch("maps=([1-9][0-9]*)", word)
    if number:
        return Probe("maps", int(number[1]))
    close = get_close_matches(word, [*_PLAIN, "maps=1"], n=1)
    remedy = f"did you mean {close[0]}?" if close else "leave --probes out for the default ones"
    raise InputError("--probes", found=repr(word), expected=_FORMS, remedy=remedy)
