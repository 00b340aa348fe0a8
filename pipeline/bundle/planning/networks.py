"""How a plan chooses the arguments of each network. To plan another network, add a rule to :data:`RULES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ...data.errors import InputError
from .choice import Choice, format_numbers
from .size import TIMED_FIRST, WIDTHS, Size

__all__ = ["RULES", "NetworkRule", "explain_network", "find_rule", "network_spec"]

Arguments = dict[str, Any]


@dataclass(frozen=True)
class NetworkRule:
    """How a plan chooses the arguments of one network.

    Args:
        arguments: returns the network's own arguments for a size, in the plan's order.
        width_key: the argument that has the width; its reason says why the network has this size.
        width_words: the width in words, with ``{width}`` for its number.
        reasons: the reason for each other argument, besides ``kernel_size`` and ``strides``. An argument without a
            reason is not written: it is the default of the network's settings in a plan.
        widths: the widths to try, widest first: `Size.width`.
        timed_first: a wider network is not timed where this width leaves too little time for it.
    """

    arguments: Callable[[Size], Arguments]
    width_key: str
    width_words: str
    reasons: Mapping[str, str]
    widths: tuple[int, ...] = WIDTHS
    timed_first: int = TIMED_FIRST


def find_rule(name: str) -> NetworkRule:
    """Return the rule of a network.

    Raises:
        InputError: no plan can be made for a network of this name; the message has the nearest name.
    """
    if name not in RULES:
        close = get_close_matches(name.lower(), RULES, n=1)
        raise InputError(
            "--network",
            found=name,
            expected=f"one of {', '.join(RULES)}",
            remedy=f"did you mean {close[0]}?"
            if close
            else "choose one of these; for a network of your own, edit network in plan.yaml afterwards",
        )
    return RULES[name]


def network_spec(
    size: Size, *, dims: int, in_channels: int, out_channels: int, network: str = "vnet"
) -> dict[str, Any]:
    """Return the spec of a plan's network without its skip connections: see `pipeline.networks.build_network`."""
    task = {"spatial_dims": dims, "in_channels": in_channels, "out_channels": out_channels}
    return {"name": network, **task, **RULES[network].arguments(size)}


def explain_network(
    spec: Mapping[str, Any], size: Size, spacing: list[float], *, width_reason: str, memory: str, unit: str = "mm"
) -> dict[str, Any]:
    """Return the plan's ``network``: its arguments, each with its reason.

    Args:
        spec: from `network_spec`.
        size: the size that it is for.
        spacing: per axis.
        width_reason: why the network is not wider.
        memory: the memory of a training, in words.
        unit: of the spacing.
    """
    rule = RULES[spec["name"]]
    deepest = [side // step for side, step in zip(size.levels.patch, size.levels.divisor, strict=True)]
    reasons = {
        rule.width_key: f"{len(size.levels.kernels)} levels, down to {format_numbers(deepest)} voxels; "
        f"{rule.width_words.format(width=size.width)}: {width_reason}. Training takes about {memory}",
        "kernel_size": "along every axis: no axis is twice as coarse as another",
        "strides": "per level; 1 for an axis that is too coarse or too short to be halved",
        **rule.reasons,
    }
    if isinstance(spec["kernel_size"], list):
        finest = format_numbers(spacing)
        reasons["kernel_size"] = (
            f"per level; 1 along an axis while it is twice as coarse as the finest ({finest} {unit})"
        )
    name = {} if spec["name"] == "vnet" else {"name": Choice(spec["name"], "set by --network")}
    written = [key for key in rule.arguments(size) if key in reasons and (key != "strides" or spec[key] is not None)]
    return name | {key: Choice(spec[key], reasons[key]) for key in written}


def convolutions_per_level(levels: int) -> tuple[list[int], list[int]]:
    """Return the convolutions per level of encoder and decoder: one at the finest levels, where they cost most."""
    return [1] + [2] * (levels - 1), [1] * min(2, levels - 1) + [2] * max(levels - 3, 0)


def _grid(size: Size) -> Arguments:
    kernels, strides = size.levels.kernels, size.levels.strides
    return {
        "kernel_size": 3 if all(side == 3 for kernel in kernels for side in kernel) else kernels,
        "strides": None if all(step == 2 for steps in strides for step in steps) else strides,
    }


_LAYERS: Arguments = {
    "norm": ["instance", {"affine": True}],
    "act": ["leakyrelu", {"negative_slope": 0.01}],
    "dropout": 0.0,
}
# The measurements are in docs/speed.md of LightSkip.
_LAYER_REASONS = {
    "norm": "per patch, since a batch is small; with a learned scale and shift",
    "act": "a step with PReLU takes 1.4 times as long",
    "dropout": "none: augmentation, weight decay and averaged weights regularise",
}


def _vnet(size: Size) -> Arguments:
    convs, decoder_convs = convolutions_per_level(len(size.channels))
    return {
        "channels": size.channels,
        "convs_per_level": convs,
        "decoder_convs_per_level": decoder_convs,
        **_grid(size),
        **_LAYERS,
        "residual": "decoder",
        "head": "pointwise",
    }


def _unet(size: Size) -> Arguments:
    return {"channels": size.channels, **_grid(size), **_LAYERS, "encoder": "plain"}


def _tiramisu(size: Size) -> Arguments:
    levels = len(size.levels.kernels)
    return {
        "layers_per_block": [4, 5, 7, 10, 12, 15][:levels],
        "growth": size.width,
        "first_channels": 3 * size.width,
        **_grid(size),
        **_LAYERS,
        "act": "relu",
        "dense_skip": "concat",
    }


def _residual_fcn(size: Size) -> Arguments:
    below = len(size.levels.strides)
    simple = min(2, below - 1)
    return {
        # As published for seven levels: 32, 32, 32, 128, 256, 512, 1024.
        "channels": [size.width] * (1 + simple) + [4 * size.width * 2**level for level in range(below - simple)],
        "blocks_per_level": [1] * simple + [3, 8, 10][: below - simple - 1] + [3],
        **_grid(size),
        **_LAYERS,
        "act": "relu",
        "short_skips": True,
    }


RULES: dict[str, NetworkRule] = {
    "vnet": NetworkRule(
        _vnet,
        width_key="channels",
        width_words="{width} channels at the finest",
        reasons={
            "convs_per_level": "1 at the finest level, where a convolution costs most",
            "decoder_convs_per_level": "1 at the finest levels: the skips bring the encoder's features",
            **_LAYER_REASONS,
            "residual": "0.64 of the time per step: a decoder stage is no wider than its level, whatever the skip adds",
        },
    ),
    "unet": NetworkRule(
        _unet,
        width_key="channels",
        width_words="{width} channels at the finest",
        reasons={**_LAYER_REASONS, "encoder": "as published; residual, nnU-Net's, takes more time and memory"},
    ),
    "tiramisu": NetworkRule(
        _tiramisu,
        width_key="growth",
        width_words="each layer adds {width} channels",
        widths=(16, 12, 8, 4),
        timed_first=8,
        reasons={
            "layers_per_block": "as in FC-DenseNet103, for this number of levels",
            "first_channels": "three times the growth, as in FC-DenseNet103",
            **_LAYER_REASONS,
            "act": "as published",
            "dense_skip": "as published; sat passes attention maps of the earlier layers",
        },
    ),
    "residual_fcn": NetworkRule(
        _residual_fcn,
        width_key="channels",
        width_words="{width} initial filters",
        reasons={
            "blocks_per_level": "as published, for this number of levels, below the finest",
            **_LAYER_REASONS,
            "act": "as published",
            "short_skips": "as published; with long skips only, the centre of a very deep network hardly learns",
        },
    ),
}
