"""Architectures as nnU-Net 2.8.1 plans them, copied from its nnUNetPlans.json."""

from typing import Any

# Slices of 4 mm with pixels of 1 mm.
PLAIN_3D: dict[str, Any] = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 4,
        "features_per_stage": [32, 64, 128, 256],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
        "n_conv_per_stage": [2, 2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2, 2],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
PLAIN_2D: dict[str, Any] = {
    **PLAIN_3D,
    "arch_kwargs": {
        **PLAIN_3D["arch_kwargs"],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3], [3, 3], [3, 3], [3, 3]],
        "strides": [[1, 1], [2, 2], [2, 2], [2, 2]],
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    },
}


def changed(architecture: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Return an architecture with other arguments."""
    return {**architecture, "arch_kwargs": {**architecture["arch_kwargs"], **arguments}}


def residual(architecture: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Return an architecture as nnU-Net plans it with its residual encoder (nnUNetPlannerResEncM)."""
    kept = {**architecture["arch_kwargs"], "n_blocks_per_stage": [1, 3, 4, 6], "n_conv_per_stage_decoder": [1, 1, 1]}
    del kept["n_conv_per_stage"]
    name = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    return {**architecture, "network_class_name": name, "arch_kwargs": {**kept, **arguments}}
