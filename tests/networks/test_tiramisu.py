import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.networks import Tiramisu, selected_channels, sparsity

SMALL = {"layers_per_block": (1, 2, 3), "decoder_layers_per_block": (3, 2), "growth": 3, "first_channels": 4}
SIZES = {2: (8, 12), 3: (8, 4, 12)}

# Layers of each block in the order in which they run, and the growth.
PUBLISHED = {
    56: ([4] * 11, 12),
    67: ([5] * 11, 16),
    103: ([4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4], 16),
}


def published_size(blocks, growth, classes, *, image_channels=3, first=48):
    """Return the learned weights and the normalised channels of FC-DenseNet, by the paper's description."""
    weights = 9 * image_channels * first + first
    normalised = 0

    def block(width, count):
        """Return the weights of a dense block and its normalised channels."""
        widths = [width + i * growth for i in range(count)]
        return sum(9 * w * growth + growth + 2 * w for w in widths), sum(widths)

    width, skips = first, []
    depth = len(blocks) // 2
    for level, count in enumerate(blocks):
        if level > depth:
            up = blocks[level - 1] * growth  # only what the block before added
            weights += 9 * up * up + up
            width = up + skips.pop()
        more, channels = block(width, count)
        weights, normalised = weights + more, normalised + channels
        width += count * growth
        if level < depth:
            skips.append(width)
            weights += 2 * width + width * width + width  # transition down: normalisation and 1x1 convolution
            normalised += width
    return weights + width * classes + classes, normalised


@pytest.mark.parametrize(
    # The paper's table has 1.5, 3.5 and 9.4 million. The authors' code counts the running mean and deviation of each
    # normalised channel as parameters, too: that gives 9.4 and 3.5, and 1.4 for FC-DenseNet56.
    ("form", "weights", "with_statistics"),
    [(56, 1_376_795, 1_397_963), (67, 3_463_243, 3_502_923), (103, 9_322_091, 9_425_163)],
)
def test_size_of_the_published_networks(form, weights, with_statistics):
    with torch.device("meta"):
        network = Tiramisu(2, 3, 11, form=form)
    arithmetic, normalised = published_size(*PUBLISHED[form], classes=11)
    assert (arithmetic, arithmetic + 2 * normalised) == (weights, with_statistics)
    assert sum(p.numel() for p in network.parameters()) == weights
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert weights + statistics == with_statistics


@pytest.mark.parametrize("form", [56, 67, 103])
def test_a_form_is_named_after_its_convolutions(form):
    with torch.device("meta"):
        network = Tiramisu(2, 3, 11, form=form)
    assert sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in network.modules()) == form


def test_widths_are_those_of_the_paper():
    with torch.device("meta"):
        network = Tiramisu(2, 3, 11)
    # The paper's table 2, corrected by 16 from the bottleneck on, as the authors' code says.
    assert network.channels[:-1] == (112, 192, 304, 464, 656)
    merged = [stage.skip.merged_channels for stage in network.decoder]
    widths = [width + 16 * layers for width, layers in zip(merged, (12, 10, 7, 5, 4), strict=True)]
    assert widths == [1088, 816, 576, 384, 256]
    assert network.size_divisor == (32, 32)


def normalise(x, state, name):
    """Normalise with the statistics of the batch, written out."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean = x.mean(dim=axes, keepdim=True)
    variance = (x - mean).square().mean(dim=axes, keepdim=True)
    scale, shift = state[f"{name}.weight"].reshape(shape), state[f"{name}.bias"].reshape(shape)
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def reference(state, x, *, counts, decoder_counts, light=False):
    """Return FC-DenseNet's logits from a state dict, by the paper's description, in training mode without dropout."""
    dims = x.dim() - 2
    convolve = {2: F.conv2d, 3: F.conv3d}[dims]
    pool = {2: F.max_pool2d, 3: F.max_pool3d}[dims]

    def conv(x, name, padding):
        return convolve(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def layer(x, name, padding):
        return conv(torch.relu(normalise(x, state, f"{name}.0")), f"{name}.2", padding)

    def attention(x, name):
        weighted = x * state[f"{name}.select.weight"].reshape([1, -1] + [1] * dims)
        return torch.sigmoid(conv(weighted, f"{name}.attend.conv", 0))

    def block(x, name, count):
        """Return the block's input and the new feature maps."""
        maps = [x]
        for i in range(count):
            if not light:
                maps.append(layer(torch.cat(maps, 1), f"{name}.layers.{i}", 1))
            elif i == 0:
                maps.append(layer(x, f"{name}.first", 1))
            else:
                light_maps = [attention(maps[j], f"{name}.skips.{j}") for j in range(i)]
                maps.append(layer(torch.cat([maps[i], *light_maps], 1), f"{name}.later.{i - 1}", 1))
        return maps

    def upsample(x, name):
        """Put every value, times the kernel, at twice its place."""
        kernel, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        spread = torch.zeros(*x.shape[:2], *(2 * size for size in x.shape[2:]))
        spread[(..., *[slice(None, None, 2)] * dims)] = x
        flipped = kernel.transpose(0, 1).flip(list(range(2, dims + 2)))
        padded = F.pad(spread, [2, 0] * dims)
        return convolve(padded, flipped, bias)

    x = conv(x, "encoder.0.enter", 1)
    skips = []
    for level, count in enumerate(counts):
        if level > 0:
            x = pool(layer(x, f"encoder.{level}.enter", 0), 2)
        maps = block(x, f"encoder.{level}.block", count)
        x = torch.cat(maps, 1)
        skips.append(x)
    skips.pop()
    for i, count in enumerate(reversed(decoder_counts)):
        x = torch.cat([upsample(torch.cat(maps[1:], 1), f"decoder.{i}.up"), skips.pop()], 1)
        maps = block(x, f"decoder.{i}.block", count)
    return conv(torch.cat(maps, 1), "head", 0)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("dense_skip", ["concat", "sat"])
def test_network_computes_what_the_paper_describes(spatial_dims, dense_skip):
    torch.manual_seed(0)
    network = Tiramisu(spatial_dims, 2, 3, **SMALL, dropout=0.0, dense_skip=dense_skip)
    with torch.no_grad():
        for parameter in network.parameters():  # biases, scales and selections that are not all 0 or 1
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    x = torch.randn(2, 2, *SIZES[spatial_dims])
    expected = reference(network.state_dict(), x, counts=(1, 2, 3), decoder_counts=(3, 2), light=dense_skip == "sat")
    assert expected.std() > 0.1
    torch.testing.assert_close(network.train()(x), expected, rtol=0, atol=1e-5)
    with torch.no_grad():  # other code may run where no gradient is needed
        torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("norm", [None, "batch", "instance"])
@pytest.mark.parametrize("dense_skip", ["concat", "sat"])
@pytest.mark.parametrize("scripted", [False, True])
def test_inference_without_gradients_changes_neither_result_nor_input(norm, dense_skip, scripted):
    torch.manual_seed(0)
    network = Tiramisu(2, 1, 2, **SMALL, norm=norm, act="leakyrelu", dense_skip=dense_skip).eval()
    with_gradient = network(x := torch.randn(2, 1, 8, 12))
    network = torch.jit.script(network) if scripted else network
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(network(x), with_gradient.detach(), rtol=0, atol=1e-6)
    assert torch.equal(x, before)


@pytest.mark.parametrize("skip", ["concat", "sum", "none", "sat"])
@pytest.mark.parametrize("dense_skip", ["concat", "sat"])
def test_flat_kernels_and_strides_are_a_2d_network_slice_by_slice(skip, dense_skip):
    torch.manual_seed(0)
    options = {**SMALL, "skip": skip, "dense_skip": dense_skip}
    flat = Tiramisu(2, 2, 3, **options)
    flat.train()(torch.randn(4, 2, 8, 12))  # moves the running statistics of batch normalisation
    network = Tiramisu(3, 2, 3, **options, kernel_size=(3, 3, 1), strides=[[2, 2, 1]] * 2)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.reshape(shapes[name]) for name, tensor in flat.state_dict().items()})
    x = torch.randn(1, 2, 8, 12, 3)
    with torch.no_grad():
        expected = torch.stack([flat.eval()(x[..., i]) for i in range(3)], dim=-1)
        assert expected.std() > 1e-3
        torch.testing.assert_close(network.eval()(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dense_skip", ["concat", "sat"])
def test_shorter_format_under_autocast(dense_skip):
    torch.manual_seed(0)
    network = Tiramisu(2, 1, 2, **SMALL, dropout=0.0, dense_skip=dense_skip, skip="sat")
    x = torch.randn(2, 1, 8, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(x)
    assert logits.dtype == torch.bfloat16
    logits.float().square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        short = network.eval()(x).float()
    torch.testing.assert_close(short, network(x).detach(), rtol=0, atol=0.1)


def test_dropout_follows_the_convolutions_of_layers_and_of_transitions_down():
    network = Tiramisu(2, 1, 2, **SMALL, dropout=0.3)
    dropouts = {name: m.p for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    layers = {"encoder.0": 1, "encoder.1": 2, "encoder.2": 3, "decoder.0": 2, "decoder.1": 3}
    names = [f"{stage}.block.layers.{i}.3" for stage, count in layers.items() for i in range(count)]
    assert dropouts == dict.fromkeys([*names, "encoder.1.enter.3", "encoder.2.enter.3"], 0.3)


def test_first_weights_are_those_of_he_et_al():
    torch.manual_seed(0)
    network = Tiramisu(2, 1, 2)
    conv = network.encoder[4].block.layers[0][2]
    bound = (6 / (9 * conv.in_channels)) ** 0.5  # uniform within it
    assert 0.99 * bound < conv.weight.abs().max() <= bound
    assert not conv.bias.any()


def test_selection_inside_blocks_is_seen_by_the_sparsity_term():
    network = Tiramisu(2, 1, 2, **SMALL, skip="sat", dense_skip=("sat", {"select": "hard"}))
    # Two long skips; blocks of 1, 2, 3 and 2, 3 layers have one skip fewer than layers.
    assert len(selected_channels(network)) == 2 + 0 + 1 + 2 + 1 + 2
    assert sparsity(network) == 8
    with torch.no_grad():
        network.encoder[1].block.skips[0].select.weight[2:] = 0.01
    assert selected_channels(network)["encoder.1.block.skips.0"] == [0, 1]


@pytest.mark.parametrize(("maps", "widths"), [(1, [7, 3 + 1, 3 + 2]), (2, [7, 3 + 2, 3 + 4])])
def test_a_layer_gets_the_one_before_and_a_map_of_each_one_earlier(maps, widths):
    network = Tiramisu(2, 1, 2, **SMALL, dense_skip=("sat", {"maps": maps}), skip="none")
    block = network.encoder[2].block  # 4 first channels, 3 layers with 3 channels come before
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert [conv.in_channels for conv in convs] == [4 + 3 * 3, *widths[1:]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": 121}, "form is 121; expected one of 56, 67, 103"),
        ({"layers_per_block": (4,)}, r"layers_per_block is \[4\]; expected at least two levels"),
        ({"layers_per_block": ()}, r"layers_per_block is \[\]; expected at least two levels"),
        ({"layers_per_block": (4, 0, 4)}, r"layers_per_block is \[4, 0, 4\]; expected whole numbers of at least 1"),
        ({"decoder_layers_per_block": (1, 1, 1)}, "decoder_layers_per_block has 3 entries; expected 2"),
        ({"decoder_layers_per_block": (1, 0)}, r"decoder_layers_per_block is \[1, 0\]; expected whole numbers"),
        ({"growth": 0}, "growth is 0; expected a whole number of at least 1"),
        ({"first_channels": 1.5}, r"first_channels is 1\.5; expected a whole number of at least 1"),
        ({"dropout": 1.0}, r"dropout is 1\.0; expected a number from 0 to below 1"),
        ({"dense_skip": "sum"}, "dense_skip is 'sum'; expected one of concat, sat"),
        ({"dense_skip": ("sat", {"merge": "sum"})}, "option 'merge'; expected one of select, threshold, maps, gate"),
        ({"dense_skip": ("concat", {"maps": 2})}, "dense_skip 'concat' has the option 'maps'; it takes none"),
        ({"dense_skip": ("sat", {"maps": 0})}, "maps is 0; expected a whole number, at least 1"),
        ({"dense_skip": 3}, "dense_skip is 3; expected a name, or a pair of a name and its options"),
        ({"skip": ["sat", "concat", "none"]}, "skip has 3 entries; expected 2"),
        ({"strides": [2]}, "strides has 1 entries; expected 2"),
        ({"kernel_size": 2}, "kernel_size is 2; expected odd sizes"),
    ],
)
def test_arguments_that_disagree_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tiramisu(2, 1, 2, **{**SMALL, **options})
