"""Draw what each skip connection keeps, computes and merges, with the channels of the built skip."""

# ruff: noqa: RUF001  Sizes have the multiplication sign.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from drawing import DECODER, ENCODER, NEUTRAL, SKIP, Drawing

from pipeline.networks import Skip

__all__ = ["SKIP_SHEETS", "SkipFigure", "draw_skips"]

CHANNELS = 64
_WIDTH, _HEIGHT, _BOX = 540, 150, 38


@dataclass(frozen=True)
class SkipFigure:
    """A skip to draw. ``before`` and ``after`` it waits for the decoder are lines of text, none for nothing.

    Attributes:
        asks_decoder: the gate also gets the decoder's feature map.
    """

    name: str
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    title: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    asks_decoder: bool = False


SKIP_SHEETS = {
    "skips_plain": [
        SkipFigure("concat"),
        SkipFigure("sum"),
        SkipFigure("scalar", after=["times a number", "softplus(β)"]),
        SkipFigure("none"),
    ],
    "skips_attention": [
        SkipFigure("at", before=["conv 1×1×1,", "sigmoid"]),
        SkipFigure("sat", before=["times weights w,", "conv 1×1×1, sigmoid"]),
        SkipFigure("st", after=["times weights w,", "one per channel"]),
        SkipFigure(
            "sat",
            title="sat4: sat with maps 4, gate linear, merge sum",
            options={"maps": 4, "gate": "linear", "merge": "sum"},
            before=["times weights w,", "conv 1×1×1"],
            after=["conv 1×1×1"],
        ),
    ],
    "skips_excitation": [
        SkipFigure("cse", after=["times a gate", "per channel"]),
        SkipFigure("sse", after=["times a gate", "per position"]),
        SkipFigure("scse", after=["the larger of", "cse and sse"]),
        SkipFigure("project_excite", after=["times a gate of", "profiles per axis"]),
    ],
    "skips_gate": [SkipFigure("attention_gate", after=["times a gate", "per position"], asks_decoder=True)],
}


def draw_skips(figures: Sequence[SkipFigure]) -> Drawing:
    """Return a sheet with two skips per row."""
    columns = min(len(figures), 2)
    rows = -(-len(figures) // columns)
    drawing = Drawing(columns * _WIDTH, rows * _HEIGHT)
    for i, figure in enumerate(figures):
        _draw_skip(drawing, figure, i % columns * _WIDTH, i // columns * _HEIGHT)
    return drawing


def _draw_skip(drawing: Drawing, figure: SkipFigure, x: float, y: float) -> None:
    """Draw a skip from its upper left corner. Time runs to the right; the dashed line is when the decoder comes."""
    with torch.device("meta"), torch.no_grad():
        skip = Skip.build(figure.name, figure.options, 3, CHANNELS, CHANNELS)
        kept = int(skip.keep(torch.empty(1, CHANNELS, 8, 8, 8)).shape[1])
    drawing.text(x + 16, y + 18, figure.title or figure.name, size=13, anchor="start", bold=True)
    upper, lower, waits, join = y + 66, y + 122, x + 252, x + 446
    half = _BOX / 2
    drawing.box(x + 16, upper - half, 56, _BOX, [f"f: {CHANNELS}"], ENCODER)
    drawing.box(x + 280, lower - half, 56, _BOX, [f"d: {CHANNELS}"], DECODER)
    drawing.box(x + 472, upper + 28 - half, 54, _BOX, [str(skip.merged_channels)], DECODER)
    drawing.arrow((waits, upper - 20), (waits, lower + 20), colour=NEUTRAL[1], dashed=True, head=False)
    drawing.text(waits, upper - 28, f"kept: {kept}", size=11)
    if kept:
        start = x + 72.0
        if figure.before:
            drawing.arrow((start, upper), (x + 92, upper))
            drawing.box(x + 92, upper - half, 138, _BOX, list(figure.before), SKIP)
            start = x + 230
        if figure.after:
            drawing.arrow((start, upper), (x + 274, upper))
            drawing.box(x + 274, upper - half, 130, _BOX, list(figure.after), SKIP)
            start = x + 404
        drawing.arrow((start, upper), (join, upper), (join, upper + 17))
        if figure.asks_decoder:
            drawing.arrow((x + 308, lower - half), (x + 308, upper + half))
        drawing.circle(join, upper + 28, "+" if skip.merge == "sum" else "∥")
        drawing.arrow((x + 336, lower), (join, lower), (join, upper + 39))
        drawing.arrow((join + 11, upper + 28), (x + 472, upper + 28))
    else:
        drawing.arrow((x + 336, lower), (join, lower), (join, upper + 28), (x + 472, upper + 28))
