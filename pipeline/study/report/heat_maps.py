"""Draw how much the weights of every layer change in every epoch: a heat map per arm, all with one scale of colours."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...report.html.parts import Picture, embed_picture
from .arms import Arm, Group
from .values import Array, as_array, mean_known

__all__ = ["HeatMap", "Scale", "average_changes", "draw_heat_maps", "draw_scale"]

# Viridis (van der Walt and Smith, 2015, CC0) at nine equal steps. Its lightness rises evenly.
_VIRIDIS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
_UNKNOWN = (128, 128, 128)
_MAX_NAMES = 12  # of layers next to a map
_MAX_NAME = 21  # characters of a name
_LOW_SHARE = 1.0  # percentile of the changes at the dark end: single dead layers do not take the scale


@dataclass(frozen=True)
class Scale:
    """The logarithmic scale of colours: its ends, a picture of it, and the place in percent and text of its ticks."""

    low: float
    high: float
    picture: Picture | None
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class HeatMap:
    """A heat map of an arm.

    Attributes:
        skip: label of the skip.
        picture: the map; a row per layer, the first on top; a column per epoch.
        layers: place from the top in percent and name of some layers.
        epochs: place in percent and number of the first and the last epoch.
        text: the map in words.
    """

    skip: str
    picture: Picture | None
    layers: Sequence[tuple[float, str]]
    epochs: Sequence[tuple[float, str]]
    text: str


def average_changes(arm: Arm) -> tuple[list[str], list[int], Array] | None:
    """Return the layers, the epochs and the mean change over trainings, (epochs, layers); None if no run has any.

    Trainings of other layers than the first are left out; of epochs that not all trainings have, the others count.
    """
    parts: list[Mapping[str, Any]] = [run["weight_changes"] for run in arm.done if run.get("weight_changes")]
    parts = [part for part in parts if part["layers"] and part["epochs"] and part["layers"] == parts[0]["layers"]]
    if not parts:
        return None
    layers = list(map(str, parts[0]["layers"]))
    epochs = sorted({int(epoch) for part in parts for epoch in part["epochs"]})
    values = np.full((len(parts), len(epochs), len(layers)), np.nan)
    for row, part in enumerate(parts):
        places = [epochs.index(int(epoch)) for epoch in part["epochs"]]
        values[row, places] = as_array(part["values"], (len(places), len(layers)))
    return layers, epochs, mean_known(values, axis=0)


def draw_scale(groups: Sequence[Group]) -> Scale | None:
    """Return the scale that contains the changes of all arms of a study; None if no run has any above zero."""
    every = [found[2] for group in groups for arm in group.arms.values() if (found := average_changes(arm)) is not None]
    positive = np.concatenate([values[values > 0] for values in every]) if every else np.empty(0)
    if not positive.size:
        return None
    low, high = float(np.percentile(positive, _LOW_SHARE)), float(positive.max())
    low = low if low < high else high / 10
    first, last = np.log10([low, high])
    ramp = _colour(np.linspace(0, 1, 256))[None]
    powers = range(int(np.ceil(first)), int(np.floor(last)) + 1)
    ticks = [(round(100 * (power - first) / (last - first), 2), f"1e{power}") for power in powers]
    if len(ticks) < 2:
        ticks = [(0.0, f"{low:.1e}"), (100.0, f"{high:.1e}")]
    return Scale(low, high, embed_picture(_encode(ramp), f"scale of colours from {low:.1e} to {high:.1e}"), ticks)


def draw_heat_maps(group: Group, scale: Scale) -> list[HeatMap]:
    """Return the heat map of each arm of a group that has one."""
    maps = []
    for skip, arm in group.arms.items():
        found = average_changes(arm)
        if found is not None:
            maps.append(_draw(skip, *found, scale))
    return maps


def _draw(skip: str, layers: Sequence[str], epochs: Sequence[int], values: Array, scale: Scale) -> HeatMap:
    first, last = np.log10([scale.low, scale.high])
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.clip((np.log10(values) - first) / (last - first), 0, 1)
    pixels = _colour(np.where(np.isnan(values), np.nan, shares)).transpose(1, 0, 2)
    text = _describe(values)
    step = -(-len(layers) // _MAX_NAMES)
    short = _shorten(layers)
    names = [(round(100 * (at + 0.5) / len(layers), 2), short[at]) for at in range(0, len(layers), step)]
    places = dict.fromkeys((0, len(epochs) - 1))
    ends = [(round(100 * (at + 0.5) / len(epochs), 2), str(epochs[at])) for at in places]
    return HeatMap(skip, embed_picture(_encode(pixels), f"{skip}: {text}"), names, ends, text)


def _shorten(layers: Sequence[str]) -> list[str]:
    """Return the names without the last parts that all have, such as ``.weight``, and without their middle."""
    parts = [name.split(".") for name in layers]
    while len({one[-1] for one in parts}) == 1 and min(len(one) for one in parts) > 1:
        parts = [one[:-1] for one in parts]
    names = [".".join(one) for one in parts]
    half = (_MAX_NAME - 1) // 2
    return [name if len(name) <= _MAX_NAME else f"{name[:half]}…{name[-half:]}" for name in names]


def _describe(values: Array) -> str:
    """Return the mean change of the first, middle and last layers in words, from (epochs, layers)."""
    by_layer = mean_known(values, axis=0)
    third = len(by_layer) // 3
    if not third:
        return f"mean change of a weight per epoch: {float(mean_known(by_layer, axis=0)):.1e}"
    middle = float(mean_known(by_layer[third:-third], axis=0))
    outer = float(mean_known(np.concatenate([by_layer[:third], by_layer[-third:]]), axis=0))
    ratio = f", {middle / outer:.2f} times as much" if outer > 0 else ""
    return f"first and last third of the layers: {outer:.1e} per epoch; middle third: {middle:.1e}{ratio}"


def _colour(shares: Array) -> NDArray[np.uint8]:
    """Return red, green and blue of shares of the scale, (..., 3); grey for NaN."""
    anchors = np.array([[int(code[at : at + 2], 16) for at in (0, 2, 4)] for code in _VIRIDIS], dtype=np.float64)
    steps = np.linspace(0, 1, len(anchors))
    known = np.nan_to_num(shares)
    colours = np.stack([np.interp(known, steps, anchors[:, channel]) for channel in range(3)], axis=-1)
    colours[np.isnan(shares)] = _UNKNOWN
    return np.rint(colours).astype(np.uint8)


def _encode(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
