"""Rename the weights of MONAI's networks whose architecture LightSkip's networks can have: VNet and BasicUNet.

``tests/networks/test_monai_names.py`` compares outputs. MONAI's other networks differ in their layers: its ``UNet`` has
residual units whose first convolution halves the grid, ``SegResNet`` adds its skips, and ``DynUNet`` strides in the
first convolution of a level.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["KNOWN", "rename_monai"]

KNOWN = "VNet and BasicUNet"

# A tensor that only the network has, and the names of LightSkip's modules by those of MONAI's.
_VNET = "in_tr.conv_block.conv.weight"
_BASIC_UNET = "conv_0.conv_0.conv.weight"
_VNET_NAMES = (
    (r"in_tr\.conv_block\.conv", "encoder.0.convs.0.0"),
    (r"in_tr\.conv_block\.adn\.N", "encoder.0.convs.0.1"),
    (r"in_tr\.act_function", "encoder.0.act"),
    (r"out_tr\.conv_block\.conv", "head.0.0"),
    (r"out_tr\.conv_block\.adn\.N", "head.0.1"),
    (r"out_tr\.act_function1", "head.0.2"),
    (r"out_tr\.conv2", "head.1"),
    (r"(down|up)_tr(\d+)\.(?:down|up)_conv", r"{stage}.\1.0"),
    (r"(down|up)_tr(\d+)\.bn1", r"{stage}.\1.1"),
    (r"(down|up)_tr(\d+)\.act_function1", r"{stage}.\1.2"),
    (r"(down|up)_tr(\d+)\.act_function2", r"{stage}.act"),
    (r"(down|up)_tr(\d+)\.ops\.(\d+)\.conv_block\.conv", r"{stage}.convs.\3.0"),
    (r"(down|up)_tr(\d+)\.ops\.(\d+)\.conv_block\.adn\.N", r"{stage}.convs.\3.1"),
    (r"(down|up)_tr(\d+)\.ops\.(\d+)\.act_function", r"{stage}.convs.\3.2"),
)
_VNET_STAGES = {
    **{("down", str(32 * 2**i)): f"encoder.{i + 1}" for i in range(4)},
    **{("up", str(256 // 2**i)): f"decoder.{i}" for i in range(4)},
}
_LAYERS = {"conv": "0", "adn.N": "1", "adn.A": "2"}  # of a convolution of BasicUNet


def rename_monai(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return weights under LightSkip's names, if they are those of a network of MONAI.

    Outputs are equal for ``VNet(..., act=...)`` of LightSkip with its defaults and MONAI's ``act``, and for ``UNet``
    with MONAI's ``features[:-1]`` as ``channels``, its ``norm`` and ``act``. MONAI's ``bias`` must be False where there
    is a norm, and its two finest levels must have one width. MONAI's ``BasicUNet`` concatenates the encoder's channels
    first, so the channels of these convolutions are exchanged.

    Args:
        weights: a state dict.

    Returns:
        The weights, and the name of MONAI's network; unchanged, and an empty text, if they are of another one.
    """
    if _VNET in weights:
        return {_rename_vnet(name): tensor for name, tensor in weights.items()}, "MONAI's VNet"
    if _BASIC_UNET in weights and "final_conv.weight" in weights:
        return _rename_basic_unet(weights), "MONAI's BasicUNet"
    return dict(weights), ""


def _rename_vnet(name: str) -> str:
    module, _, tensor = name.rpartition(".")
    for pattern, ours in _VNET_NAMES:
        match = re.fullmatch(pattern, module)
        if match is None:
            continue
        stage = _VNET_STAGES.get((match[1], match[2]), "") if "{stage}" in ours else ""
        return f"{match.expand(ours).replace('{stage}', stage)}.{tensor}"
    return name


def _rename_basic_unet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    depth = max(int(match[1]) for name in weights if (match := re.match(r"down_(\d+)\.", name)))
    renamed = {}
    for name, tensor in weights.items():
        value = tensor
        first = re.fullmatch(r"upcat_(\d+)\.convs\.conv_0\.conv\.weight", name)
        if first is not None:
            level = int(first[1]) - 1
            finer = "conv_0" if level == 0 else f"down_{level}.convs"
            width = weights[f"{finer}.conv_1.conv.weight"].shape[0]
            value = torch.cat((tensor[:, width:], tensor[:, :width]), dim=1)
        renamed[_name_in_unet(name, depth)] = value
    return renamed


def _name_in_unet(name: str, depth: int) -> str:
    module, _, tensor = name.rpartition(".")
    if module == "final_conv":
        return f"head.{tensor}"
    if up := re.fullmatch(r"upcat_(\d+)\.upsample\.deconv", module):
        return f"decoder.{depth - int(up[1])}.up.{tensor}"
    parts = re.fullmatch(r"(conv_0|down_(\d+)\.convs|upcat_(\d+)\.convs)\.conv_(\d)\.(conv|adn\.[NA])", module)
    if parts is None:
        return name
    stage = f"decoder.{depth - int(parts[3])}" if parts[3] else f"encoder.{parts[2] or 0}"
    return f"{stage}.convs.{parts[4]}.{_LAYERS[parts[5]]}.{tensor}"
