"""Turn the architecture in nnU-Net's plans into the spec of a LightSkip network.

nnU-Net decides the levels: widths, kernels, strides, normalisation, activation. The network decides what else is in a
stage. ``docs/nnunet.md`` has the table.
"""

import inspect
from collections.abc import Mapping
from math import prod
from typing import Any

from monai.networks.layers.factories import Act, Norm
from torch import nn

from ..data.errors import InputError
from ..data.finite_weights import require_finite
from ..networks import EncoderDecoder, Networks, build_network
from .settings import Settings

__all__ = ["build_planned_network", "planned_arguments"]

_WHERE = "nnU-Net's plans, architecture.arch_kwargs"


def build_planned_network(
    architecture: Mapping[str, Any], settings: Settings, *, spatial_dims: int, in_channels: int, out_channels: int
) -> EncoderDecoder:
    """Build the network of the settings with the levels of nnU-Net's plans.

    Args:
        architecture: the entry ``architecture`` of a configuration in nnU-Net's plans.
        settings: the network, its skip and further arguments.
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: nnU-Net's number of segmentation heads: the classes, background included, or the regions.

    Returns:
        The network with new weights and with heads for deep supervision, as nnU-Net's own networks always have: their
        weights are loaded for inference, where deep supervision is off.

    Raises:
        InputError: the plans have strides, kernels or layers that LightSkip's networks do not have, or the network has
            other levels than the plans.
        ValueError: the network does not accept an argument.
    """
    planned = planned_arguments(settings.network, architecture)
    skip = {} if settings.skip is None else {"skip": settings.skip}
    network: EncoderDecoder = build_network(
        {
            "name": settings.network,
            "spatial_dims": spatial_dims,
            "in_channels": in_channels,
            "out_channels": out_channels,
            **planned,
            **skip,
            **settings.arguments,
            "deep_supervision": True,
        }
    )
    _require_planned_levels(network, architecture["arch_kwargs"])
    network.register_load_state_dict_post_hook(_require_finite)
    return network


def _require_finite(network: nn.Module, _keys: Any) -> None:
    """Raise InputError if weights that were loaded are not finite: nnU-Net loads its checkpoints without a look."""
    require_finite("nnU-Net's checkpoint", dict(network.named_parameters()))


def planned_arguments(name: str, architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network's arguments that follow from nnU-Net's plans.

    Args:
        name: a registered network.
        architecture: the entry ``architecture`` of a configuration in nnU-Net's plans, of ``PlainConvUNet`` or
            ``ResidualEncoderUNet``.

    Returns:
        ``channels``, ``kernel_size``, ``strides``, ``norm``, ``act`` and ``dropout``, as far as the network takes them,
        and the arguments of :data:`_STAGES`.

    Raises:
        InputError: see :func:`build_planned_network`.
    """
    plan = _levels_of(architecture)
    arguments = {
        "channels": list(plan["features_per_stage"]),
        "kernel_size": [_whole_numbers(kernel) for kernel in plan["kernel_sizes"]],
        "strides": _strides(plan["strides"]),
        "norm": _norm(plan),
        "act": _act(plan),
    }
    if plan.get("dropout_op") is not None:
        arguments["dropout"] = float((plan.get("dropout_op_kwargs") or {}).get("p", 0.5))
    accepted = inspect.signature(Networks[name].__init__).parameters
    stages = _STAGES[name.lower()](architecture) if name.lower() in _STAGES else {}
    return {key: value for key, value in arguments.items() if key in accepted} | stages


def _levels_of(architecture: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of nnU-Net's network, or raise an error if it is not an encoder-decoder with levels."""
    plan: Mapping[str, Any] = architecture["arch_kwargs"]
    missing = [key for key in ("features_per_stage", "kernel_sizes", "strides") if key not in plan]
    if missing:
        raise InputError(
            _WHERE,
            found=f"no {missing[0]}, for the network {architecture.get('network_class_name')}",
            expected="the arguments of PlainConvUNet or ResidualEncoderUNet, which list their levels",
            remedy="use plans of nnU-Net's U-Nets, such as nnUNetPlans or nnUNetResEncUNetMPlans",
        )
    return plan


def _vnet_stages(architecture: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    # As in LightSkip's own plans. The numbers of convolutions are the V-Net's.
    return {"residual": "decoder", "head": "pointwise"}


def _unet_stages(architecture: Mapping[str, Any]) -> dict[str, Any]:
    plan = architecture["arch_kwargs"]
    levels = len(plan["features_per_stage"])
    # nnU-Net lists the decoder's stages in the order in which they run, the deepest first.
    decoder = _per_stage(plan["n_conv_per_stage_decoder"], levels - 1)[::-1]
    if "n_blocks_per_stage" in plan:
        blocks = _per_stage(plan["n_blocks_per_stage"], levels)
        return {"encoder": "residual", "blocks_per_level": blocks, "decoder_convs_per_level": decoder}
    convs = _per_stage(plan["n_conv_per_stage"], levels)
    return {"down": "conv", "convs_per_level": convs, "decoder_convs_per_level": decoder}


def _tiramisu_stages(architecture: Mapping[str, Any]) -> dict[str, Any]:
    # FC-DenseNet67 has five layers in every block, so it can have any number of levels. FC-DenseNet103 has another
    # number at each of its six levels.
    return {"form": 67, "layers_per_block": [5] * len(architecture["arch_kwargs"]["features_per_stage"])}


def _per_stage(numbers: Any, stages: int) -> list[int]:
    return [numbers] * stages if isinstance(numbers, int) else list(numbers)


# The arguments that describe what is in a stage, for the networks that have them in nnU-Net's plans or LightSkip's.
_STAGES = {"vnet": _vnet_stages, "unet": _unet_stages, "tiramisu": _tiramisu_stages}


def _strides(strides: list[Any]) -> list[list[int]]:
    """Return the strides between levels. nnU-Net's list begins with the one of the first stage, which is 1."""
    first, *others = [_whole_numbers(stride) for stride in strides]
    if set(first) != {1}:
        raise InputError(
            f"{_WHERE}.strides",
            found=f"{first} for the first stage",
            expected="1 along every axis: the finest level of LightSkip's networks has the input's grid",
            remedy="plan the dataset with nnU-Net's own planner",
        )
    for stage, stride in enumerate(others, start=1):
        if not {1, 2}.issuperset(stride) or 2 not in stride:
            raise InputError(
                f"{_WHERE}.strides",
                found=f"{stride} for stage {stage}",
                expected="1 or 2 along every axis, at least one of them 2",
                remedy="change this stage's strides in the plans, or leave the stage out",
            )
    return others


def _norm(plan: Mapping[str, Any]) -> Any:
    name = _class_name(plan.get("norm_op"))
    if name is None:
        return None
    short = name.removesuffix("1d").removesuffix("2d").removesuffix("3d").removesuffix("Norm").lower()
    return [_require_known("norm_op", name, short, Norm.names), dict(plan.get("norm_op_kwargs") or {})]


def _act(plan: Mapping[str, Any]) -> Any:
    name = _class_name(plan.get("nonlin")) or "Identity"
    # LightSkip's networks choose themselves where an activation can work in place.
    options = {key: value for key, value in (plan.get("nonlin_kwargs") or {}).items() if key != "inplace"}
    return [_require_known("nonlin", name, name.lower(), Act.names), options]


def _require_known(key: str, found: str, short: str, known: Any) -> str:
    if short.upper() not in known:
        raise InputError(
            f"{_WHERE}.{key}",
            found=found,
            expected=f"a layer that MONAI has: {', '.join(sorted(name.lower() for name in known))}",
            remedy="change the plans, or give norm and act in the entry lightskip",
        )
    return short


def _class_name(path: Any) -> str | None:
    """Return the name of a class that the plans give by its import path."""
    return None if path is None else str(path).rpartition(".")[2]


def _whole_numbers(values: Any) -> list[int]:
    return [int(value) for value in values]


def _require_planned_levels(network: EncoderDecoder, plan: Mapping[str, Any]) -> None:
    """Raise an error unless the network's outputs under deep supervision fit nnU-Net's labels."""
    divisor = tuple(prod(axis) for axis in zip(*plan["strides"], strict=True))
    levels = len(plan["strides"])
    if network.levels != levels or network.size_divisor != divisor:
        raise InputError(
            "nnU-Net's plans, entry lightskip of the configuration",
            found=f"a network of {network.levels} levels that divides the patch by {network.size_divisor}",
            expected=f"{levels} levels and {divisor}, as in the architecture of the plans",
            remedy="give the network's lists one entry per level of the plans",
        )
