"""Squeeze & excitation against tensors computed by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from monai.networks.blocks.squeeze_and_excitation import ChannelSELayer
from torch import nn

from pipeline.networks import VNet, fused_scse, squeeze_excitation
from pipeline.networks.fused_scse import apply_larger_gate
from pipeline.networks.skips import build_skip
from pipeline.networks.squeeze_excitation import (
    AGGREGATIONS,
    ChannelExcitation,
    ProjectExcitation,
    SpatialChannelExcitation,
    SpatialExcitation,
    build_recalibration,
)

# (N, C, X, Y): the means of the two channels are 1 and 2.
X = torch.tensor([[[[0.0, 1.0], [2.0, 1.0]], [[-2.0, 4.0], [2.0, 4.0]]]])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def features(spatial_dims, *, channels=4, seed=0):
    return torch.randn(2, channels, *(3, 4, 2)[:spatial_dims], generator=torch.Generator().manual_seed(seed))


def fill(layer, weight, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight).reshape(layer.weight.shape))
        layer.bias.copy_(torch.tensor(bias))


def channel_excitation():
    """Hidden: relu(1*1 + 2*2 - 4) = 1. Gates: sigmoid(1 * 1 + 0) and sigmoid(-2 * 1 + 0.5)."""
    module = ChannelExcitation(2, 2)
    fill(module.layers[0], [1.0, 2.0], [-4.0])
    fill(module.layers[2], [1.0, -2.0], [0.0, 0.5])
    return module


def spatial_excitation():
    """Logits 1 * x_0 - 0.5 * x_1 + 0.25: [[1.25, -0.75], [1.25, -0.75]]."""
    module = SpatialExcitation(2, 2)
    fill(module.conv, [1.0, -0.5], [0.25])
    return module


CHANNEL_GATES = torch.tensor([sigmoid(1.0), sigmoid(-1.5)]).reshape(1, 2, 1, 1)
SPATIAL_GATES = torch.tensor([[sigmoid(1.25), sigmoid(-0.75)]] * 2).reshape(1, 1, 2, 2)


def test_cse_by_hand():
    torch.testing.assert_close(channel_excitation().gate(X), CHANNEL_GATES)
    torch.testing.assert_close(channel_excitation()(X), X * CHANNEL_GATES)


def test_sse_by_hand():
    torch.testing.assert_close(spatial_excitation().gate(X), SPATIAL_GATES)
    torch.testing.assert_close(spatial_excitation()(X), X * SPATIAL_GATES)


def test_a_hidden_channel_below_zero_leaves_the_gates_to_their_biases():
    module = channel_excitation()
    fill(module.layers[0], [1.0, 2.0], [-6.0])
    expected = torch.tensor([0.5, sigmoid(0.5)]).reshape(1, 2, 1, 1)
    torch.testing.assert_close(module.gate(X), expected)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_scse_by_hand(aggregation):
    module = SpatialChannelExcitation(2, 2, aggregation=aggregation)
    module.channel, module.spatial = channel_excitation(), spatial_excitation()
    by_channel, by_position = (X * CHANNEL_GATES).numpy(), (X * SPATIAL_GATES).numpy()
    expected = {
        "max": np.maximum(by_channel, by_position),
        "add": by_channel + by_position,
        "multiply": by_channel * by_position,
        "concat": np.concatenate([by_channel, by_position], axis=1),
    }[aggregation]
    result = module(X)
    torch.testing.assert_close(result, torch.from_numpy(expected))
    assert result.shape[1] == module.out_channels


def test_project_excite_of_one_voxel_by_hand():
    # One voxel: its three profiles are the voxel itself, so the convolution sees three times the value.
    module = ProjectExcitation(3, 2)
    fill(module.squeeze, [0.5, 1.0], [-3.0])
    fill(module.excite, [1.0, -1.0], [0.0, 1.0])
    x = torch.tensor([2.0, 1.0]).reshape(1, 2, 1, 1, 1)
    # 3 * (0.5 * 2 + 1 * 1) - 3 = 3
    expected = [2 * sigmoid(3.0), sigmoid(-2.0)]
    assert module(x).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_project_excite_against_numpy(spatial_dims):
    module = ProjectExcitation(spatial_dims, 4, reduction=2)
    x = features(spatial_dims).double().numpy()
    axes = tuple(range(2, x.ndim))
    profiles = sum(x.mean(axis=tuple(a for a in axes if a != axis), keepdims=True) for axis in axes)
    profiles = np.broadcast_to(profiles, x.shape)

    def conv(layer, values):
        kernel = layer.weight.detach().double().flatten(1).numpy()
        bias = layer.bias.detach().double().numpy().reshape(-1, *[1] * spatial_dims)
        return np.einsum("oc,nc...->no...", kernel, values) + bias

    gates = 1 / (1 + np.exp(-conv(module.excite, np.maximum(conv(module.squeeze, profiles), 0))))
    torch.testing.assert_close(module(torch.from_numpy(x).float()), torch.from_numpy(x * gates).float())


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_cse_is_monais(spatial_dims):
    module, monai = ChannelExcitation(spatial_dims, 4), ChannelSELayer(spatial_dims, 4)
    monai.fc.load_state_dict(module.layers.state_dict())
    x = features(spatial_dims)
    torch.testing.assert_close(module(x), monai(x))


def test_weights_of_one_block_as_the_paper_counts_them():
    """64^2 + 64 weights for 64 channels and reduction 2; biases: 32 + 64 of cSE, 1 of sSE."""
    module = SpatialChannelExcitation(3, 64)
    counts = {name: parameter.numel() for name, parameter in module.named_parameters()}
    assert sum(count for name, count in counts.items() if name.endswith("weight")) == 64**2 + 64
    assert sum(count for name, count in counts.items() if name.endswith("bias")) == 32 + 64 + 1


def test_eight_blocks_of_a_network_of_64_channels():
    """1.5 % more parameters of a network with 2.1 million: 33,280 weights."""
    assert 8 * (64**2 + 64) == 33_280
    options = {"channels": [64] * 5, "convs_per_level": [1] * 5, "decoder_convs_per_level": [1] * 4, "norm": None}
    plain, gated = (
        VNet(2, 1, 2, **options, residual="decoder", head="pointwise", recalibrate=scse, recalibrate_at=places)
        for scse, places in ((None, ()), ("scse", ("encoder", "decoder")))
    )
    added = {name: p.numel() for name, p in gated.named_parameters() if "recalibrate" in name and p.ndim > 1}
    assert sum(added.values()) == 33_280
    assert set(plain.state_dict()) == {name for name in gated.state_dict() if "recalibrate" not in name}


@pytest.mark.parametrize("merge", ["sum", "concat"])
@pytest.mark.parametrize("name", ["cse", "sse", "scse", "project_excite"])
@pytest.mark.parametrize("decoder_channels", [4, 3])
def test_skips_hand_over_the_gated_feature_map(name, merge, decoder_channels):
    torch.manual_seed(0)
    skip = build_skip((name, {"merge": merge}), spatial_dims=3, encoder_channels=4, decoder_channels=decoder_channels)
    gate = build_recalibration(name, spatial_dims=3, channels=4)
    gate.load_state_dict(skip.excitation.state_dict())
    encoder, decoder = features(3), features(3, channels=decoder_channels, seed=1)
    gated = gate(encoder)
    if merge == "concat":
        expected = torch.cat((decoder, gated), dim=1)
    elif decoder_channels == 4:
        expected = decoder + gated
    else:
        kernel, bias = skip.project.weight.flatten(1), skip.project.bias.reshape(-1, 1, 1, 1)
        expected = decoder + torch.einsum("oc,nc...->no...", kernel, gated) + bias
    torch.testing.assert_close(skip(encoder, decoder), expected)
    assert skip.keep(encoder).shape[1] == min(4, skip.transferred_channels)


def test_concatenated_aggregation_of_a_skip_hands_over_both():
    options = {"aggregation": "concat", "merge": "concat"}
    skip = build_skip(("scse", options), spatial_dims=2, encoder_channels=3, decoder_channels=2)
    assert (skip.transferred_channels, skip.merged_channels) == (6, 8)


def test_where_recalibration_is_switched_on():
    def places(*chosen):
        network = VNet(
            2, channels=(2, 4, 6), convs_per_level=(1, 1, 1), decoder_convs_per_level=(1, 1), recalibrate="sse",
            recalibrate_at=chosen,
        )  # fmt: skip
        found = [*network.recalibrate_encoder, *network.recalibrate_decoder]
        return [not isinstance(module, nn.Identity) for module in found]

    assert places("encoder") == [True, True, False, False, False]
    assert places("bottleneck") == [False, False, True, False, False]
    assert places("decoder") == [False, False, False, True, True]
    assert places("encoder", "bottleneck", "decoder") == [True] * 5


def test_a_stage_is_recalibrated_before_its_skip():
    """A gate of zero everywhere at the finest encoder stage leaves its skip, and all coarser stages, nothing."""
    network = VNet(
        2, channels=(2, 4), convs_per_level=(1, 1), decoder_convs_per_level=(1,), norm=None, recalibrate="sse",
        recalibrate_at=("encoder",),
    )  # fmt: skip
    fill(network.recalibrate_encoder[0].conv, [0.0, 0.0], [-1e4])
    seen = []
    for module in (network.decoder[0].skip, network.encoder[1]):
        method = "keep" if module is network.decoder[0].skip else "forward"
        original = getattr(module, method)
        setattr(module, method, lambda x, original=original: seen.append(float(x.abs().max())) or original(x))
    network(torch.randn(1, 1, 4, 4))
    assert seen == [0.0, 0.0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("scsee", "did you mean 'scse'"),
        (("cse", {"reduction": 8}), "reduction is 8 for 4 channels; expected 1 to 4, so that a channel is left"),
        (("project_excite", {"reduction": 0}), "reduction is 0 for 4 channels"),
        (("scse", {"aggregation": "mean"}), "aggregation is 'mean'; expected one of max, add, multiply, concat"),
        (("scse", {"aggregation": "concat"}), "makes 8 channels of 4; expected an aggregation that keeps them"),
        (("sse", {"reduction": 2}), "the recalibration 'sse' does not take the option 'reduction'; it takes none"),
        (("cse", {"reductoin": 2}), "did you mean 'reduction'"),
    ],
)
def test_what_recalibration_refuses(spec, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        VNet(2, channels=(4, 8), convs_per_level=(1, 1), decoder_convs_per_level=(1,), recalibrate=spec)


def test_a_place_that_no_network_has():
    with pytest.raises(ValueError, match="recalibrate_at is 'middle'; expected one of encoder, bottleneck, decoder"):
        VNet(recalibrate="scse", recalibrate_at=["middle"])
    with pytest.raises(ValueError, match="did you mean 'decoder'"):
        VNet(recalibrate="scse", recalibrate_at=["decodr"])
    with pytest.raises(ValueError, match=r"recalibrate_at is \['decoder', 'decoder'\]; expected each place once"):
        VNet(recalibrate="scse", recalibrate_at=["decoder", "decoder"])


def test_a_concatenated_aggregation_does_not_fit_a_sum():
    with pytest.raises(ValueError, match="aggregation 'concat' makes 6 channels of 3; expected merge 'concat'"):
        build_skip(("scse", {"aggregation": "concat"}), spatial_dims=2, encoder_channels=3, decoder_channels=3)


@pytest.mark.parametrize("name", ["cse", "sse", "scse", "project_excite"])
def test_bfloat16_stays_bfloat16(name):
    gate = build_recalibration(name, spatial_dims=3, channels=4)
    with torch.autocast("cpu", torch.bfloat16):
        assert gate(features(3).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_fused_maximum_is_the_plain_one(spatial_dims, monkeypatch):
    """Values bit for bit; gradients up to the order of sums."""
    torch.manual_seed(0)
    size = (64, 72) if spatial_dims == 2 else (16, 18, 20)
    module = SpatialChannelExcitation(spatial_dims, 4)
    x, grad = torch.randn(2, 4, *size), torch.randn(2, 4, *size)

    def run():
        inputs = x.clone().requires_grad_()
        module.zero_grad()
        result = module(inputs)
        result.backward(grad)
        return result.detach(), inputs.grad, [p.grad.clone() for p in module.parameters()]

    fused = run()
    calls = []
    monkeypatch.setattr(squeeze_excitation, "can_fuse", lambda x: calls.append(x.shape) or False)
    plain = run()
    assert calls == [x.shape]
    assert torch.equal(fused[0], plain[0])
    # A sum of thousands of terms of either sign: compared with the size of its terms.
    torch.testing.assert_close(fused[1], plain[1], rtol=1e-4, atol=1e-4)
    for one, other in zip(fused[2], plain[2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_gradients_of_the_fused_maximum_against_finite_differences(spatial_dims, monkeypatch):
    monkeypatch.setattr(fused_scse, "_MIN_VOXELS", 1)
    torch.manual_seed(0)
    module = SpatialChannelExcitation(spatial_dims, 4).double()
    x = torch.randn(2, 4, *(3, 2, 2)[:spatial_dims], dtype=torch.float64, requires_grad=True)
    first, _, second, _ = module.channel.layers
    weights = [*first.parameters(), *second.parameters(), *module.spatial.conv.parameters()]

    def compute(x, *_):
        return apply_larger_gate(x, module.channel.layers, module.spatial.conv)

    assert torch.autograd.gradcheck(compute, (x, *weights))


def test_a_strided_map_is_fused_like_a_contiguous_one():
    torch.manual_seed(0)
    module = SpatialChannelExcitation(2, 4)
    x = torch.randn(2, 4, 64, 72)
    gradients = []
    for form in (torch.contiguous_format, torch.channels_last):
        inputs = x.clone(memory_format=form).requires_grad_()
        assert fused_scse.can_fuse(inputs)
        module(inputs).square().sum().backward()
        gradients.append(inputs.grad)
    torch.testing.assert_close(*gradients)


def test_under_autocast_the_fused_maximum_is_nearly_the_exact_one(monkeypatch):
    torch.manual_seed(0)
    module = SpatialChannelExcitation(2, 4)
    x = torch.randn(2, 4, 64, 72).bfloat16()

    def run(module, x, *, short=True):
        inputs = x.clone().requires_grad_()
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=short):
            result = module(inputs)
        result.to(torch.float64).square().mean().backward()
        return [result.detach(), inputs.grad, *[p.grad.clone() for p in module.parameters()]]

    truth = run(copy.deepcopy(module).double(), x.double(), short=False)
    fused = run(module, x)
    monkeypatch.setattr(squeeze_excitation, "can_fuse", lambda _: False)
    for one, other, true in zip(fused, run(module, x), truth, strict=True):
        assert one.dtype == other.dtype
        assert max((each.double() - true).norm() for each in (one, other)) < 0.05 * true.norm()


def test_small_maps_and_inference_are_not_fused():
    assert not fused_scse.can_fuse(torch.zeros(1, 1, 8, 8))
    large = torch.zeros(1, 1, 64, 64)
    assert fused_scse.can_fuse(large)
    with torch.no_grad():
        assert not fused_scse.can_fuse(large)


def test_second_gradients_with_frozen_gates():
    module = SpatialChannelExcitation(2, 3).requires_grad_(False)
    x = torch.randn(2, 3, 64, 66, requires_grad=True)
    assert fused_scse.can_fuse(x)
    (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert torch.isfinite(second).all()


def test_second_gradients_of_the_fused_maximum(monkeypatch):
    torch.manual_seed(0)
    module = SpatialChannelExcitation(2, 3).double()
    x = torch.randn(2, 3, 64, 66, dtype=torch.float64, requires_grad=True)

    def second():
        (first,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    fused = second()
    monkeypatch.setattr(squeeze_excitation, "can_fuse", lambda _: False)
    torch.testing.assert_close(fused, second())


@pytest.mark.parametrize("name", ["cse", "scse", "sse", "project_excite"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_converted_network_computes_in_its_type(name, dtype):
    gate = build_recalibration(name, spatial_dims=2, channels=4).to(dtype)
    assert gate(features(2).to(dtype)).dtype == dtype


def test_an_empty_batch_stays_empty():
    assert SpatialChannelExcitation(2, 4)(torch.zeros(0, 4, 64, 64)).shape == (0, 4, 64, 64)
