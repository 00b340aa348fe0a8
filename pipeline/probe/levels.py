"""The levels of a trained network whose skip connections can be probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..networks import Network, Skip, SkipConnection

__all__ = ["Level", "find_levels", "select_levels"]


@dataclass(frozen=True)
class Level:
    """A level with a skip connection that transfers something.

    Attributes:
        number: the level; 0 is the finest.
        name: name of the skip in the network's state dict.
        kind: registered name of the skip connection, such as ``sat``.
        skip: the skip connection.
    """

    number: int
    name: str
    kind: str
    skip: SkipConnection


def find_levels(network: Any, weights: str | Path) -> list[Level]:
    """Return the network's levels whose skips transfer channels, finest first.

    Args:
        network: the trained network.
        weights: its file, for errors.

    Raises:
        InputError: the network has no skip connections of LightSkip, or none of them transfers anything.
    """
    if not isinstance(network, Network):
        raise InputError(
            weights,
            found=f"a {type(network).__name__}, which is not one of LightSkip's networks",
            expected="a network with a skip connection per level",
            remedy="train the bundle with one of the networks in docs/networks.md",
        )
    levels = [
        Level(number, name, _find_kind(skip), skip)
        for number, (name, skip) in enumerate(network.skips().items())
        if skip.transferred_channels > 0
    ]
    if not levels:
        raise InputError(
            weights,
            found="a network whose skip connections all transfer nothing (none)",
            expected="a network with a skip connection that transfers something",
            remedy="probe a training with another skip: lightskip train BUNDLE --skip sat4",
        )
    return levels


def select_levels(levels: Sequence[Level], numbers: Sequence[int] | None, total: int) -> list[Level]:
    """Return the levels with these numbers, in the order of the levels; all of them for None.

    Args:
        levels: levels that can be probed.
        numbers: numbers that the user gave; None for all.
        total: number of skip connections of the network.

    Raises:
        InputError: a level does not exist, or its skip transfers nothing.
    """
    if numbers is None:
        return list(levels)
    known = {level.number for level in levels}
    for number in numbers:
        if number in known:
            continue
        exists = 0 <= number < total
        raise InputError(
            f"--levels {number}",
            found="a level whose skip transfers nothing (none)" if exists else f"a network with {total} skips",
            expected=f"levels with a skip: {', '.join(map(str, sorted(known)))}; 0 is the finest",
            remedy="name some of these, or leave --levels out for all",
        )
    return [level for level in levels if level.number in set(numbers)]


def _find_kind(skip: SkipConnection) -> str:
    """Return the registered name of a skip connection, or its class's name."""
    names = [str(name).lower() for name in Skip.names if Skip[name] is type(skip)]
    return names[0] if names else type(skip).__name__
