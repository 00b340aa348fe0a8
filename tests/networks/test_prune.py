from itertools import product

import pytest
import torch
from torch import nn

from pipeline.networks import VNet, build_network
from pipeline.networks.prune import prune_skips
from pipeline.networks.select_attend_transfer import SelectAttendTransfer

from .test_networks import NETWORKS

SMALL = {"channels": (4, 6, 8), "convs_per_level": (1, 1, 1), "decoder_convs_per_level": (1, 1), "kernel_size": 3}
SIZES = {2: (8, 12), 3: (8, 4, 12)}
HARD = ("sat", {"select": "hard"})
# By level, finest first: weights of 4 and of 6 channels, of which 2 and 5 are at least .05 in size.
WEIGHTS = {0: [0.7, 0.0, -0.05, 0.049], 1: [1.0, -0.3, 0.02, 0.2, 2.0, 0.1]}


def trained(skip, *, spatial_dims=2, weights=WEIGHTS, **options):
    """Return a network in evaluation mode with random weights and these selection weights by level."""
    torch.manual_seed(0)
    network = VNet(spatial_dims, 2, 3, **{**SMALL, "skip": skip, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.rand_like(parameter))
        for stage, up in enumerate(network.decoder):
            if hasattr(up.skip, "select"):
                up.skip.select.weight.copy_(torch.tensor(weights[1 - stage]))
    # Running statistics other than 0 and 1.
    network(torch.randn(4, 2, *SIZES[spatial_dims]))
    return network.eval()


def rebuilt(left):
    smaller = build_network(left.spec)
    smaller.load_state_dict(left.weights, strict=True)
    return smaller.eval()


def outputs(*networks, spatial_dims=2):
    x = torch.randn(2, 2, *SIZES[spatial_dims], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return [network(x) for network in networks]


def assert_same(expected, found):
    """Compare up to rounding: linear gates make outputs of some thousands, whose float32 has steps of 0.0005."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-6)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spatial_dims", "residual", "merge", "maps", "gate"),
    list(product((2, 3), ("merged", "decoder"), ("concat", "sum"), (1, 3), ("sigmoid", "linear"))),
)
def test_output_is_the_same_with_fewer_weights(spatial_dims, residual, merge, maps, gate):
    skip = ("sat", {"select": "hard", "merge": merge, "maps": maps, "gate": gate})
    network = trained(skip, spatial_dims=spatial_dims, residual=residual)
    left = prune_skips(network)
    smaller = rebuilt(left)
    assert_same(*outputs(network, smaller, spatial_dims=spatial_dims))
    assert left.left_out == {0: (2, 4), 1: (1, 6)}
    # Gone: the selection weights, 4 and 6, and the kernels of the channels that are not selected, 2 and 1 per map.
    assert count(network) - count(smaller) == 10 + 3 * maps


def test_kernel_holds_selection_weights_by_hand():
    network = trained(HARD)
    kernel = network.decoder[1].skip.attend.conv.weight.detach().flatten().tolist()
    left = prune_skips(network)
    assert left.spec["skip"][0] == ["at", {"channels": [0, 2]}]
    assert left.spec["skip"][1] == ["at", {"channels": [0, 1, 3, 4, 5]}]
    expected = [kernel[0] * 0.7, kernel[2] * -0.05]
    assert left.weights["decoder.1.skip.attend.conv.weight"].flatten().tolist() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("residual", ["merged", "decoder"])
def test_nothing_selected_hands_over_a_constant(residual):
    weights = {0: [0.01, 0.0, -0.02, 0.03], 1: WEIGHTS[1]}
    network = trained(HARD, weights=weights, residual=residual)
    left = prune_skips(network)
    assert_same(*outputs(network, rebuilt(left)))
    assert left.left_out[0] == (4, 4)
    assert left.weights["decoder.1.skip.attend.conv.weight"].abs().sum() == 0


@pytest.mark.parametrize(
    "skip",
    [HARD, ("sat", {"select": "soft"}), "sat", "at", ("st", {"select": "hard"}), "concat", ["none", "sum"]],
    ids=str,
)
def test_nothing_changes_where_nothing_is_left_out(skip):
    all_selected = {0: [0.05] * 4, 1: [-1.0] * 6}
    network = trained(skip, weights=all_selected)
    left = prune_skips(network)
    assert left.spec == network.spec
    assert left.left_out == {}
    assert left.weights.keys() == network.state_dict().keys()
    assert torch.equal(*outputs(network, rebuilt(left)))


@pytest.mark.parametrize(
    ("skip", "expected"),
    [
        (["sat", HARD], ["sat", ["at", {"channels": [0, 1, 3, 4, 5]}]]),
        ([HARD, "concat"], [["at", {"channels": [0, 2]}], "concat"]),
        ([["st", {"select": "hard"}], HARD], [["st", {"select": "hard"}], ["at", {"channels": [0, 1, 3, 4, 5]}]]),
        # The second level's weights are all below this threshold but one; the others' options stay.
        (
            ["none", ["SAT", {"select": "hard", "threshold": 1.5, "maps": 2, "merge": "sum", "gate": "linear"}]],
            ["none", ["at", {"maps": 2, "merge": "sum", "gate": "linear", "channels": [4]}]],
        ),
    ],
    ids=str,
)
def test_each_level_has_its_own_skip(skip, expected):
    network = trained(skip)
    left = prune_skips(network)
    assert left.spec["skip"] == expected
    assert_same(*outputs(network, rebuilt(left)))


def test_one_skip_in_a_network_of_two_levels():
    network = VNet(2, 2, 3, (4, 6), (1, 1), (1,), 3, skip=HARD).eval()
    with torch.no_grad():
        network.decoder[0].skip.select.weight.copy_(torch.tensor(WEIGHTS[0]))
    left = prune_skips(network)
    assert left.spec["skip"] == [["at", {"channels": [0, 2]}]]
    smaller = rebuilt(left)
    assert_same(*outputs(network, smaller))


def test_given_network_is_not_changed():
    network = trained(HARD)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    left = prune_skips(network)
    for value in left.weights.values():
        value.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert HARD == ("sat", {"select": "hard"})


def test_a_skip_built_upon_sat_stays_as_it_is(registry):
    class DoubledSat(SelectAttendTransfer):
        def keep(self, encoder):
            return 2 * super().keep(encoder)

    registry.register("doubled")(DoubledSat)
    skip = ("doubled", {"select": "hard"})
    network = trained(skip)
    left = prune_skips(network)
    assert (left.left_out, left.spec["skip"]) == ({}, list(skip))
    assert torch.equal(*outputs(network, rebuilt(left)))


def test_pruned_network_can_be_scripted_and_trained_on():
    network = trained(HARD, residual="decoder")
    smaller = rebuilt(prune_skips(network))
    torch.testing.assert_close(*outputs(torch.jit.script(smaller), smaller), rtol=0, atol=1e-6)
    x, target = torch.randn(2, 2, 8, 12), torch.randint(3, (2, 8, 12))
    optimizer = torch.optim.SGD(smaller.train().parameters(), 0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(smaller(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    attend = smaller.decoder[1].skip.attend.conv.weight
    assert attend.grad.abs().sum() > 0


def test_weights_of_the_pruned_network_follow_no_module_of_the_first():
    left = prune_skips(trained(HARD))
    assert not [name for name in left.weights if ".select." in name or name.endswith(".channels")]


def test_a_class_that_is_not_registered_has_no_spec_to_prune():
    class Own(VNet):
        pass

    with pytest.raises(ValueError, match="Own has no spec, because its class is not registered"):
        prune_skips(Own(2, 2, 3, **SMALL, skip=HARD))


def trained_as_named(name, skip, *, spatial_dims, **options):
    """Return a network of the table with running statistics, and a seventh of its selection weights at zero."""
    torch.manual_seed(0)
    network_type, small, _ = NETWORKS[name]
    network = network_type(
        spatial_dims=spatial_dims, in_channels=1, out_channels=3, skip=skip, **small(spatial_dims), **options
    )
    with torch.no_grad():
        for skip_connection in network.skips().values():
            if hasattr(skip_connection, "select"):
                weight = skip_connection.select.weight
                weight.copy_(torch.linspace(-0.5, 1.5, len(weight)))
                weight[::3] = 0.0
    network(torch.randn(4, 1, *SIZES[spatial_dims]))
    return network.eval()


def assert_pruned(network, *, spatial_dims, levels):
    left = prune_skips(network)
    # Every third weight of each of these levels, from the first on.
    widths = {level: network.channels[level] for level in levels}
    assert left.left_out == {level: (-(-width // 3), width) for level, width in widths.items()}
    smaller = rebuilt(left)
    x = torch.randn(2, 1, *SIZES[spatial_dims], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert_same(network(x), smaller(x))
    # A selection weight of each channel, and a weight of the kernel of each that is not selected.
    gone = sum(width + -(-width // 3) for width in widths.values())
    assert count(network) - count(smaller) == gone


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("spatial_dims", "merge"), [(2, "concat"), (3, "sum")])
def test_every_network_can_be_pruned(name, spatial_dims, merge):
    network = trained_as_named(name, ("sat", {"select": "hard", "merge": merge}), spatial_dims=spatial_dims)
    assert_pruned(network, spatial_dims=spatial_dims, levels=range(len(network.channels) - 1))


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "levels"), [({"only": 1}, [1]), ({"all_but": [1]}, [0])], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_skip_at_chosen_levels_is_pruned_there(name, choice, levels):
    network = trained_as_named(name, ["sat", {"select": "hard", **choice}], spatial_dims=2)
    assert_pruned(network, spatial_dims=2, levels=levels)


@pytest.mark.parametrize("recalibrate", ["cse", ("scse", {"aggregation": "add"})], ids=str)
def test_recalibration_stays(recalibrate):
    network = trained_as_named("vnet", HARD, spatial_dims=2, recalibrate=recalibrate)
    assert_pruned(network, spatial_dims=2, levels=[0, 1])
    assert prune_skips(network).spec["recalibrate"] == network.spec["recalibrate"]
