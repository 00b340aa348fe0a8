import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.networks import Skip, SkipConnection, VNet, selected_channels, sparsity
from pipeline.networks.select_attend_transfer import Select
from pipeline.networks.skips import build_skip, skip_per_level

DECODER = torch.arange(2 * 2 * 2 * 2, dtype=torch.float32).reshape(2, 2, 2, 2)  # (N, C_d, X, Y)


def features(spatial_dims, *, channels=3, batch=2, seed=0):
    return torch.randn(batch, channels, *(3, 4, 2)[:spatial_dims], generator=torch.Generator().manual_seed(seed))


def build(skip, *, spatial_dims=2, encoder=3, decoder=2):
    return build_skip(skip, spatial_dims=spatial_dims, encoder_channels=encoder, decoder_channels=decoder)


def set_weights(skip, *, select=None, attend=None, bias=0.0):
    with torch.no_grad():
        if select is not None:
            skip.select.weight.copy_(torch.tensor(select))
        if attend is not None:
            skip.attend.conv.weight.copy_(torch.tensor(attend).reshape(skip.attend.conv.weight.shape))
            skip.attend.conv.bias.fill_(bias)
    return skip


def attention(encoder, weights, bias):
    """``sigmoid(sum_c w_c f_c + b)`` at every voxel, in double precision: (N, C, *spatial) to (N, 1, *spatial)."""
    total = np.tensordot(np.asarray(weights), encoder.double().numpy(), axes=(0, 1)) + bias
    return torch.from_numpy(1 / (1 + np.exp(-total)))[:, None].float()


@pytest.mark.parametrize(
    ("skip", "transferred", "merge", "merged"),
    [
        ("concat", 3, "concat", 5),
        ("sum", 2, "sum", 2),
        ("none", 0, "concat", 2),
        ("at", 1, "concat", 3),
        ("st", 3, "concat", 5),
        ("sat", 1, "concat", 3),
        ("cse", 2, "sum", 2),
        ("sse", 2, "sum", 2),
        ("scse", 2, "sum", 2),
        ("project_excite", 2, "sum", 2),
        ("scalar", 2, "sum", 2),
        ("attention_gate", 3, "concat", 5),
    ],
)
def test_channels_as_announced(skip, transferred, merge, merged):
    for spatial_dims in (2, 3):
        module = build(skip, spatial_dims=spatial_dims)
        assert (module.transferred_channels, module.merge, module.merged_channels) == (transferred, merge, merged)
        encoder, decoder = features(spatial_dims), features(spatial_dims, channels=2, seed=1)
        assert module.transfer(module.keep(encoder), decoder).shape[1] == transferred
        result = module(encoder, decoder)
        assert result.shape == (2, merged, *encoder.shape[2:])
        if merge == "concat":
            assert torch.equal(result[:, :2], decoder)
            assert torch.equal(result[:, 2:], module.transfer(module.keep(encoder), decoder))


def test_concat_hands_over_the_encoder():
    encoder = torch.full((2, 1, 2, 2), -1.0)
    merged = build("concat", encoder=1)(encoder, DECODER)
    assert merged[0, :, 0, 0].tolist() == [0.0, 4.0, -1.0]


def test_sum_of_equal_channels_adds():
    skip = build("sum", encoder=2)
    assert list(skip.parameters()) == []
    assert torch.equal(skip(10 * DECODER, DECODER), 11 * DECODER)


def test_sum_of_different_channels_projects():
    skip = build("sum", encoder=3, decoder=2)
    weight, bias = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 0.5]]), torch.tensor([0.25, -0.5])
    with torch.no_grad():
        skip.project.weight.copy_(weight.reshape(2, 3, 1, 1))
        skip.project.bias.copy_(bias)
    encoder = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    decoder = torch.tensor([100.0, 200.0]).reshape(1, 2, 1, 1)
    # By hand: 100 + (1 + 8 + 0.25) and 200 + (-2 + 2 - 0.5).
    assert skip(encoder, decoder).flatten().tolist() == [109.25, 199.5]


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(
    ("skip", "select", "in_force"),
    [
        ("at", None, [1.0, 1.0, 1.0]),
        ("sat", [0.5, -2.0, 0.01], [0.5, -2.0, 0.01]),
        (("sat", {"select": "hard"}), [0.5, -2.0, 0.01], [0.5, -2.0, 0.0]),
        (("sat", {"select": "hard", "threshold": 1.0}), [0.5, -2.0, 0.01], [0.0, -2.0, 0.0]),
    ],
)
def test_attention_map_by_hand(spatial_dims, skip, select, in_force):
    kernel, bias = [0.3, -0.7, 1.1], 0.2
    module = set_weights(build(skip, spatial_dims=spatial_dims), select=select, attend=kernel, bias=bias)
    encoder = features(spatial_dims)
    expected = attention(encoder, np.multiply(kernel, in_force), bias)
    merged = module(encoder, features(spatial_dims, channels=2))
    torch.testing.assert_close(merged[:, 2:], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(
    ("channels", "in_force"), [([0, 2], [1.0, 0.0, 1.0]), ([2, 0], [1.0, 0.0, 1.0]), ((1,), [0, 1, 0])]
)
def test_attention_to_some_channels_by_hand(spatial_dims, channels, in_force):
    kernel, bias = [0.3, -0.7, 1.1], 0.2
    module = build(("at", {"channels": channels}), spatial_dims=spatial_dims)
    # The kernel has a weight for each of them, in the encoder's order.
    set_weights(module, attend=[kernel[channel] for channel in sorted(channels)], bias=bias)
    encoder = features(spatial_dims)
    merged = module(encoder, features(spatial_dims, channels=2))
    torch.testing.assert_close(
        merged[:, 2:], attention(encoder, np.multiply(kernel, in_force), bias), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(torch.jit.script(module)(encoder, merged[:, :2]), merged)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", sorted(name.lower() for name in Skip.names))
def test_scripted_skip_computes_the_same(spatial_dims, name):
    torch.manual_seed(0)
    module = build(name, spatial_dims=spatial_dims).eval()
    encoder, decoder = features(spatial_dims), features(spatial_dims, channels=2, seed=1)
    scripted = torch.jit.script(module)
    with torch.no_grad():
        torch.testing.assert_close(scripted(encoder, decoder), module(encoder, decoder))


def test_channels_of_attention_are_no_weights():
    some, every = build(("at", {"channels": [0, 2]})), build(("at", {"channels": [2, 1, 0]}))
    assert list(some.state_dict()) == list(build("at").state_dict()) == ["attend.conv.weight", "attend.conv.bias"]
    assert some.attend.conv.weight.shape[1] == 2
    # All of them are none in particular.
    assert every.takes_all
    assert not some.takes_all


@pytest.mark.parametrize("channels", [[], [0, 0], [3], [-1], [0, 1, 2, 3]])
def test_channels_that_are_not_there_are_refused(channels):
    with pytest.raises(ValueError, match="expected different indices of the encoder's 3 channels, from 0"):
        build(("at", {"channels": channels}))


def test_attention_of_one_voxel_by_arithmetic():
    skip = set_weights(build("sat"), select=[2.0, 1.0, 0.5], attend=[1.0, -1.0, 4.0], bias=-1.0)
    encoder = torch.tensor([1.0, 3.0, 1.0]).reshape(1, 3, 1, 1)
    # 2*1*1 - 1*1*3 + 4*0.5*1 - 1 = 0, and sigmoid(0) = 0.5
    assert skip(encoder, torch.zeros(1, 2, 1, 1)).flatten().tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_folded_kernel_equals_weighting_the_features(spatial_dims):
    skip = build("sat", spatial_dims=spatial_dims, encoder=8)
    weight = torch.linspace(-1, 2, 8)
    set_weights(skip, select=weight.tolist())
    encoder = features(spatial_dims, channels=8)
    forward_weighted = encoder * weight.reshape(1, 8, *[1] * spatial_dims)
    convolve = {2: F.conv2d, 3: F.conv3d}[spatial_dims]
    expected = torch.sigmoid(convolve(forward_weighted, skip.attend.conv.weight, skip.attend.conv.bias))
    torch.testing.assert_close(skip.transfer(skip.keep(encoder), encoder), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("soft", [1.0, -0.25, 0.03125, -0.03125, 0.0625]), ("hard", [1.0, -0.25, 0.0, 0.0, 0.0625])],
)
def test_selection_multiplies_the_channels(mode, expected):
    # Powers of two, so that products are exact; the threshold itself counts as selected.
    weight = [1.0, -0.25, 0.03125, -0.03125, 0.0625]
    skip = set_weights(build(("st", {"select": mode, "threshold": 0.0625}), encoder=5), select=weight)
    encoder = features(2, channels=5)
    transferred = skip.transfer(skip.keep(encoder), encoder)
    for channel, factor in enumerate(expected):
        assert torch.equal(transferred[:, channel], encoder[:, channel] * factor)
    assert skip.select.selected() == [0, 1, 4]


@pytest.mark.parametrize("skip", ["st", "sat"])
def test_dropped_channels_do_not_count(skip):
    module = set_weights(build((skip, {"select": "hard"})), select=[1.0, 0.01, 1.0])
    encoder = features(2)
    changed = encoder.clone()
    changed[:, 1] += 1000
    assert torch.equal(module.transfer(module.keep(changed), encoder), module.transfer(module.keep(encoder), encoder))


def test_a_dropped_channel_has_no_gradient_from_the_data():
    select = Select(3, mode="hard", threshold=0.5)
    with torch.no_grad():
        select.weight.copy_(torch.tensor([1.0, 0.4, -0.6]))
    (select() * torch.tensor([2.0, 3.0, 4.0])).sum().backward()
    assert select.weight.grad.tolist() == [2.0, 0.0, 4.0]


def test_selected_channels_of_a_network():
    network = VNet(2, 1, 2, channels=(4, 4, 4), convs_per_level=(1, 1, 1), decoder_convs_per_level=(1, 1), skip="sat")
    selections = [module for module in network.modules() if isinstance(module, Select)]
    with torch.no_grad():
        selections[0].weight.copy_(torch.tensor([0.0, 1.0, 0.04, -0.06]))
        selections[1].weight.zero_()
    # The decoder's stages run deepest first.
    assert selected_channels(network) == {"decoder.0.skip": [1, 3], "decoder.1.skip": []}
    assert selected_channels(nn.Conv2d(1, 1, 1)) == {}


def test_sparsity_by_arithmetic():
    first, second = build("st", encoder=4), build(("sat", {"select": "hard"}), encoder=2)
    set_weights(first, select=[1.0, -2.0, 0.5, 0.25])
    set_weights(second, select=[0.01, -3.0])
    network = nn.ModuleList([first, second, build("concat")])
    term = sparsity(network)
    # 3.75 / 4 + 3.01 / 2; the mean is taken before the threshold of hard selection
    assert term.item() == pytest.approx(0.9375 + 1.505)
    term.backward()
    assert first.select.weight.grad.tolist() == [0.25, -0.25, 0.25, 0.25]
    assert second.select.weight.grad.tolist() == [0.5, -0.5]


def test_weights_start_at_one():
    network = VNet(2, 1, 2, channels=(4, 6), convs_per_level=(1, 1), decoder_convs_per_level=(1,), skip="st")
    assert sparsity(network).item() == 1.0
    assert selected_channels(network) == {"decoder.0.skip": [0, 1, 2, 3]}


@pytest.mark.parametrize("skip", ["concat", "sum", "none", "at", "scse", "scalar"])
def test_sparsity_is_zero_without_selection(skip):
    term = sparsity(build(skip))
    assert term.shape == ()
    assert term.item() == 0


def test_own_skip_is_used_by_name(registry):
    @registry.register("mine")
    class Mean(SkipConnection):
        """The mean of the encoder channels is concatenated, times a factor."""

        def __init__(self, spatial_dims, encoder_channels, decoder_channels, *, factor=1.0):  # noqa: ARG002
            super().__init__(decoder_channels=decoder_channels, transferred_channels=1)
            self.factor = factor

        def transfer(self, encoder: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
            return self.factor * encoder.mean(dim=1, keepdim=True)

    network = VNet(
        3,
        1,
        2,
        channels=(4, 6, 8),
        convs_per_level=(1, 1, 1),
        decoder_convs_per_level=(1, 1),
        skip=["none", ("Mine", {"factor": 3.0})],
    )
    deepest = network.decoder[0]
    assert type(deepest.skip) is Mean
    assert deepest.out_channels == 7
    encoder = features(3, channels=6)
    expected = 3 * encoder.sum(dim=1) / 6
    torch.testing.assert_close(deepest.skip(encoder, encoder)[:, -1], expected)
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 2, 8, 8, 8)
    assert "The mean of the encoder channels" in registry.components["MINE"].description


@pytest.mark.parametrize("name", ["sat", "SAT", "None"])
def test_a_taken_name_is_refused(registry, name):
    with pytest.raises(ValueError, match=f"'{name}' is taken by .*; choose another"):

        @registry.register(name)
        class Other(SkipConnection):
            """Another."""

    assert registry["none"].__name__ == "NoSkip"


def test_the_same_class_again_takes_its_own_place(registry):
    def run_the_cell():
        @registry.register("mine")
        class Mine(SkipConnection):
            """Mine."""

        return Mine

    first, second = run_the_cell(), run_the_cell()
    assert first is not second
    assert registry["mine"] is second


@pytest.mark.parametrize(("name", "nearest"), [("satt", "sat"), ("conct", "concat"), ("summ", "sum")])
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(ValueError, match=f"did you mean '{nearest}'"):
        VNet(skip=name)


@pytest.mark.parametrize("skip", [("concat", {"select": "hard"}), ("sat", {"selection": "hard"})])
def test_an_unknown_option_is_refused(skip):
    with pytest.raises(ValueError, match=f"does not take the option '{next(iter(skip[1]))}'"):
        build(skip)


def test_a_mistyped_option_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"expected one of select, threshold, maps, gate, merge; did you mean 'select'\?"
    ):
        build(("sat", {"selct": "hard"}))


@pytest.mark.parametrize(
    ("skip", "levels"),
    [
        (("concat", {"only": 0}), ["concat", "none", "none"]),
        (("concat", {"all_but": 0}), ["none", "concat", "concat"]),
        (["sat", {"maps": 2, "only": 2}], ["none", "none", ("sat", {"maps": 2})]),
        (("SUM", {"only": [0, 2]}), ["SUM", "none", "SUM"]),
        (("sum", {"all_but": [1, 2]}), ["sum", "none", "none"]),
    ],
)
def test_short_forms_choose_levels(skip, levels):
    def names(entries):
        return [entry if isinstance(entry, str) or entry[1] else entry[0] for entry in entries]

    assert names(skip_per_level(skip, 3)) == levels
    network = VNet(2, 1, 2, channels=(2, 3, 4, 5), convs_per_level=[1] * 4, decoder_convs_per_level=[1] * 3, skip=skip)
    found = [type(module) for module in network.skips().values()]
    assert [kind.__name__ == "NoSkip" for kind in found] == [level == "none" for level in levels]


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        (("concat", {"only": 7}), "expected a level of 0 .the finest. to 2, .* network of 4 levels has 3 skips"),
        (("concat", {"only": 3}), "expected a level of 0 .the finest. to 2"),
        (("concat", {"all_but": -1}), "expected a level of 0 .the finest. to 2"),
        (("concat", {"only": []}), "expected a level of 0"),
        (("concat", {"only": "finest"}), "expected a level of 0"),
        (("concat", {"only": True}), "expected a level of 0"),
        (("concat", {"only": 0, "all_but": 1}), "expected 'only' or 'all_but', not both"),
        (["none", ("concat", {"only": 1}), "none"], "found 'only' in a list with a skip per level"),
    ],
)
def test_levels_that_cannot_be(skip, message):
    with pytest.raises(ValueError, match=message):
        skip_per_level(skip, 3)


def test_an_unknown_way_of_selecting_is_refused():
    with pytest.raises(ValueError, match="select is 'firm'; expected 'soft' or 'hard'"):
        build(("sat", {"select": "firm"}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"merge": "multiply"}, "merge is 'multiply'; expected 'concat' or 'sum'"),
        ({"merge": "sum"}, "transfers 3 channels; expected 2"),
    ],
)
def test_a_merge_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SkipConnection(decoder_channels=2, transferred_channels=3, **options)


@pytest.mark.parametrize("gate", ["sigmoid", "linear"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_several_maps_are_projected_and_added(spatial_dims, gate):
    torch.manual_seed(0)
    options = {"maps": 2, "gate": gate, "merge": "sum"}
    skip = build_skip(("sat", options), spatial_dims=spatial_dims, encoder_channels=3, decoder_channels=5)
    with torch.no_grad():
        skip.select.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
    encoder, decoder = features(spatial_dims), features(spatial_dims, channels=5, seed=1)
    attend, project = skip.attend.conv.weight.flatten(1), skip.project.weight.flatten(1)
    forward_weighted = torch.einsum("nc...,c->nc...", encoder, skip.select.weight)
    maps = torch.einsum("nc...,mc->nm...", forward_weighted, attend)
    maps = maps + skip.attend.conv.bias.reshape(1, 2, *[1] * spatial_dims)
    maps = torch.sigmoid(maps) if gate == "sigmoid" else maps
    expected = decoder + torch.einsum("nm...,dm->nd...", maps, project)
    assert skip.keep(encoder).shape[1] == 2
    torch.testing.assert_close(skip(encoder, decoder), expected, rtol=0, atol=1e-5)
    assert (skip.transferred_channels, skip.merged_channels) == (5, 5)


def test_one_concatenated_sigmoid_map_is_the_published_form():
    torch.manual_seed(0)
    plain = build_skip("sat", spatial_dims=3, encoder_channels=3, decoder_channels=2)
    options = {"maps": 1, "gate": "sigmoid", "merge": "concat"}
    named = build_skip(("sat", options), spatial_dims=3, encoder_channels=3, decoder_channels=2)
    named.load_state_dict(plain.state_dict())
    encoder, decoder = features(3), features(3, channels=2, seed=1)
    assert torch.equal(plain(encoder, decoder), named(encoder, decoder))


@pytest.mark.parametrize(("options", "message"), [({"maps": 0}, "maps is 0"), ({"gate": "relu"}, "gate is 'relu'")])
def test_options_of_attention_that_do_not_exist(options, message):
    for name in ("at", "sat"):
        with pytest.raises(ValueError, match=message):
            build_skip((name, options), spatial_dims=3, encoder_channels=3, decoder_channels=2)


@pytest.mark.parametrize(("skip", "share"), [("none", 0), ("sat", 1 / 8), ("at", 1 / 8), ("sum", 1), ("concat", 1)])
def test_no_more_is_held_than_what_is_kept(skip, share):
    module = build_skip(skip, spatial_dims=3, encoder_channels=8, decoder_channels=8)
    encoder = features(3, channels=8)
    with torch.no_grad():
        kept = module.keep(encoder)
    # A slice would hold on to the memory of the whole feature map.
    assert kept.untyped_storage().nbytes() == share * encoder.untyped_storage().nbytes()
