"""Compare the U-Net's residual form with nnU-Net's own class. Needs ``dynamic_network_architectures``."""

import pytest
import torch
from torch import nn

from pipeline.networks import UNet

unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")

# As nnU-Net's planner writes it: biases before a normalisation, which takes them out again.
LAYERS = {"conv_bias": True, "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "nonlin": nn.LeakyReLU}
NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
CONV = {2: nn.Conv2d, 3: nn.Conv3d}


def names_of_nnunets_modules(network):
    """Map LightSkip's module names to nnU-Net's, for every module with weights."""
    names = {"encoder.0.stem.0": "encoder.stem.convs.0.conv", "encoder.0.stem.1": "encoder.stem.convs.0.norm"}
    for level, stage in enumerate(network.encoder):
        for i, block in enumerate(stage.blocks):
            ours, theirs = f"encoder.{level}.blocks.{i}", f"encoder.stages.{level}.blocks.{i}"
            names[f"{ours}.convs.0.0"] = f"{theirs}.conv1.conv"
            names[f"{ours}.convs.0.1"] = f"{theirs}.conv1.norm"
            names[f"{ours}.convs.1"] = f"{theirs}.conv2.conv"
            names[f"{ours}.convs.2"] = f"{theirs}.conv2.norm"
            # The 1x1 convolution follows the average pooling, if the block has one.
            last = len(block.shortcut) - 1
            if last > 0:
                names[f"{ours}.shortcut.{last - 1}"] = f"{theirs}.skip.{last - 1}.conv"
                names[f"{ours}.shortcut.{last}"] = f"{theirs}.skip.{last - 1}.norm"
    for i, stage in enumerate(network.decoder):
        names[f"decoder.{i}.up"] = f"decoder.transpconvs.{i}"
        for j in range(len(stage.convs)):
            names[f"decoder.{i}.convs.{j}.0"] = f"decoder.stages.{i}.convs.{j}.conv"
            names[f"decoder.{i}.convs.{j}.1"] = f"decoder.stages.{i}.convs.{j}.norm"
    names["head"] = f"decoder.seg_layers.{len(network.decoder) - 1}"
    for i in range(len(network.deep_heads)):
        names[f"deep_heads.{i}"] = f"decoder.seg_layers.{i}"
    return names


@pytest.mark.parametrize("deep_supervision", [False, True])
@pytest.mark.parametrize(
    ("spatial_dims", "channels", "strides", "kernels", "blocks", "decoder_convs", "size"),
    [
        (2, (4, 8, 16, 16), [2, 2, 2], [3, 3, 3, 3], None, None, (32, 48)),
        (3, (4, 8, 16), [2, 2], [3, 3, 3], (1, 3, 4), (1, 1), (16, 8, 24)),
        (3, (4, 8, 16), [[1, 2, 2], 2], [[1, 3, 3], 3, 3], (2, 1, 2), (2, 1), (6, 16, 24)),
    ],
)
def test_residual_form_computes_what_nnunet_does(
    spatial_dims, channels, strides, kernels, blocks, decoder_convs, size, deep_supervision
):
    torch.manual_seed(0)
    levels = len(channels)
    network = UNet(
        spatial_dims,
        2,
        3,
        channels,
        encoder="residual",
        blocks_per_level=blocks,
        decoder_convs_per_level=decoder_convs,
        kernel_size=kernels if any(isinstance(k, list) for k in kernels) else 3,
        strides=strides,
        norm=("instance", {"affine": True}),
        act=("leakyrelu", {"negative_slope": 0.01}),
        deep_supervision=deep_supervision,
    )
    per_axis = [entry if isinstance(entry, list) else [entry] * spatial_dims for entry in (1, *strides)]
    reference = unet.ResidualEncoderUNet(
        2,
        levels,
        channels,
        CONV[spatial_dims],
        [entry if isinstance(entry, list) else [entry] * spatial_dims for entry in kernels],
        per_axis,
        # The numbers of its planner.
        blocks or (1, 3, 4, 6)[:levels],
        3,
        # Its decoder's list begins with the deepest level.
        (decoder_convs or (1,) * (levels - 1))[::-1],
        norm_op=NORM[spatial_dims],
        deep_supervision=deep_supervision,
        **LAYERS,
    )
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.normal_(std=0.3)
    names, theirs = names_of_nnunets_modules(network), reference.state_dict()
    ours = {}
    for key in network.state_dict():
        module, _, tensor = key.rpartition(".")
        ours[key] = theirs[f"{names[module]}.{tensor}"]
    network.load_state_dict(ours)
    x = torch.randn(2, 2, *size)
    with torch.no_grad():
        found, expected = network.train()(x), reference.train()(x)
    if not deep_supervision:
        found, expected = [found], [expected]
    assert len(found) == len(expected)
    for logits, reference_logits in zip(found, expected, strict=True):
        assert reference_logits.std() > 0.1
        torch.testing.assert_close(logits, reference_logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_residual_form_has_nnunets_number_of_weights(spatial_dims):
    channels = (32, 64, 128, 256, 320, 320)
    blocks = (1, 3, 4, 6, 6, 6)
    reference = unet.ResidualEncoderUNet(
        1, 6, channels, CONV[spatial_dims], 3, [1, 2, 2, 2, 2, 2], blocks, 2, 1, norm_op=NORM[spatial_dims],
        deep_supervision=False, **{**LAYERS, "conv_bias": False},
    )  # fmt: skip
    with torch.device("meta"):
        network = UNet(spatial_dims, 1, 2, channels, encoder="residual", norm=("instance", {"affine": True}))
    # nnU-Net shares the encoder with the decoder, keeps each layer under two names, and always has the heads of deep
    # supervision. Without a bias anywhere but in the heads, its transposed convolutions have none either.
    unused = sum(p.numel() for layer in reference.decoder.seg_layers[:-1] for p in layer.parameters())
    biases = sum(channels[:-1])
    ours = sum(p.numel() for p in network.parameters())
    assert ours == sum(p.numel() for p in reference.parameters()) - unused + biases
