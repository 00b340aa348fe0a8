"""Test every network and every skip. A new network needs a row in NETWORKS, a new skip only its registration."""

import io
import json
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from pipeline.networks import Network, Networks, ResidualFCN, Skip, SkipConnection, Tiramisu, UNet, VNet, build_network

from .toy_network import DenseToy

CHANNELS = (4, 6, 8)  # not powers of two, and different at each level, so that mixed-up widths do not pass
DENSE = {"layers_per_block": (1, 2, 3), "decoder_layers_per_block": (2, 1), "growth": 3, "first_channels": 4}
STAGES = {"channels": CHANNELS, "convs_per_level": (1, 2, 1), "decoder_convs_per_level": (2, 1)}

RESIDUAL = {"channels": CHANNELS, "blocks_per_level": (2, 2)}


def thick(spatial_dims):
    """Return the finest level's kernel size and stride for slices twice as thick as a voxel is wide."""
    in_plane = [1] * (spatial_dims - 1)
    return {"kernel_size": [[3 * n for n in in_plane] + [1], 3, 3], "strides": [[2 * n for n in in_plane] + [1], 2]}


# One row per network and form in which its levels can be arranged: the network, what makes it small, by the number of
# its dimensions, and its finest stride along the last axis; along the others it is 2.
NETWORKS = {
    "vnet": (VNet, lambda _: {**STAGES, "kernel_size": 3, "residual": "decoder"}, 2),
    "vnet-merged": (VNet, lambda _: {**STAGES, "kernel_size": 3, "residual": "merged"}, 2),
    "vnet-thick": (VNet, lambda spatial_dims: {**STAGES, **thick(spatial_dims), "residual": "decoder"}, 1),
    "residual fcn": (ResidualFCN, lambda _: {**RESIDUAL, "block": ["simple", "bottleneck"]}, 2),
    "residual fcn-basic": (ResidualFCN, lambda _: {**RESIDUAL, "block": "basic"}, 2),
    "residual fcn-thick": (ResidualFCN, lambda spatial_dims: {**RESIDUAL, **thick(spatial_dims)}, 1),
    "unet": (UNet, lambda _: STAGES, 2),
    "unet-thick": (UNet, lambda spatial_dims: {**STAGES, **thick(spatial_dims), "down": "conv"}, 1),
    "unet-residual": (
        UNet,
        lambda _: {"channels": CHANNELS, "encoder": "residual", "blocks_per_level": (1, 2, 1)},
        2,
    ),
    "tiramisu": (Tiramisu, lambda _: {**DENSE, "dropout": 0.0}, 2),
    "tiramisu-thick": (Tiramisu, lambda spatial_dims: {**DENSE, **thick(spatial_dims), "dropout": 0.0}, 1),
    "tiramisu-sat": (Tiramisu, lambda _: {**DENSE, "dense_skip": "sat", "dropout": 0.0}, 2),
    "dense toy": (DenseToy, lambda _: {"growths": (2, 3, 4)}, 2),
}
SKIPS = {
    **{name.lower(): name.lower() for name in Skip.names},
    "sat-hard": ("sat", {"select": "hard"}),
    "st-hard": ("st", {"select": "hard"}),
    "sat4": ["sat", {"maps": 4, "gate": "linear", "merge": "sum"}],
    "sat, concat": ["sat", "concat"],
    "sum, all but the finest": ["sum", {"all_but": 0}],
    "none, st-hard": ["none", ["st", {"select": "hard"}]],  # a list of lists, as JSON has it
}
# Pairwise, so that the lattice does not multiply: a network sees of a skip how it merges (nothing, a sum of the whole
# map, a sum of a light one), a skip sees nothing of the network. And the published V-Nets.
PAIRS = [
    *product(NETWORKS, ("none", "sum", "sat4")),
    *(("vnet", skip) for skip in SKIPS if skip not in ("none", "sum", "sat4")),
    ("vnet-merged", "concat"),
    ("vnet-merged", "sat"),
    ("unet", "concat"),
    ("unet", "sat"),
    ("tiramisu", "concat"),
    ("tiramisu-sat", "sat"),
    ("dense toy", "concat"),
]
# Compiling takes most of the tests' time. A sum has all that no skip has.
COMPILED = [pair for pair in PAIRS if pair[0] == "vnet" or pair[1] != "none"]
SIZES = {2: (8, 12), 3: (8, 4, 12)}  # multiples of 4, two per level below the finest, different in every axis


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def arranged(request):
    """Name of a network, and of a skip."""
    return request.param


@pytest.fixture
def make(arranged):
    """Construct the network under test from a fixed seed, in 2D by default."""
    network_type, small, _ = NETWORKS[arranged[0]]
    skip = SKIPS[arranged[1]]

    def construct(spatial_dims=2, **options):
        torch.manual_seed(0)
        shape = {"spatial_dims": spatial_dims, "in_channels": 1, "out_channels": 3}
        return network_type(**{**shape, **small(spatial_dims), "skip": skip, **options})

    return construct


def image(spatial_dims, channels=1, batch=2):
    return torch.randn(batch, channels, *SIZES[spatial_dims], generator=torch.Generator().manual_seed(1))


def test_every_network_is_tested():
    assert {type_ for type_, *_ in NETWORKS.values()} == {Networks[name] for name in Networks.names}


def test_every_skip_is_tested():
    assert {name.lower() for name in Skip.names} <= {skip for _, skip in PAIRS}


def test_network_is_one_of_the_contract(make, arranged):
    network = make(spatial_dims=3, in_channels=2)
    assert isinstance(network, Network)
    assert (network.spatial_dims, network.in_channels, network.out_channels) == (3, 2, 3)
    assert network.size_divisor == (4, 4, 2 * NETWORKS[arranged[0]][2])
    assert len(network.channels) == len(CHANNELS)
    modules = dict(network.named_modules())
    assert [modules[name] for name in network.skips()] == list(network.skips().values())
    assert len(network.skips()) == len(CHANNELS) - 1


@pytest.mark.slow
def test_spec_builds_the_same_network(make):
    network = make().eval()
    spec = json.loads(json.dumps(network.spec))
    assert spec == network.spec
    torch.manual_seed(0)
    other = build_network(spec).eval()
    assert other.spec == spec
    with torch.no_grad():
        assert torch.equal(other(image(2)), network(image(2)))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_logits_lie_on_the_grid_of_the_input(make, spatial_dims):
    for in_channels in (1, 2, 3, 5):
        x = image(spatial_dims, in_channels)
        logits = make(spatial_dims=spatial_dims, in_channels=in_channels)(x)
        assert logits.shape == (2, 3, *SIZES[spatial_dims])
        assert torch.isfinite(logits).all()


def wake(network):
    """Make sure that no hidden unit of a gate is negative for all inputs, by chance of its few weights."""
    for name, parameter in network.named_parameters():
        if name.endswith(("layers.0.bias", "squeeze.bias")):
            parameter.data.fill_(3.0)
    return network


def unreached(network):
    """Parameters without a gradient, but for biases that the normalisation after their convolution takes out."""
    taken_out = {
        f"{name}.0.conv.bias"
        for name, module in network.named_modules()
        if isinstance(module, nn.Sequential)
        and len(module) > 1
        and isinstance(module[1], nn.modules.batchnorm._BatchNorm)
    }
    parameters = [(name, p) for name, p in network.named_parameters() if name not in taken_out]
    return [name for name, p in parameters if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_gradients_reach_every_parameter(make, spatial_dims):
    # Without normalisation: it takes out the bias of the convolution before it, whose gradient then is 0 by right.
    network = wake(make(spatial_dims=spatial_dims, norm=None))
    network(image(spatial_dims)).square().mean().backward()
    assert unreached(network) == []
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_gradients_are_finite_under_normalisation(make, norm):
    network = make(norm=norm)
    network(image(2)).square().mean().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize("arranged", COMPILED, indirect=True, ids="-".join)
def test_scripted_network_computes_the_same(make, arranged):
    # Each network is scripted in 2D and in 3D; test_skips has each skip in both.
    spatial_dims = 2 if arranged[1] in ("none", "sum") else 3
    network = make(spatial_dims=spatial_dims).eval()
    x = image(spatial_dims)
    scripted = torch.jit.script(network)
    with torch.no_grad():
        torch.testing.assert_close(scripted(x), network(x), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("arranged", COMPILED, indirect=True, ids="-".join)
def test_exported_network_computes_the_same(make):
    network = make().eval()
    x = image(2)
    exported = torch.export.export(network, (x,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(x), network(x), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_weights_survive_saving(make):
    network = make().eval()
    other = make()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.eval().load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(other(image(2)), network(image(2)))


@pytest.mark.slow
def test_same_seed_same_network(make):
    first, second = make().state_dict(), make().state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "below", "above"),
    [
        ((10, 8), "[8, 8]", "[12, 8]"),
        ((23, 12), "[20, 12]", "[24, 12]"),
        ((3, 8), "[4, 8]", "[4, 8]"),
        ((0, 8), "[4, 8]", "[4, 8]"),
    ],
)
def test_size_that_does_not_fit_is_answered_with_sizes_that_do(make, size, below, above):
    with pytest.raises(ValueError, match="each must be a multiple of") as error:
        make()(torch.zeros(1, 1, *size))
    assert str(list(size)) in str(error.value)
    assert below in str(error.value)
    assert above in str(error.value)


def test_input_of_the_other_dimension_is_refused(make):
    with pytest.raises(ValueError, match="input has 5 dimensions; expected 4"):
        make()(image(3))


@pytest.mark.slow
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_deep_supervision_gives_a_list_in_training_only(make, arranged, spatial_dims):
    network = make(spatial_dims=spatial_dims, deep_supervision=True)
    x = image(spatial_dims)
    finest, *coarser = network.train()(x)
    assert finest.shape == (2, 3, *SIZES[spatial_dims])
    *sizes, last = SIZES[spatial_dims]
    coarser_grid = (*(size // 2 for size in sizes), last // NETWORKS[arranged[0]][2])
    assert [logits.shape for logits in coarser] == [(2, 3, *coarser_grid)]
    assert network.eval()(x).shape == (2, 3, *SIZES[spatial_dims])


@pytest.mark.slow
def test_deep_supervision_reaches_every_parameter(make):
    network = wake(make(deep_supervision=True, norm=None))
    sum(logits.square().mean() for logits in network(image(2))).backward()
    assert unreached(network) == []


def test_no_dropout_on_a_skip(make):
    network = make(dropout=0.5)
    skips = [module for module in network.modules() if isinstance(module, SkipConnection)]
    assert len(skips) == len(CHANNELS) - 1
    assert not [module for skip in skips for module in skip.modules() if isinstance(module, _DropoutNd)]
    assert [module for module in network.modules() if isinstance(module, _DropoutNd)]


@pytest.mark.slow
def test_without_dropout_a_forward_pass_in_training_is_repeatable(make):
    network = make(dropout=0.0, norm="instance").train()
    assert torch.equal(network(image(2)), network(image(2)))


@pytest.mark.slow
def test_with_dropout_a_forward_pass_in_training_is_not(make):
    network = make(dropout=0.5, norm="instance").train()
    assert not torch.equal(network(image(2)), network(image(2)))
