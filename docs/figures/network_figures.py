"""Draw a network's levels: stages, widths, strides and skips, as they are in the built network."""

# ruff: noqa: RUF001  Sizes have the multiplication sign.

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from drawing import DECODER, ENCODER, NEUTRAL, SKIP, Drawing
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from pipeline.networks import build_network

__all__ = ["NETWORK_FIGURES", "NetworkFigure", "draw_network"]

_WIDTH, _BOX, _HEIGHT, _ROW, _TOP = 880, 204, 46, 68, 118


@dataclass(frozen=True)
class NetworkFigure:
    """A network to draw, in its published form.

    ``down`` and ``up`` are what changes the grid, in words.
    """

    title: str
    spec: dict[str, Any]
    size: tuple[int, ...]
    down: str
    up: str


NETWORK_FIGURES = {
    "vnet": NetworkFigure(
        "V-Net",
        {"name": "vnet", "spatial_dims": 3},
        (128, 128, 64),
        "convolution of 2×2×2 with stride 2",
        "transposed convolution of 2×2×2",
    ),
    "unet": NetworkFigure(
        "U-Net in 2D",
        {"name": "unet", "spatial_dims": 2, "norm": None},
        (512, 512),
        "max pooling",
        "transposed convolution of 2×2",
    ),
    "tiramisu": NetworkFigure(
        "Tiramisu, FC-DenseNet103",
        {"name": "tiramisu", "spatial_dims": 2, "in_channels": 3, "out_channels": 11},
        (224, 224),
        "1×1 convolution, max pooling",
        "transposed convolution of 3×3",
    ),
    "residual_fcn": NetworkFigure(
        "Residual FCN",
        {"name": "residual_fcn", "spatial_dims": 2},
        (512, 512),
        "in a level's first block",
        "nearest neighbour, after a level's last block",
    ),
}


@dataclass(frozen=True)
class _Stage:
    channels: int
    grid: tuple[int, ...]
    convolutions: str


def draw_network(figure: NetworkFigure) -> Drawing:
    """Return the drawing: a row per level, the encoder on the left, the decoder on the right, skips between them."""
    with torch.device("meta"), torch.no_grad():
        network = build_network(figure.spec).eval()
        encoder, decoder, kept = _observe(network, figure.size)
    levels = network.levels
    drawing = Drawing(_WIDTH, _TOP + levels * _ROW + 44)
    million = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    drawing.text(20, 24, f"{figure.title}: {million:.2f} million parameters", size=15, anchor="start", bold=True)
    skips = list(network.skips().values())
    indent = 132 / (levels - 1)
    left, right = ([_side(level, levels, indent, mirror) for level in range(levels)] for mirror in (False, True))
    _draw_ends(drawing, network, figure)
    for level in range(levels):
        y, deepest = _TOP + level * _ROW, level == levels - 1
        stage = encoder[level]
        lines = [f"{stage.channels} channels, {_times(stage.grid)}", stage.convolutions]
        drawing.box(left[level], y, _BOX, _HEIGHT, lines, NEUTRAL if deepest else ENCODER)
        if level > 0:
            _draw_descent(drawing, left, right, level, levels, _stride(encoder[level - 1].grid, stage.grid))
        if deepest:
            continue
        up, skip = decoder[level], skips[level]
        sign = "+" if skip.merge == "sum" else "∥"
        lines = [f"{skip.decoder_channels} {sign} {skip.transferred_channels} → {up.channels}", up.convolutions]
        drawing.box(right[level], y, _BOX, _HEIGHT, lines, DECODER)
        middle = y + _HEIGHT / 2
        drawing.arrow((left[level] + _BOX, middle), (right[level], middle), colour=SKIP[1])
        center = (left[level] + _BOX + right[level]) / 2
        drawing.text(center, middle - 10, f"skip: {kept[level]} channels", size=11)
    foot = _TOP + levels * _ROW + 2
    drawing.text(20, foot, f"↓ {figure.down};  ↑ {figure.up}", size=11, anchor="start")
    words = "added to" if skips[0].merge == "sum" else "appended to"
    drawing.text(
        20,
        foot + 20,
        f"a {sign} b → c: b channels of the skip, {words} a channels from below; c channels of the stage",
        size=11,
        anchor="start",
    )
    return drawing


def _draw_ends(drawing: Drawing, network: Any, figure: NetworkFigure) -> None:
    """Draw the input above the encoder, and the logits above the decoder."""
    x, y = 20 + _BOX / 2, 58
    drawing.text(x, y, f"input: {network.in_channels} × {_times(figure.size)}", size=12)
    drawing.arrow((x, y + 12), (x, _TOP))
    x = _WIDTH - 20 - _BOX / 2
    drawing.text(x, y, f"logits: {network.out_channels} × {_times(figure.size)}", size=12)
    text = f"head: {_count_convolutions(network.head)}"
    drawing.text(x - 14, y + 38, text, size=11, anchor="end")
    drawing.arrow((x, _TOP), (x, y + 12))


def _draw_descent(
    drawing: Drawing, left: list[float], right: list[float], level: int, levels: int, stride: str
) -> None:
    """Draw the arrows between a level and the next finer one, with the stride."""
    y, above = _TOP + level * _ROW, _TOP + (level - 1) * _ROW + _HEIGHT
    if level == levels - 1:
        # The deepest stage is in the middle of both sides.
        middle = y + _HEIGHT / 2
        x = left[level - 1] + _BOX / 2
        drawing.arrow((x, above), (x, middle), (left[level], middle))
        drawing.text(x - 8, y, f"÷ {stride}", size=11, anchor="end")
        x = right[level - 1] + _BOX / 2
        drawing.arrow((left[level] + _BOX, middle), (x, middle), (x, above))
        drawing.text(x + 8, y, f"× {stride}", size=11, anchor="start")
        return
    x = left[level] + 30
    drawing.arrow((x, above), (x, y))
    drawing.text(x + 10, (above + y) / 2, f"÷ {stride}", size=11, anchor="start")
    x = right[level] + _BOX - 30
    drawing.arrow((x, y), (x, above))
    drawing.text(x - 10, (above + y) / 2, f"× {stride}", size=11, anchor="end")


def _side(level: int, levels: int, indent: float, mirror: bool) -> float:
    """Return the left edge of a level's box."""
    if level == levels - 1:
        return (_WIDTH - _BOX) / 2
    x = 20 + indent * level
    return _WIDTH - x - _BOX if mirror else x


def _observe(network: Any, size: tuple[int, ...]) -> tuple[list[_Stage], list[_Stage], list[int]]:
    """Run the network without memory. Return its encoder's and its decoder's stages and the channels kept by skips.

    All are finest level first.
    """
    shapes: dict[int, Tensor] = {}

    def record(key: int, module: nn.Module, args: Any, output: Tensor) -> None:  # noqa: ARG001
        shapes[key] = output

    stages = [*network.encoder, *network.decoder]
    handles = [stage.register_forward_hook(partial(record, i)) for i, stage in enumerate(stages)]
    network(torch.empty(1, network.in_channels, *size))
    for handle in handles:
        handle.remove()
    found = [
        _Stage(int(shapes[i].shape[1]), tuple(shapes[i].shape[2:]), _count_convolutions(stage))
        for i, stage in enumerate(stages)
    ]
    encoder, decoder = found[: network.levels], found[network.levels :][::-1]
    kept = [int(skip.keep(shapes[i]).shape[1]) for i, skip in enumerate(network.skips().values())]
    return encoder, decoder, kept


def _count_convolutions(stage: nn.Module) -> str:
    """Return the convolutions of a stage in words. Those that only change the grid, and its skip's, do not count."""
    own = [module for name, module in stage.named_modules() if not name.startswith("skip.")]
    kernels = Counter(
        _times(module.kernel_size)
        for module in own
        if isinstance(module, _ConvNd)
        and not isinstance(module, _ConvTransposeNd)
        and not (max(module.stride) > 1 and module.kernel_size == module.stride)
    )
    return " + ".join(f"{count} conv {kernel}" for kernel, count in sorted(kernels.items(), reverse=True))


def _stride(finer: tuple[int, ...], coarser: tuple[int, ...]) -> str:
    return _times(tuple(a // b for a, b in zip(finer, coarser, strict=True)))


def _times(numbers: tuple[int, ...]) -> str:
    return "×".join(map(str, numbers))
