import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from pipeline.networks import ResidualFCN, Skip, SkipConnection, build_network
from pipeline.networks.prune import prune_skips

# Simple and bottleneck, as published, in small: 3 and 2 bottlenecks, of which one stage is deeper on the way up.
SMALL = {
    "channels": (4, 6, 8, 12),
    "block": ("simple", "bottleneck", "bottleneck"),
    "blocks_per_level": (1, 2, 3),
    "decoder_blocks_per_level": (1, 3),
}
BASIC = {**SMALL, "block": "basic", "decoder_blocks_per_level": (1, 2)}
SIMPLE = {**SMALL, "block": "simple", "decoder_blocks_per_level": (2, 1)}


class Published:
    """The network as the authors' code computes it, on a network's weights, which it takes in order of use.

    Each stage goes down in its first block and up in its last one. A bottleneck goes up before its last convolution.
    """

    def __init__(self, network, *, kinds, depths, up_depths, short_skips, skip, norm):
        self.network = network
        self.kinds, self.depths, self.up_depths = kinds, depths, up_depths
        self.short_skips, self.skip, self.norm = short_skips, skip, norm

    def __call__(self, x):
        self.modules = iter([m for m in self.network.modules() if isinstance(m, _ConvNd | _BatchNorm)])
        channels = self.network.channels
        encoder = [self.convolve(x)]
        below = len(channels) - 1
        for level in range(1, below):
            encoder.append(self.stage(encoder[-1], level, self.depths[level - 1], channels[level], down=True))
        x = self.stage(encoder[-1], below, self.depths[-1], channels[below], down=True, up=True)
        for level in reversed(range(1, below)):
            x = self.long_skip(x, encoder[level])
            x = self.stage(x, level, self.up_depths[level - 1], channels[level], up=True)
        x = self.convolve(self.activate(self.long_skip(x, encoder[0])))
        x = self.convolve(x)
        assert next(self.modules, None) is None
        return x

    def stage(self, x, level, depth, width, *, down=False, up=False):
        for i in range(depth):
            x = self.block(self.kinds[level - 1], x, width, down=down and i == 0, up=up and i == depth - 1)
        return x

    def block(self, kind, x, width, *, down, up):
        stride = 2 if down else 1
        if kind == "simple":
            y = self.activate(x)
            y = {4: F.max_pool2d, 5: F.max_pool3d}[x.dim()](y, 2) if down else y
            y = self.convolve(y)
            y = upsample(y) if up else y
        elif kind == "basic":
            y = self.activate(self.convolve(self.activate(x), stride))
            y = self.convolve(upsample(y) if up else y)
        else:
            y = self.convolve(self.activate(x), stride)
            assert 4 * y.shape[1] == width
            y = self.activate(self.convolve(self.activate(y)))
            y = self.convolve(upsample(y) if up else y)
        assert y.shape[1] == width
        if not self.short_skips:
            return y
        x = x[(slice(None), slice(None), *[slice(None, None, stride)] * (x.dim() - 2))]
        x = upsample(x) if up else x
        return y + (x if x.shape[1] == width else self.convolve(x))

    def long_skip(self, x, encoder):
        if self.skip == "none":
            return x
        if self.skip == "concat":
            return torch.cat((x, encoder), dim=1)
        return encoder + (x if x.shape[1] == encoder.shape[1] else self.convolve(x))

    def convolve(self, x, stride=1):
        module = next(self.modules)
        # The published convolutions pad alike on both sides; a 1x1 convolution with stride 2 takes every second voxel.
        padding = [size // 2 for size in module.weight.shape[2:]]
        bias = module.bias
        return {4: F.conv2d, 5: F.conv3d}[x.dim()](x, module.weight, bias, stride=stride, padding=padding)

    def activate(self, x):
        if self.norm is not None:
            module = next(self.modules)
            shape = [1, -1] + [1] * (x.dim() - 2)
            axes = [axis for axis in range(x.dim()) if axis != 1]
            mean, variance = x.mean(axes), x.var(axes, unbiased=False)
            if not module.training:
                mean, variance = module.running_mean, module.running_var
            x = (x - mean.reshape(shape)) / (variance.reshape(shape) + module.eps).sqrt()
            x = x * module.weight.reshape(shape) + module.bias.reshape(shape)
        return x.clamp(min=0)


def upsample(x):
    for axis in range(2, x.dim()):
        x = x.repeat_interleave(2, dim=axis)
    return x


def randomise(network):
    """Set every weight that starts at a constant, so that a forgotten one shows."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.uniform_(0.5, 1.5)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("norm", [None, "batch"])
@pytest.mark.parametrize("short_skips", [True, False])
@pytest.mark.parametrize("skip", ["sum", "concat", "none"])
@pytest.mark.parametrize(("form", "spatial_dims"), [(SMALL, 2), (SMALL, 3), (BASIC, 2), (BASIC, 3), (SIMPLE, 3)])
def test_network_computes_what_the_published_code_does(form, spatial_dims, skip, short_skips, norm):
    torch.manual_seed(0)
    options = {**form, "short_skips": short_skips, "skip": skip, "norm": norm, "dropout": 0.0}
    network = randomise(ResidualFCN(spatial_dims, 2, 3, **options).double())
    kinds = [form["block"]] * 3 if isinstance(form["block"], str) else form["block"]
    published = Published(
        network, kinds=kinds, depths=form["blocks_per_level"], up_depths=form["decoder_blocks_per_level"],
        short_skips=short_skips, skip=skip, norm=norm,
    )  # fmt: skip
    x = torch.randn(2, 2, *(16, 24, 8)[:spatial_dims], dtype=torch.float64)
    with torch.no_grad():
        trained = network.train()(x)
        torch.testing.assert_close(trained, published(x), rtol=1e-9, atol=1e-9)
        evaluated = network.eval()(x)
        torch.testing.assert_close(evaluated, published(x), rtol=1e-9, atol=1e-9)
        assert evaluated.std() > 1e-3


def published_size(norms=True):
    """Weights, convolutions and their biases of the published network (1 channel in, 1 out), from the paper's table."""
    convolutions = [(1, 32, 9)]  # channels in and out, voxels of the kernel
    normalised = []
    width = 32

    def simple(out):
        nonlocal width
        normalised.append(width)
        convolutions.append((width, out, 9))
        project(out)

    def bottleneck(filters):
        normalised.extend((width, filters, filters))
        convolutions.extend(((width, filters, 1), (filters, filters, 9), (filters, 4 * filters, 1)))
        project(4 * filters)

    def project(out):
        nonlocal width
        if width != out:
            convolutions.append((width, out, 1))
        width = out

    simple(32)
    simple(32)
    for filters, depth in ((32, 3), (64, 8), (128, 10), (256, 3)):
        for _ in range(depth):
            bottleneck(filters)
    for filters, depth in ((128, 10), (64, 8), (32, 3)):
        project(4 * filters)  # the long skip's
        for _ in range(depth):
            bottleneck(filters)
    for _ in range(2):
        project(32)
        simple(32)
    normalised.append(32)
    convolutions += [(32, 32, 9), (32, 1, 1)]
    weights = sum(before * after * voxels for before, after, voxels in convolutions)
    return weights, len(convolutions), sum(after for _, after, _ in convolutions), 2 * sum(normalised)


def test_size_of_the_published_network():
    network = ResidualFCN(2, 1, 1)
    weights, convolutions, biases, normalisation = published_size()
    assert (weights, convolutions, biases, normalisation) == (11_387_200, 150, 30_305, 52_864)
    assert weights + biases + normalisation == 11_470_369  # what the authors' code trains
    # 142 in blocks, at both ends and the classifier; 8 project to another number of channels.
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == convolutions
    # Without normalisation every convolution has a bias, with it the classifier alone.
    assert sum(p.numel() for p in network.parameters()) == weights + normalisation + 1
    plain = ResidualFCN(2, 1, 1, norm=None)
    assert sum(p.numel() for p in plain.parameters()) == weights + biases


@pytest.mark.slow
def test_grids_and_widths_of_the_published_network():
    network = ResidualFCN(2, 1, 1).to("meta")
    found = []
    for stage in (*network.encoder, *network.decoder):
        stage.register_forward_hook(lambda _, __, output: found.append((output.shape[1], *output.shape[2:])))
    assert network(torch.zeros(1, 1, 512, 512, device="meta")).shape == (1, 1, 512, 512)
    down = [(32, 512), (32, 256), (32, 128), (128, 64), (256, 32), (512, 16), (1024, 8)]
    assert found == [(width, size, size) for width, size in (*down, *reversed(down[:-1]))]
    assert network.size_divisor == (64, 64)


def multiply_adds(skip):
    """Multiplications of the published network's convolutions per voxel of the input."""
    network = ResidualFCN(2, 1, 2, skip=skip).eval()
    counts = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda conv, _, output: counts.append(conv.weight[0].numel() * output.numel()))
    with torch.no_grad():
        network(torch.zeros(1, 1, 64, 64))
    return sum(counts) / 64**2


@pytest.mark.slow
def test_light_skips_need_three_quarters_of_the_multiplications_of_concat():
    concat = multiply_adds("concat")
    # A third of them are what concatenation adds at the two finest levels: 32 to 32 channels, 3x3, and the projection
    # of the short skip at the second.
    assert concat - multiply_adds("sum") > 9 * 32 * 32 + (9 + 1) * 32 * 32 / 4
    for skip in ("at", ("at", {"maps": 4, "merge": "sum", "gate": "linear"})):
        assert multiply_adds(skip) <= 0.75 * concat


@pytest.mark.parametrize(
    ("channels", "kinds", "depths"),
    [
        ((8, 16), "k", [3]),
        ((8, 8, 16), "sk", [1, 3]),
        ((8, 8, 8, 16), "ssk", [1, 1, 3]),
        ((8, 8, 8, 16, 16), "sskk", [1, 1, 3, 3]),
        ((8, 8, 8, 16, 16, 16, 16), "sskkkk", [1, 1, 3, 8, 10, 3]),  # as published
        ((8, 8, 8, 16, 16, 16, 16, 16), "sskkkkk", [1, 1, 3, 8, 10, 10, 3]),
    ],
)
def test_blocks_of_any_depth_come_by_the_published_rule(channels, kinds, depths):
    network = ResidualFCN(2, 1, 2, channels=channels)
    convs = {"s": 1, "k": 3}

    def in_blocks(stage):
        return sum(isinstance(m, nn.Conv2d) for block in stage.blocks for m in block.convs)

    expected = [convs[kind] * depth for kind, depth in zip(kinds, depths, strict=True)]
    assert [in_blocks(stage) for stage in network.encoder[1:]] == expected
    assert [in_blocks(stage) for stage in reversed(network.decoder[:-1])] == expected[:-1]


def test_convolutions_start_with_hes_deviation_and_no_bias():
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, norm=None)
    for stage in (*network.encoder, *network.decoder):
        for module in stage.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                deviation = (2 / fan_in) ** 0.5
                # Four standard errors of a standard deviation.
                error = 4 * deviation / (2 * module.weight.numel()) ** 0.5
                assert module.weight.std().item() == pytest.approx(deviation, abs=error)
                assert not module.bias.any()


def test_a_bias_of_a_skip_keeps_its_start():
    network = ResidualFCN(2, 1, 2, **SMALL, skip="at", norm=None)
    skips = [module for module in network.modules() if isinstance(module, SkipConnection)]
    assert all(skip.attend.conv.bias.any() for skip in skips)


@pytest.mark.parametrize("skip", ["sum", "sat4"])
def test_only_a_sum_projects_the_decoder(skip):
    options = {"sum": "sum", "sat4": ("sat", {"maps": 4, "merge": "sum"})}[skip]
    network = ResidualFCN(2, 1, 2, **SMALL, skip=options)
    projections = [[m.out_channels for m in stage.up if isinstance(m, nn.Conv2d)] for stage in network.decoder]
    assert projections == [[8], [6], [4]]
    assert [stage.skip.decoder_channels for stage in network.decoder] == [8, 6, 4]
    network = ResidualFCN(2, 1, 2, **SMALL, skip="concat")
    assert not [m for stage in network.decoder for m in stage.up if isinstance(m, nn.Conv2d)]
    assert [stage.skip.decoder_channels for stage in network.decoder] == [12, 8, 6]


@pytest.mark.parametrize(("form", "count"), [(SMALL, 1 + 2 + 3 + 3 + 1), (BASIC, 1 + 2 + 3 + 2 + 1)])
def test_dropout_is_in_each_block(form, count):
    network = ResidualFCN(2, 1, 2, **form, dropout=(0.1, 0.2, 0.3, 0.4))
    probabilities = {name: m.p for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    assert len(probabilities) == count
    by_level = [[p for name, p in probabilities.items() if name.startswith(f"encoder.{i}.")] for i in range(4)]
    deepest = 3 if form is SMALL else 2  # the last basic block goes up, in the decoder
    assert by_level == [[], [0.2], [0.3] * 2, [0.4] * deepest]
    # What goes up from the deepest level keeps its probability.
    assert [p for name, p in probabilities.items() if name.startswith("decoder.0.up")] == [0.4] * (3 - deepest)


@pytest.mark.parametrize(
    ("act", "function"), [("relu", F.relu), ("leakyrelu", F.leaky_relu), ("gelu", F.gelu), ("swish", F.silu)]
)
def test_pooling_takes_the_largest_activation(act, function):
    network = ResidualFCN(2, 1, 2, **SIMPLE, act=act, norm=None, dropout=0.0, short_skips=False)
    block = network.encoder[1].blocks[0]
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    conv = block.convs[3]
    expected = conv(F.max_pool2d(function(x), 2))
    torch.testing.assert_close(block(x), expected)


@pytest.mark.slow
@pytest.mark.parametrize("skip", [name.lower() for name in Skip.names])
@pytest.mark.parametrize(("spatial_dims", "form"), [(2, BASIC), (3, SMALL)])
def test_any_skip_fits(skip, spatial_dims, form):
    network = ResidualFCN(spatial_dims, 1, 2, **form, skip=skip, deep_supervision=True)
    outputs = network(torch.randn(2, 1, *[16] * spatial_dims))
    assert [output.shape for output in outputs] == [(2, 2, *[size] * spatial_dims) for size in (16, 8, 4)]
    sum(output.square().mean() for output in outputs).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("skip", [["at", "sum", "concat"], ("concat", {"only": 1}), ("sum", {"all_but": [0, 2]})])
def test_skips_differ_by_level(skip):
    network = ResidualFCN(2, 1, 2, **SMALL, skip=skip)
    names = [type(each).__name__ for each in network.skips().values()]
    if isinstance(skip, list):
        assert names == ["AttendTransfer", "SumSkip", "ConcatSkip"]
    else:
        assert names == ["NoSkip", "ConcatSkip" if skip[0] == "concat" else "SumSkip", "NoSkip"]
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 2, 16, 16)


@pytest.mark.parametrize("form", [SMALL, BASIC])
@pytest.mark.parametrize(
    ("places", "added"),
    # A cSE block on C channels with reduction 2 has C * C weights and C / 2 + C biases.
    [(["encoder"], (4, 6, 8)), (["bottleneck"], (12,)), (["encoder", "bottleneck", "decoder"], (4, 6, 8) * 2 + (12,))],
)
def test_recalibration_follows_the_stages(form, places, added):
    def size(**options):
        return sum(p.numel() for p in ResidualFCN(2, 1, 2, **form, **options).parameters())

    added_weights = sum(width * width + width // 2 + width for width in added)
    assert size(recalibrate="cse", recalibrate_at=places) - size() == added_weights


@pytest.mark.slow
def test_recalibrated_network_can_be_scripted():
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, **BASIC, recalibrate="scse").eval()
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(network)(x), network(x), rtol=0, atol=1e-6)


def test_hard_selection_can_be_pruned():
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, **SMALL, skip=("sat", {"select": "hard"})).eval()
    with torch.no_grad():
        for skip in network.skips().values():
            skip.select.weight[1::2] = 0.01
    pruned = prune_skips(network)
    assert pruned.left_out == {0: (2, 4), 1: (3, 6), 2: (4, 8)}
    smaller = build_network(pruned.spec).eval()
    smaller.load_state_dict(pruned.weights)
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(smaller(x), network(x), rtol=1e-5, atol=1e-5)


def test_activation_in_place_leaves_what_the_short_skip_adds():
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, **SMALL, norm=None, act=("relu", {"inplace": True})).eval()
    torch.manual_seed(0)
    other = ResidualFCN(2, 1, 2, **SMALL, norm=None, act="relu").eval()
    x = torch.randn(1, 1, 8, 16)
    assert torch.equal(network(x), other(x))


@pytest.mark.parametrize("form", [SMALL, BASIC, SIMPLE])
def test_sums_in_place_change_neither_result_nor_input(form):
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, **form).eval()
    x = torch.randn(1, 1, 16, 16)
    before = x.clone()
    with_gradient = network(x)
    with torch.no_grad():
        assert torch.equal(with_gradient.detach(), network(x))
    assert torch.equal(x, before)


@pytest.mark.slow
@pytest.mark.parametrize(("spatial_dims", "form"), [(2, SMALL), (3, BASIC)])
def test_network_without_short_skips_can_be_scripted(spatial_dims, form):
    torch.manual_seed(0)
    network = ResidualFCN(spatial_dims, 1, 2, **form, short_skips=False).eval()
    x = torch.randn(1, 1, *[16] * spatial_dims)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(network)(x), network(x), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", [SMALL, BASIC, SIMPLE])
@pytest.mark.parametrize("skip", ["sum", "concat", "none", "at"])
@pytest.mark.parametrize("short_skips", [True, False])
def test_flat_kernels_and_strides_are_a_2d_network_slice_by_slice(form, skip, short_skips):
    torch.manual_seed(0)
    options = {**form, "skip": skip, "short_skips": short_skips}
    flat = randomise(ResidualFCN(2, 2, 3, **options, dropout=0.0))
    flat.train()(torch.randn(4, 2, 16, 24))  # moves the running statistics of batch normalisation
    network = ResidualFCN(3, 2, 3, **options, kernel_size=(3, 3, 1), strides=[[2, 2, 1]] * 3)
    # The same names: the thick axis adds a 1 to each kernel's shape.
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in flat.state_dict().items()})
    x = torch.randn(1, 2, 16, 24, 3)
    with torch.no_grad():
        expected = torch.stack([flat.eval()(x[..., i]) for i in range(3)], dim=-1)
        assert expected.std() > 1e-3
        torch.testing.assert_close(network.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_autocast_keeps_features_in_bfloat16():
    torch.manual_seed(0)
    network = ResidualFCN(2, 1, 2, **SMALL)
    dtypes = set()
    for stage in (*network.encoder, *network.decoder):
        stage.register_forward_hook(lambda _, __, output: dtypes.add(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, 1, 16, 16)).float().square().mean().backward()
    assert dtypes == {torch.bfloat16}
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (4,)}, r"channels is \(4,\); expected at least two levels"),
        ({"block": "dense"}, "block is 'dense'; expected one of simple, basic, bottleneck"),
        ({"block": ("simple", "basic")}, "block has 2 entries; expected 3, one per level below the finest"),
        ({"channels": (4, 6, 10, 12)}, "channels has 10 for a level of bottleneck blocks; expected a multiple of 4"),
        ({"blocks_per_level": (1, 2)}, "blocks_per_level has 2 entries; expected 3"),
        ({"blocks_per_level": ()}, "blocks_per_level has 0 entries; expected 3"),
        ({"blocks_per_level": (1, 0, 2)}, r"blocks_per_level is \[1, 0, 2\]; expected at least one block per level"),
        ({"decoder_blocks_per_level": (1, 2, 3)}, "decoder_blocks_per_level has 3 entries; expected 2"),
        ({"block": "basic", "blocks_per_level": (1, 1, 1)}, "the deepest level has one basic block; .* at least two"),
        ({"dropout": (0.1, 0.1)}, "dropout has 2 entries; expected 4"),
        ({"skip": ["sat", "concat"]}, "skip has 2 entries; expected 3"),
        ({"kernel_size": 4}, "kernel_size is 4; expected odd sizes"),
        ({"strides": [2]}, "strides has 1 entries; expected 3"),
    ],
)
def test_arguments_that_disagree_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ResidualFCN(3, 1, 2, **{**SMALL, **options})
