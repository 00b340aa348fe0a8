"""With nnU-Net's weights copied in, the U-Net of its plans computes what nnU-Net's own network does."""

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.nnunet.network import build_planned_network
from pipeline.nnunet.settings import Settings

from .plans import PLAIN_2D, PLAIN_3D, changed, residual

pytest.importorskip("nnunetv2", reason="nnU-Net has an environment of its own: make test-nnunet")
# The numbers of convolutions differ from level to level, so that an exchange of two levels would show.
PLAIN = {"features_per_stage": [4, 8, 12, 16], "n_conv_per_stage": [1, 2, 3, 2], "n_conv_per_stage_decoder": [3, 1, 2]}
RESIDUAL = {
    "features_per_stage": [4, 8, 8, 16],
    "n_blocks_per_stage": [1, 3, 2, 1],
    "n_conv_per_stage_decoder": [2, 1, 3],
}


def layers_with_weights(module: nn.Module) -> list[Any]:
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.InstanceNorm2d, nn.InstanceNorm3d)
    return [layer for layer in module.modules() if isinstance(layer, kinds)]


def copy_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Copy layer by layer in the order of construction, without the biases that a normalisation removes."""
    for target, source in zip(layers_with_weights(ours), layers_with_weights(theirs), strict=True):
        assert target.weight.shape == source.weight.shape
        target.weight.data = source.weight.data.clone()
        if target.bias is not None:
            target.bias.data = source.bias.data.clone()


@pytest.mark.parametrize(
    ("architecture", "size"),
    [
        (changed(PLAIN_3D, **PLAIN), (8, 24, 32)),
        (changed(PLAIN_2D, **PLAIN), (24, 40)),
        (residual(PLAIN_3D, **RESIDUAL), (8, 24, 32)),
        (residual(PLAIN_2D, **RESIDUAL), (24, 40)),
    ],
    ids=["plain-3d", "plain-2d", "residual-3d", "residual-2d"],
)
def test_the_unet_of_the_plans_is_nnunets_network(architecture: dict[str, Any], size: tuple[int, ...]) -> None:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: PLC0415

    torch.manual_seed(0)
    names = (architecture["network_class_name"], architecture["arch_kwargs"], architecture["_kw_requires_import"])
    theirs = get_network_from_plans(*names, 2, 3, deep_supervision=True)
    for parameter in theirs.parameters():
        # Norms and biases that differ from 1 and 0, and the second norm of a block, which starts at 0.
        parameter.data += 0.2 * torch.randn_like(parameter)
    ours = build_planned_network(
        architecture, Settings("unet", "concat"), spatial_dims=len(size), in_channels=2, out_channels=3
    )
    copy_weights(theirs.encoder, ours.encoder)
    for i, stage in enumerate(ours.decoder):
        copy_weights(nn.ModuleList([theirs.decoder.transpconvs[i], theirs.decoder.stages[i]]), stage)
    *deep_heads, head = theirs.decoder.seg_layers
    copy_weights(head, ours.head)
    copy_weights(nn.ModuleList(deep_heads), ours.deep_heads)
    scan = torch.randn(2, 2, *size)
    with torch.no_grad():
        expected, found = theirs(scan), ours.train()(scan)
    assert len(found) == len(expected) == 3
    for logits, reference in zip(found, expected, strict=True):
        assert reference.std() > 0.1
        torch.testing.assert_close(logits, reference, rtol=1e-5, atol=1e-5)
