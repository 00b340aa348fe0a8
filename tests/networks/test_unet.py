import math

import pytest
import torch
import torch.nn.functional as F
from monai.networks.nets import BasicUNet
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from pipeline.networks import UNet

SMALL = {"channels": (4, 6, 8)}
NNUNET = {"norm": ("instance", {"affine": True}), "act": ("leakyrelu", {"negative_slope": 0.01})}


def count(*arguments, **options):
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(*arguments, **options).parameters())


def count_by_hand(spatial_dims, widths, classes, *, appended, skip_weights=lambda width: 0):  # noqa: ARG005
    """Count weights of convolutions without a bias, of transposed ones with one, and of a 1x1 head with one."""
    taps, corners = 3**spatial_dims, 2**spatial_dims
    total, before = 0, 1
    for width in widths:
        total += taps * (before * width + width * width)
        before = width
    for coarse, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
        total += corners * coarse * width + width
        total += taps * ((width + appended(width)) * width + width * width)
        total += skip_weights(width)
    return total + widths[0] * classes + classes


# The numbers are those of PAPERS.md, which are rounded to ten thousand.
@pytest.mark.parametrize(
    ("spatial_dims", "skip", "appended", "skip_weights", "millions"),
    [
        (2, "concat", lambda width: width, lambda _: 0, 31.02),
        (2, "sat", lambda _: 1, lambda width: 2 * width + 1, 27.90),
        (2, "none", lambda _: 0, lambda _: 0, 27.89),
        (3, "concat", lambda width: width, lambda _: 0, 22.57),
        (3, "sat", lambda _: 1, lambda width: 2 * width + 1, 20.24),
    ],
)
def test_sizes_of_the_default_networks(spatial_dims, skip, appended, skip_weights, millions):
    widths = {2: (64, 128, 256, 512, 1024), 3: (32, 64, 128, 256, 512)}[spatial_dims]
    found = count(spatial_dims, 1, 2, skip=skip)
    assert found == count_by_hand(spatial_dims, widths, 2, appended=appended, skip_weights=skip_weights)
    assert round(found / 1e6, 2) == millions


def test_size_of_the_published_2d_network():
    # Without normalisation, so with biases: 5952 more, one per channel of the 18 convolutions.
    biases = 2 * (64 + 128 + 256 + 512) * 2 + 2 * 1024
    assert count(2, 1, 2, norm=None) == 31_024_770 + biases


def test_bottleneck_of_the_published_network_is_a_sixteenth():
    assert UNet(2, 1, 2).size_divisor == (16, 16)


def names_of_monais_modules(levels):
    """Map LightSkip's module names to MONAI's, for every module with weights."""
    names = {"head": "final_conv"}
    for level in range(levels):
        stage = f"down_{level}.convs" if level else "conv_0"
        pairs = [(f"encoder.{level}", stage)]
        if level < levels - 1:
            decoder = f"decoder.{levels - 2 - level}"
            names[f"{decoder}.up"] = f"upcat_{level + 1}.upsample.deconv"
            pairs.append((decoder, f"upcat_{level + 1}.convs"))
        for ours, theirs in pairs:
            for i in range(2):
                names[f"{ours}.convs.{i}.0"] = f"{theirs}.conv_{i}.conv"
                names[f"{ours}.convs.{i}.1"] = f"{theirs}.conv_{i}.adn.N"
    return names


def copy_monais_weights(reference, network):
    names, theirs, ours = names_of_monais_modules(5), reference.state_dict(), {}
    for key in network.state_dict():
        module, _, tensor = key.rpartition(".")
        value = theirs.pop(f"{names[module]}.{tensor}")
        if module.startswith("decoder.") and module.endswith(".convs.0.0") and tensor == "weight":
            # MONAI concatenates the encoder's channels first.
            encoder, decoder = value.chunk(2, dim=1)
            value = torch.cat((decoder, encoder), dim=1)
        ours[key] = value
    assert list(theirs) == []
    network.load_state_dict(ours)


@pytest.mark.parametrize("norm", [None, "instance", ("instance", {"affine": True}), "batch"])
@pytest.mark.parametrize(("spatial_dims", "in_channels"), [(2, 1), (2, 3), (3, 1)])
def test_network_computes_what_monais_does(spatial_dims, in_channels, norm):
    torch.manual_seed(spatial_dims)
    # MONAI's first upsampling from below keeps the width, so its two finest levels have one width.
    channels = (4, 4, 8, 16, 32)
    act = ("leakyrelu", {"negative_slope": 0.1})
    bias = norm is None
    reference = BasicUNet(spatial_dims, in_channels, 3, (*channels, 4), act=act, norm=norm, bias=bias)
    network = UNet(spatial_dims, in_channels, 3, channels, act=act, norm=norm)
    copy_monais_weights(reference, network)
    x = torch.randn(2, in_channels, *{2: (48, 32), 3: (32, 16, 32)}[spatial_dims])
    with torch.no_grad():
        # Training first: it moves the running statistics away from 0 and 1, which evaluation then uses.
        torch.testing.assert_close(network.train()(x), reference.train()(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(network.eval()(x), reference.eval()(x), rtol=0, atol=1e-5)


def compute_residual_network(weights, x, *, spatial_dims, strides, blocks):
    """Compute the residual form from its weights with functions alone, as nnU-Net describes it."""
    convolve = {2: F.conv2d, 3: F.conv3d}[spatial_dims]
    deconvolve = {2: F.conv_transpose2d, 3: F.conv_transpose3d}[spatial_dims]
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[spatial_dims]

    def conv_norm(x, conv, norm, stride=1):
        kernel = weights[f"{conv}.weight"]
        y = convolve(x, kernel, stride=stride, padding=[size // 2 for size in kernel.shape[2:]])
        axes = list(range(2, y.dim()))
        y = (y - y.mean(axes, keepdim=True)) / (y.var(axes, unbiased=False, keepdim=True) + 1e-5).sqrt()
        shape = [1, -1] + [1] * spatial_dims
        return y * weights[f"{norm}.weight"].view(shape) + weights[f"{norm}.bias"].view(shape)

    def leaky(x):
        return torch.where(x > 0, x, 0.01 * x)

    kept = []
    x = leaky(conv_norm(x, "encoder.0.stem.0", "encoder.0.stem.1"))
    for level, number in enumerate(blocks):
        for i in range(number):
            name = f"encoder.{level}.blocks.{i}"
            strided = level > 0 and i == 0
            stride = strides[level - 1] if strided else 1
            y = leaky(conv_norm(x, f"{name}.convs.0.0", f"{name}.convs.0.1", stride))
            y = conv_norm(y, f"{name}.convs.1", f"{name}.convs.2")
            if strided:
                x = conv_norm(pool(x, stride), f"{name}.shortcut.1", f"{name}.shortcut.2")
            x = leaky(y + x)
        kept.append(x)
    kept.pop()
    for i, stride in enumerate(reversed(strides)):
        x = deconvolve(x, weights[f"decoder.{i}.up.weight"], weights[f"decoder.{i}.up.bias"], stride=stride)
        x = torch.cat((x, kept.pop()), dim=1)
        x = leaky(conv_norm(x, f"decoder.{i}.convs.0.0", f"decoder.{i}.convs.0.1"))
    return convolve(x, weights["head.weight"], weights["head.bias"])


def randomise(network):
    """Replace all weights, so that scales which start at 0 or 1 do not hide what is behind them."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.5)


@pytest.mark.parametrize(("spatial_dims", "thick"), [(2, False), (3, False), (3, True)])
def test_residual_form_computes_what_its_description_says(spatial_dims, thick):
    torch.manual_seed(spatial_dims)
    strides = [(2, 2, 1), (2, 2, 2)] if thick else [(2,) * spatial_dims] * 2
    kernel_size = [[3, 3, 1], 3, 3] if thick else 3
    options = {**SMALL, **NNUNET, "kernel_size": kernel_size, "strides": strides}
    network = UNet(spatial_dims, 2, 3, **options, encoder="residual", blocks_per_level=(1, 3, 2)).eval()
    randomise(network)
    x = torch.randn(2, 2, *{2: (16, 24), 3: (16, 8, 12)}[spatial_dims])
    with torch.no_grad():
        expected = compute_residual_network(
            network.state_dict(), x, spatial_dims=spatial_dims, strides=strides, blocks=(1, 3, 2)
        )
        assert expected.std() > 0.1
        torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("levels", "blocks"), [(2, [1, 3]), (4, [1, 3, 4, 6]), (6, [1, 3, 4, 6, 6, 6])])
def test_residual_form_has_nnunets_number_of_blocks(levels, blocks):
    network = UNet(2, 1, 2, channels=(2,) * levels, encoder="residual")
    assert [len(stage.blocks) for stage in network.encoder] == blocks
    assert [len(stage.convs) for stage in network.decoder] == [1] * (levels - 1)


def test_residual_block_starts_as_its_shortcut():
    torch.manual_seed(0)
    stage = UNet(2, 1, 2, **SMALL, **NNUNET, encoder="residual").encoder[0]
    x = torch.randn(1, 1, 8, 8)
    stem = stage.stem(x)
    torch.testing.assert_close(stage(x), torch.where(stem > 0, stem, 0.01 * stem))


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_weights_start_with_variance_2_over_the_number_of_inputs(encoder):
    torch.manual_seed(0)
    network = UNet(2, 8, 2, channels=(64, 128, 256), encoder=encoder, norm=None)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for m in convolutions:
        taps = 1 if isinstance(m, nn.ConvTranspose2d) else math.prod(m.kernel_size)
        deviation = m.weight.std().item() / math.sqrt(2 / (m.in_channels * taps))
        # The standard error of a deviation from n numbers is 1/sqrt(2n); the smallest layer has 128 numbers.
        assert deviation == pytest.approx(1, abs=5 / math.sqrt(2 * m.weight.numel()))
        assert m.bias is None or not m.bias.any()


def test_pooling_takes_the_maximum_of_a_window_as_large_as_the_stride():
    network = UNet(3, 1, 2, **SMALL, strides=[[2, 2, 1], 2])
    x = torch.arange(32.0).reshape(1, 1, 4, 4, 2)
    # Voxel (i, j, k) is 8i + 2j + k.
    assert network.encoder[1].down(x).flatten().tolist() == [10, 11, 14, 15, 26, 27, 30, 31]


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_strided_convolutions_have_the_kernel_and_stride_of_their_level(encoder):
    network = UNet(
        3, 1, 2, **SMALL, kernel_size=[3, [3, 3, 1], 5], strides=[[2, 2, 1], 2], down="conv", encoder=encoder
    )
    strided = [
        (m.kernel_size, m.stride, m.padding)
        for stage in network.encoder
        for m in stage.modules()
        if isinstance(m, nn.Conv3d) and max(m.stride) > 1
    ]
    assert strided == [((3, 3, 1), (2, 2, 1), (1, 1, 0)), ((5, 5, 5), (2, 2, 2), (2, 2, 2))]
    assert not [m for m in network.modules() if isinstance(m, nn.MaxPool3d)]
    assert network(torch.zeros(2, 1, 8, 8, 6)).shape == (2, 2, 8, 8, 6)


@pytest.mark.parametrize("skip", ["concat", "sum", "none", "at", ("sat", {"maps": 2, "merge": "sum"})])
@pytest.mark.parametrize("encoder", ["plain", "residual"])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_flat_kernels_and_strides_are_a_2d_network_slice_by_slice(skip, encoder, norm):
    torch.manual_seed(0)
    options = {**SMALL, "skip": skip, "encoder": encoder, "norm": norm}
    flat = UNet(2, 2, 3, **options)
    flat.train()(torch.randn(4, 2, 8, 12))  # moves the running statistics of batch normalisation
    network = UNet(3, 2, 3, **options, kernel_size=(3, 3, 1), strides=[[2, 2, 1]] * 2)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in flat.state_dict().items()})
    x = torch.randn(1, 2, 8, 12, 3)
    with torch.no_grad():
        expected = torch.stack([flat.eval()(x[..., i]) for i in range(3)], dim=-1)
        assert expected.std() > 1e-3
        torch.testing.assert_close(network.eval()(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("skip", ["concat", "sum", "none", "at", "sat", ("sat", {"maps": 2, "merge": "sum"})])
@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_decoder_has_the_widths_of_the_levels_whatever_the_skip(skip, encoder):
    network = UNet(3, 1, 2, **SMALL, skip=skip, encoder=encoder)
    assert [stage.out_channels for stage in network.decoder] == [6, 4]


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_sums_in_place_change_neither_result_nor_input(encoder):
    torch.manual_seed(0)
    network = UNet(2, 1, 2, **SMALL, **NNUNET, encoder=encoder).eval()
    randomise(network)
    x = torch.randn(1, 1, 8, 8)
    before = x.clone()
    with_gradient = network(x)
    with torch.no_grad():
        without = network(x)
    assert torch.equal(with_gradient.detach(), without)
    assert torch.equal(x, before)


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_recalibration_has_its_weights_after_the_stages_named(encoder):
    options = {**SMALL, "encoder": encoder, "skip": "none"}
    places = {"recalibrate": "sse", "recalibrate_at": ("encoder", "decoder")}
    # One weight per channel and a bias: levels 0 and 1 of the encoder, and of the decoder.
    assert count(2, 1, 2, **options, **places) - count(2, 1, 2, **options) == 2 * (5 + 7)


def test_convolutions_per_level():
    network = UNet(2, 1, 2, **SMALL, convs_per_level=(1, 2, 3), decoder_convs_per_level=(2, 1))
    assert [len(stage.convs) for stage in network.encoder] == [1, 2, 3]
    assert [len(stage.convs) for stage in network.decoder] == [1, 2]


@pytest.mark.parametrize("encoder", ["plain", "residual"])
def test_dropout_per_level_sits_at_the_input_of_its_stage(encoder):
    network = UNet(3, 1, 2, **SMALL, dropout=(0.1, 0.2, 0.3), encoder=encoder)
    probabilities = {name: m.p for name, m in network.named_modules() if isinstance(m, _DropoutNd)}
    # The decoder's first stage takes what level 2 gives, its second what level 1 gives.
    assert probabilities == {
        "encoder.1.dropout": 0.2,
        "encoder.2.dropout": 0.3,
        "decoder.0.dropout": 0.3,
        "decoder.1.dropout": 0.2,
    }


@pytest.mark.parametrize("scripted", [False, True])
def test_depth_that_the_patch_cannot_hold_is_answered_with_sizes_that_fit(scripted):
    network = UNet(3, 1, 2, channels=(2,) * 6, strides=[[2, 2, 1], *[2] * 4])
    if scripted:
        network = torch.jit.script(network)
    message = r"\[16, 40, 8\] does not fit: .* multiple of \(32, 32, 16\); .* \[32, 32, 16\] and \[32, 64, 16\]"
    # TorchScript raises an error of its own.
    with pytest.raises((ValueError, torch.jit.Error), match=message):
        network(torch.zeros(1, 1, 16, 40, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (4,)}, r"channels is \(4,\); expected at least two levels"),
        ({"channels": ()}, r"channels is \(\); expected at least two levels"),
        ({"skip": ["sat", "concat", "none"]}, "skip has 3 entries; expected 2"),
        ({"convs_per_level": (1, 1)}, "convs_per_level has 2 entries; expected 3"),
        ({"convs_per_level": (1, 0, 1)}, r"convs_per_level is \[1, 0, 1\]; expected at least 1 at every level"),
        ({"decoder_convs_per_level": (1, 1, 1)}, "decoder_convs_per_level has 3 entries; expected 2"),
        ({"decoder_convs_per_level": (1, 0)}, r"decoder_convs_per_level is \[1, 0\]; expected at least 1"),
        ({"dropout": (0.1, 0.1)}, "dropout has 2 entries; expected 3"),
        ({"kernel_size": 2}, "kernel_size is 2; expected odd sizes"),
        ({"kernel_size": [[3, 3, 1], 3]}, "kernel_size has 2 entries; expected 3, one per level"),
        ({"strides": [2]}, "strides has 1 entries; expected 2, one per transition between levels, finest first"),
        ({"strides": [2, 4]}, "strides has the entry 4; expected 2, or a list of 3"),
        ({"down": "mean"}, "down is 'mean'; expected one of pool, conv"),
        ({"encoder": "dense"}, "encoder is 'dense'; expected one of plain, residual"),
        ({"blocks_per_level": (1, 1, 1)}, r"blocks_per_level is \[1, 1, 1\]; the plain encoder has none"),
        (
            {"encoder": "residual", "convs_per_level": (1, 1, 1)},
            r"convs_per_level is .*; the residual encoder",
        ),
        ({"encoder": "residual", "blocks_per_level": (1, 1)}, "blocks_per_level has 2 entries; expected 3"),
        ({"encoder": "residual", "blocks_per_level": (1, 1, 0)}, r"blocks_per_level is \[1, 1, 0\]; expected at least"),
        ({"encoder": "residual", "down": "pool"}, "down is 'pool'; the residual encoder has strided convolutions"),
    ],
)
def test_arguments_that_disagree_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UNet(3, 1, 2, **{**SMALL, **options})
