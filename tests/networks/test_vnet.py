import pytest
import torch
import torch.nn.functional as F
from monai.networks.nets import VNet as MonaiVNet
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from pipeline.networks import Skip, SkipConnection, VNet

SMALL = {
    "channels": (4, 6, 8),
    "convs_per_level": (1, 2, 1),
    "decoder_convs_per_level": (2, 1),
    "kernel_size": 3,
}

# MONAI's stages and ours, and in each the number of convolutions after the change of resolution.
DOWN = {"down_tr32": ("encoder.1", 1), "down_tr64": ("encoder.2", 2), "down_tr128": ("encoder.3", 3)}
DOWN["down_tr256"] = ("encoder.4", 2)
UP = {"up_tr256": ("decoder.0", 2), "up_tr128": ("decoder.1", 2), "up_tr64": ("decoder.2", 1)}
UP["up_tr32"] = ("decoder.3", 1)


def name_of_monais_modules():
    """Map LightSkip's module names to MONAI's, for every module with weights."""
    names = {
        "encoder.0.convs.0.0": "in_tr.conv_block.conv",
        "encoder.0.convs.0.1": "in_tr.conv_block.adn.N",
        "encoder.0.act": "in_tr.act_function",
        "head.0.0": "out_tr.conv_block.conv",
        "head.0.1": "out_tr.conv_block.adn.N",
        "head.0.2": "out_tr.act_function1",
        "head.1": "out_tr.conv2",
    }
    for stages, side, convolution in ((DOWN, "down", "down_conv"), (UP, "up", "up_conv")):
        for theirs, (ours, convs) in stages.items():
            names[f"{ours}.{side}.0"] = f"{theirs}.{convolution}"
            names[f"{ours}.{side}.1"] = f"{theirs}.bn1"
            names[f"{ours}.{side}.2"] = f"{theirs}.act_function1"
            names[f"{ours}.act"] = f"{theirs}.act_function2"
            for i in range(convs):
                names[f"{ours}.convs.{i}.0"] = f"{theirs}.ops.{i}.conv_block.conv"
                names[f"{ours}.convs.{i}.1"] = f"{theirs}.ops.{i}.conv_block.adn.N"
                names[f"{ours}.convs.{i}.2"] = f"{theirs}.ops.{i}.act_function"
    return names


def copy_monais_weights(monai_network, network):
    names, theirs, ours = name_of_monais_modules(), monai_network.state_dict(), {}
    for key in network.state_dict():
        module, _, tensor = key.rpartition(".")
        ours[key] = theirs.pop(f"{names[module]}.{tensor}")
    assert list(theirs) == []
    network.load_state_dict(ours)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spatial_dims", "in_channels", "act"),
    [(dims, *rest) for dims in (2, 3) for rest in ((1, "prelu"), (2, ("elu", {"inplace": True})), (4, "prelu"))],
)
def test_published_network_computes_what_monais_does(spatial_dims, in_channels, act):
    torch.manual_seed(spatial_dims + in_channels)
    reference = MonaiVNet(spatial_dims, in_channels, 2, act=act)
    for module in reference.modules():
        # Two of its dropouts are not among its arguments.
        if isinstance(module, _DropoutNd):
            module.p = 0.0
    network = VNet(spatial_dims, in_channels, 2, act=act)
    copy_monais_weights(reference, network)
    x = torch.randn(2, in_channels, *{2: (64, 64), 3: (32, 32, 32)}[spatial_dims])
    with torch.no_grad():
        # Training first: it moves the running statistics away from 0 and 1, which evaluation then uses.
        torch.testing.assert_close(network.train()(x), reference.train()(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(network.eval()(x), reference.eval()(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("skip", "millions"),
    [("sat", 29.78), ("at", 29.78), ("none", 29.67)],  # the paper: 29.8 and 29.7 million
)
def test_size_of_the_published_networks(skip, millions):
    with torch.device("meta"):
        network = VNet(3, 1, 3, skip=skip)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions


def test_size_of_the_published_network_with_heavy_skips():
    with torch.device("meta"):
        network, reference = VNet(3, 1, 3), MonaiVNet(3, 1, 3, act="prelu")
    sizes = [sum(p.numel() for p in n.parameters()) for n in (network, reference)]
    assert sizes == [45_605_525, 45_605_525]


@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("skip", ["concat", "st", "at", "sat"])
def test_entering_from_the_side_equals_convolving_the_concatenation(skip, spatial_dims, norm):
    torch.manual_seed(0)
    network = VNet(spatial_dims, 1, 2, **SMALL, skip=skip, residual="decoder", norm=norm, act="relu")
    convolve = {2: F.conv2d, 3: F.conv3d}[spatial_dims]
    for stage, width, below in zip(network.decoder, (6, 4), (8, 6), strict=True):
        coarse = torch.randn(2, below, *[4] * spatial_dims)
        encoder = torch.randn(2, width, *[8] * spatial_dims)
        x = stage.up(coarse)
        joined = stage.skip(encoder, x)
        assert joined.shape[1] == width + stage.skip.transferred_channels
        convolved = convolve(joined, stage.enter.conv.weight, stage.enter.conv.bias, padding=1)
        if norm is not None:
            mean, variance = (convolved.transpose(0, 1).flatten(1).mean(1), convolved.transpose(0, 1).flatten(1).var(1))
            count = convolved.numel() / width
            shape = [1, -1] + [1] * spatial_dims
            spread = (variance.reshape(shape) * (count - 1) / count + 1e-5).sqrt()
            convolved = (convolved - mean.reshape(shape)) / spread
        expected = torch.relu(stage.convs(torch.relu(convolved)) + x)
        torch.testing.assert_close(stage(coarse, stage.skip.keep(encoder)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("skip", ["concat", "sat", "st", "sum", "none"])
def test_decoder_residual_keeps_the_widths(skip):
    network = VNet(3, 1, 2, **SMALL, skip=skip, residual="decoder")
    assert [stage.out_channels for stage in network.decoder] == [6, 4]


@pytest.mark.parametrize(
    ("skip", "widths"),
    [("concat", [12, 8]), ("sat", [7, 5]), ("sum", [6, 4]), ("none", [6, 4]), (["sat", "concat"], [12, 5])],
)
def test_merged_residual_is_as_wide_as_what_is_merged(skip, widths):
    network = VNet(3, 1, 2, **SMALL, skip=skip, residual="merged")
    assert [stage.out_channels for stage in network.decoder] == widths


@pytest.mark.parametrize(
    ("kernel_size", "per_level"),
    [
        (3, [(3, 3, 3)] * 3),
        # As many numbers as axes, and as levels: one per axis.
        ((3, 5, 1), [(3, 5, 1)] * 3),
        ([[3, 3, 1], 3, 5], [(3, 3, 1), (3, 3, 3), (5, 5, 5)]),
        ([1, (3, 1, 3), [5, 5, 3]], [(1, 1, 1), (3, 1, 3), (5, 5, 3)]),
    ],
)
@pytest.mark.parametrize("residual", ["merged", "decoder"])
def test_kernel_size_of_the_stages(kernel_size, per_level, residual):
    network = VNet(3, 1, 2, **{**SMALL, "kernel_size": kernel_size}, residual=residual)

    def inside(stage):
        down = next(stage.down.children()) if hasattr(stage, "down") else None
        return [m.kernel_size for m in stage.modules() if isinstance(m, nn.Conv3d) and m is not down]

    finest, middle, coarsest = per_level
    assert [inside(stage) for stage in network.encoder] == [[finest], [middle] * 2, [coarsest]]
    # The decoder's stages run deepest first: level 1, then level 0.
    assert [inside(stage) for stage in network.decoder] == [[middle], [finest] * 2]
    assert network.head[0][0].kernel_size == finest
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 2, 8, 8, 8)


def test_grids_of_the_levels_are_those_of_the_strides():
    options = {"channels": (2, 3, 4, 5), "kernel_size": [[3, 3, 1], [3, 3, 1], 3, 3], "skip": "sum"}
    network = VNet(3, 1, 2, **options, strides=[[2, 2, 1], [2, 2, 1], 2])
    grids = []
    for stage in (*network.encoder, *network.decoder):
        stage.register_forward_hook(lambda _, __, output: grids.append(tuple(output.shape[2:])))
    network(torch.zeros(1, 1, 16, 24, 6))
    down = [(16, 24, 6), (8, 12, 6), (4, 6, 6), (2, 3, 3)]
    assert grids == [*down, *reversed(down[:-1])]
    assert network.size_divisor == (8, 8, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strides", "size", "message"),
    [
        (None, (17, 23, 8), r"multiple of 4; the nearest that fit are \[16, 20, 8\] and \[20, 24, 8\]"),
        ([[2, 2, 1], 2], (17, 20, 3), r"multiple of \(4, 4, 2\); .* \[16, 20, 2\] and \[20, 20, 4\]"),
        ([[2, 2, 1], [1, 2, 2]], (1, 4, 1), r"multiple of \(2, 4, 2\); .* \[2, 4, 2\] and \[2, 4, 2\]"),
        ([[2, 2, 1]] * 2, (6, 8, 5), r"multiple of \(4, 4, 1\); .* \[4, 8, 5\] and \[8, 8, 5\]"),
    ],
)
@pytest.mark.parametrize("scripted", [False, True])
def test_size_that_does_not_fit_is_told_by_axis(strides, size, message, scripted):
    network = VNet(3, 1, 2, **SMALL, strides=strides)
    if scripted:
        network = torch.jit.script(network)
    # TorchScript raises an error of its own.
    with pytest.raises((ValueError, torch.jit.Error), match=message):
        network(torch.zeros(1, 1, *size))


@pytest.mark.parametrize("skip", ["concat", "sum", "none", "at", "st", ("sat", {"maps": 2, "merge": "sum"})])
@pytest.mark.parametrize("residual", ["merged", "decoder"])
@pytest.mark.parametrize("norm", [None, "batch"])
def test_flat_kernels_and_strides_are_a_2d_network_slice_by_slice(skip, residual, norm):
    torch.manual_seed(0)
    options = {**SMALL, "skip": skip, "residual": residual, "norm": norm}
    flat = VNet(2, 2, 3, **options)
    flat.train()(torch.randn(4, 2, 8, 12))  # moves the running statistics of batch normalisation
    network = VNet(3, 2, 3, **{**options, "kernel_size": (3, 3, 1)}, strides=[[2, 2, 1]] * 2)
    # The same names: the thick axis adds a 1 to each kernel's shape.
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in flat.state_dict().items()})
    x = torch.randn(1, 2, 8, 12, 3)
    with torch.no_grad():
        expected = torch.stack([flat.eval()(x[..., i]) for i in range(3)], dim=-1)
        assert expected.std() > 1e-3
        torch.testing.assert_close(network.eval()(x), expected, rtol=0, atol=1e-5)


def test_what_a_voxel_can_change_is_what_kernels_and_strides_say():
    torch.manual_seed(0)
    stages = {"channels": (2, 3, 4), "convs_per_level": (1, 1, 1), "decoder_convs_per_level": (1, 1)}
    thick = {"kernel_size": [[1, 3, 1], 3, 3], "strides": [[1, 2, 1], 2]}
    network = VNet(3, 1, 2, **stages, **thick, skip="none", norm=None, head="pointwise").double()
    x = torch.randn(1, 1, 2, 32, 32, dtype=torch.float64)
    other = x.clone()
    other[..., 16, 16] += 1
    with torch.no_grad():
        changed = (network(x) != network(other))[0, 0, 0]
    rows, columns = (changed.any(dim=1 - axis).nonzero().flatten().tolist() for axis in (0, 1))
    # Along the second axis, voxel 16: 15-17 after the finest convolution, halved 7-8, convolved 6-9, halved 3-4,
    # convolved 2-5, doubled 4-11, convolved 3-12, doubled 6-25, convolved 5-26.
    assert rows == list(range(5, 27))
    # Along the last, only the second level and the third: convolved 15-17, halved 7-8, convolved 6-9, doubled 12-19,
    # convolved 11-20.
    assert columns == list(range(11, 21))


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ({"strides": [2, [2, 2, 2]]}, {}),
        ({"kernel_size": [[3, 3, 3], 3, 3]}, {}),
        ({"kernel_size": [[3, 3, 1]] * 3}, {"kernel_size": [3, 3, 1]}),
    ],
)
def test_two_ways_to_say_the_same(long, short):
    def build(options):
        torch.manual_seed(0)
        return VNet(3, 1, 2, **{**SMALL, **options}).eval()

    network, other = build(long), build(short)
    assert str(network) == str(other)
    x = torch.randn(1, 1, 8, 8, 8)
    assert torch.equal(network(x), other(x))


def test_input_of_even_share_is_repeated_as_a_whole():
    network = VNet(2, 2, 2, **SMALL)
    lifted = network.encoder[0].lift(torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1))
    assert lifted.flatten().tolist() == [1.0, 2.0, 1.0, 2.0]


def test_pointwise_head_is_one_convolution():
    network = VNet(3, 1, 5, **SMALL, skip="concat", head="pointwise")
    assert [tuple(p.shape) for p in network.head.parameters()] == [(5, 8, 1, 1, 1), (5,)]


def test_dropout_per_level_sits_at_the_input_of_its_stage():
    network = VNet(3, 1, 2, **SMALL, dropout=(0.1, 0.2, 0.3))
    probabilities = {name: m.p for name, m in network.named_modules() if isinstance(m, _DropoutNd)}
    # The decoder's first stage takes what level 2 gives, its second what level 1 gives.
    assert probabilities == {
        "encoder.1.dropout": 0.2,
        "encoder.2.dropout": 0.3,
        "decoder.0.dropout": 0.3,
        "decoder.1.dropout": 0.2,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": ["sat", "concat", "none"]}, "skip has 3 entries; expected 2"),
        ({"convs_per_level": (1, 1)}, "convs_per_level has 2 entries; expected 3"),
        ({"decoder_convs_per_level": (1, 1, 1)}, "decoder_convs_per_level has 3 entries; expected 2"),
        ({"dropout": (0.1, 0.1)}, "dropout has 2 entries; expected 3"),
        ({"kernel_size": 4}, "kernel_size is 4; expected odd sizes"),
        ({"kernel_size": [3, 3, 2]}, r"kernel_size is \[3, 3, 2\]; expected odd sizes"),
        ({"kernel_size": [[3, 3, 0], 3, 3]}, r"kernel_size is \[\[3, 3, 0\], 3, 3\]; expected odd sizes"),
        ({"kernel_size": [3, 3]}, r"kernel_size is \[3, 3\]; .* a list of 3 \(one per axis\), or a list"),
        ({"kernel_size": [[3, 3], 3, 3]}, r"kernel_size is \[\[3, 3\], 3, 3\]; expected a whole number"),
        ({"kernel_size": 3.0}, r"kernel_size is 3\.0; expected a whole number"),
        ({"kernel_size": [[3, 3, 1], 3]}, "kernel_size has 2 entries; expected 3, one per level"),
        ({"strides": 2}, "strides is 2; expected None, or a list with an entry per transition"),
        ({"strides": [2]}, "strides has 1 entries; expected 2, one per transition between levels, finest first"),
        ({"strides": [2, 1]}, "strides has the entry 1; expected 2, or a list of 3"),
        ({"strides": [2, [1, 1, 1]]}, r"strides has the entry \[1, 1, 1\]; .* with at least one 2"),
        ({"strides": [2, [2, 2, 3]]}, r"strides has the entry \[2, 2, 3\]"),
        ({"strides": [[2, 2], 2]}, r"strides has the entry \[2, 2\]; expected 2, or a list of 3, one per axis"),
        ({"head": "linear"}, "head is 'linear'; expected one of conv, pointwise"),
        ({"residual": "none"}, "residual is 'none'; expected one of merged, decoder"),
        (
            {"channels": (4,), "convs_per_level": (1,), "decoder_convs_per_level": ()},
            "at least two levels",
        ),
    ],
)
def test_arguments_that_disagree_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VNet(3, 1, 2, **{**SMALL, **options})


@pytest.mark.parametrize(
    ("levels", "encoder", "decoder"),
    [
        (2, [1, 1], [1]),
        (3, [1, 1, 2], [1, 1]),
        (4, [1, 1, 2, 2], [1, 1, 2]),
        (5, [1, 1, 2, 3, 2], [1, 1, 2, 2]),  # as published
        (6, [1, 1, 2, 3, 3, 2], [1, 1, 2, 2, 2]),
    ],
)
def test_convolutions_of_any_depth_come_by_the_published_rule(levels, encoder, decoder):
    network = VNet(2, 1, 2, channels=(2,) * levels, kernel_size=3)
    inside = [[isinstance(m, nn.Conv2d) for m in stage.convs.modules()] for stage in network.encoder]
    assert [sum(found) for found in inside] == encoder
    inside = [[isinstance(m, nn.Conv2d) for m in stage.convs.modules()] for stage in reversed(network.decoder)]
    assert [sum(found) for found in inside] == decoder


def test_another_depth_needs_its_channels_only():
    assert VNet(3, 1, 2, channels=(8, 16, 32))(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 2, 8, 8, 8)


@pytest.mark.parametrize("skip", [None, 5, {"name": "sat"}, ("sat", "hard"), ["sat", None], [["sat"], "none"], []])
def test_another_form_of_skip_is_answered_with_the_three_that_exist(skip):
    with pytest.raises(ValueError, match=r"a name .* a pair of a name and its options .* or a list") as error:
        VNet(3, 1, 2, channels=(4, 6, 8), skip=skip)
    assert f"skip is {skip!r}; expected a name" in str(error.value)


class _Merge(SkipConnection):
    """Overrides join."""

    def __init__(self, spatial_dims, encoder_channels, decoder_channels):  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)

    def transfer(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return encoder

    def join(self, kept: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        return torch.cat((kept, decoder), dim=1)


class _Forward(_Merge):
    """Overrides forward."""

    def forward(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
        return torch.cat((encoder, decoder), dim=1)


def test_a_skip_that_merges_by_itself_needs_the_merged_residual():
    before = dict(Skip.components)
    Skip.register("merge")(_Merge)
    try:
        x = torch.zeros(1, 1, 8, 8)
        assert VNet(2, 1, 2, **SMALL, skip="merge", residual="merged")(x).shape == (1, 2, 8, 8)
        with pytest.raises(ValueError, match="_Merge overrides join, which residual 'decoder' does not call"):
            VNet(2, 1, 2, **SMALL, skip="merge", residual="decoder")
        Skip.register("forward")(_Forward)
        with pytest.raises(ValueError, match="_Forward overrides forward, which no network calls"):
            VNet(2, 1, 2, **SMALL, skip="forward")
    finally:
        Skip.components.clear()
        Skip.components.update(before)


@pytest.mark.parametrize("residual", ["merged", "decoder"])
@pytest.mark.parametrize("skip", ["concat", "sum", "none", "st", "sat", ("sat", {"maps": 2, "merge": "sum"})])
def test_sums_in_place_change_neither_result_nor_input(skip, residual):
    torch.manual_seed(0)
    options = {"skip": skip, "residual": residual, "norm": ("instance", {"affine": True}), "act": "leakyrelu"}
    network = VNet(2, 1, 2, **SMALL, **options).eval()
    x = torch.randn(1, 1, 8, 8)
    before = x.clone()
    with_gradient = network(x)
    with torch.no_grad():
        without = network(x)
    assert torch.equal(with_gradient.detach(), without)
    assert torch.equal(x, before)
