"""Read the skip connection that a plan is asked for: a file of the recipes, a name, or a list in Python's notation."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from monai.networks.layers.factories import split_args
from torch import nn

from ...data.errors import InputError
from ...networks import Skip
from ...networks.select_attend_transfer import Select
from ...networks.skips import build_skip
from ..render import list_skips, read_skip, recipes_folder
from ..skip_words import describe_skip, is_one_skip
from ..words import parse_value
from .choice import Choice

__all__ = ["PlannedSkip", "choose_skip"]

_REASONS = {"sat4": "the lightest skip within 0.002 Dice of concatenation in the same time: docs/speed.md of LightSkip"}
# The files of configs/skips whose sparsity a selecting skip takes, by the mode of its selection.
_SELECTING = {"soft": "sat", "hard": "sat_hard"}
_LEVEL_CHOICES = ("only", "all_but")
# Channels of the feature maps for a first check of the options; the real ones are not known yet.
_CHANNELS = 1024


@dataclass(frozen=True)
class PlannedSkip:
    """The skip connections of a plan.

    Args:
        text: what was asked for.
        is_file: whether this is the name of a file in ``configs/skips``.
        argument: the network's argument ``skip``.
    """

    text: str
    is_file: bool
    argument: Any

    def fitted(self, skips: int) -> Any:
        """Return the argument for a network with this number of skips, of which it may name more or fewer.

        The size of a network is searched with this. Its number of levels, and so of skips, depends on the size.
        """
        if not is_one_skip(self.argument):
            return [*self.argument, *[self.argument[-1]] * skips][:skips]
        name, options = split_args(self.argument)
        for word in _LEVEL_CHOICES:
            if word in options:
                levels = options[word] if isinstance(options[word], list) else [options[word]]
                left = [level for level in levels if not (type(level) is int and level >= skips)]
                others = {key: value for key, value in options.items() if key != word}
                without: Any = "none" if word == "only" else [name, others]
                return [name, {**options, word: left}] if left else without
        return self.argument

    def choice(self, network: nn.Module) -> Choice:
        """Return the value of the plan's ``skip``, with the sparsity that the network's selection needs."""
        if self.is_file:
            return Choice(self.text, _REASONS.get(self.text, "set by --skip"))
        modes = {part.mode for part in network.modules() if isinstance(part, Select)}
        sparsity = max((_read(_SELECTING[mode])["sparsity"] for mode in modes), default=0.0)
        words = describe_skip(self.argument)
        return Choice({"skip": self.argument, "sparsity": sparsity}, f"{words}; set by --skip")


def choose_skip(text: str) -> PlannedSkip:
    """Read the value of ``--skip``.

    Args:
        text: a file in ``configs/skips`` without its ending, a registered name, or what `lightskip train --skip` takes:
            ``"['sat', {'maps': 2}]"``, ``"['none', 'sat', 'concat']"`` (one per level, finest first),
            ``"['concat', {'only': 0}]"``.

    Raises:
        InputError: no skip connection has this name or takes these options. The message has the nearest name.
    """
    if text in list_skips():
        return PlannedSkip(text, True, _read(text)["skip"])
    argument = parse_value(text)
    if not isinstance(argument, list | tuple):
        _require_known(str(argument))
        argument = str(argument).lower()
    argument = _as_lists(argument)
    try:
        _try_options(argument)
    except (ValueError, TypeError) as error:
        raise InputError(
            "--skip",
            found=f"{text}: {error}",
            expected="a skip connection, or a list with one per level, with options that it takes",
            remedy="correct it; docs/skips.md of LightSkip has the names and options",
        ) from error
    return PlannedSkip(text, False, argument)


def _read(name: str) -> dict[str, Any]:
    return read_skip(name, recipes_folder() / "skips", Path("--skip"))


def _require_known(name: str) -> None:
    known = sorted({*list_skips(), *(each.lower() for each in Skip.names)})
    if name.upper() in Skip.names:
        return
    close = get_close_matches(name.lower(), known, n=1)
    raise InputError(
        "--skip",
        found=name,
        expected=f"one of {', '.join(known)}, or a list, such as \"['sat', {{'maps': 2}}]\"",
        remedy=f"did you mean {close[0]}?"
        if close
        else "choose one of these; for a skip connection of your own, edit skip and imports in plan.yaml afterwards",
    )


def _try_options(argument: Any) -> None:
    """Build each skip connection without memory.

    Raises:
        ValueError: a name is not registered, or a skip refuses an option.
    """
    each = [argument] if is_one_skip(argument) else argument
    for one in each:
        if not is_one_skip(one):
            msg = f"{one!r} is neither a name nor a pair of a name and its options"
            raise ValueError(msg)
        name, options = split_args(one)
        if one is argument:
            options = {key: value for key, value in options.items() if key not in _LEVEL_CHOICES}
        with torch.device("meta"):
            build_skip((name, options), spatial_dims=3, encoder_channels=_CHANNELS, decoder_channels=_CHANNELS)


def _as_lists(value: Any) -> Any:
    """Return a value with tuples as lists, as YAML has them."""
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, list | tuple) else value
