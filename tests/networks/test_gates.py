"""The attention gate and the scalar gate against tensors computed by hand."""

import math

import pytest
import torch
from monai.networks.nets.attentionunet import AttentionBlock

from pipeline.networks.skips import build_skip


def features(channels, *, spatial_dims=3, seed=0):
    return torch.randn(2, channels, *(3, 4, 2)[:spatial_dims], generator=torch.Generator().manual_seed(seed))


def set_conv(layer, weight, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight).reshape(layer.weight.shape))
        layer.bias.copy_(torch.tensor(bias))


def test_attention_gate_of_one_voxel_by_hand():
    skip = build_skip(("attention_gate", {"norm": None}), spatial_dims=3, encoder_channels=2, decoder_channels=1)
    set_conv(skip.gate.W_x[0].conv, [1.0, -1.0], [0.5])
    set_conv(skip.gate.W_g[0].conv, [2.0], [-1.0])
    set_conv(skip.gate.psi[0].conv, [0.5], [0.25])
    encoder = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1, 1)
    decoder = torch.tensor([1.5]).reshape(1, 1, 1, 1, 1)
    # relu((3 - 1 + 0.5) + (2 * 1.5 - 1)) = 4.5; 0.5 * 4.5 + 0.25 = 2.5
    gate = 1 / (1 + math.exp(-2.5))
    assert skip(encoder, decoder).flatten().tolist() == pytest.approx([1.5, 3 * gate, gate])
    # relu(2.5 - 9) = 0: only the bias is left.
    gate = 1 / (1 + math.exp(-0.25))
    assert skip(encoder, -4 * torch.ones_like(decoder)).flatten().tolist() == pytest.approx([-4, 3 * gate, gate])


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_attention_gate_is_monais_block(spatial_dims):
    skip = build_skip("attention_gate", spatial_dims=spatial_dims, encoder_channels=6, decoder_channels=4).eval()
    block = AttentionBlock(spatial_dims, f_int=3, f_g=4, f_l=6).eval()
    block.load_state_dict(skip.gate.state_dict())
    encoder, decoder = features(6, spatial_dims=spatial_dims), features(4, spatial_dims=spatial_dims, seed=1)
    torch.testing.assert_close(skip(encoder, decoder), torch.cat((decoder, block(decoder, encoder)), dim=1))


def test_attention_gate_can_be_added():
    skip = build_skip(("attention_gate", {"merge": "sum"}), spatial_dims=3, encoder_channels=6, decoder_channels=4)
    assert (skip.transferred_channels, skip.merged_channels) == (4, 4)
    assert skip(features(6), features(4)).shape == features(4).shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "hidden is 0; expected a number of channels, at least 1"),
        ({"norm": "instance"}, "norm is 'instance'; expected one of batch, none"),
        ({"merge": "multiply"}, "merge is 'multiply'"),
    ],
)
def test_what_the_attention_gate_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build_skip(("attention_gate", options), spatial_dims=3, encoder_channels=4, decoder_channels=4)


def test_scalar_starts_as_a_sum_with_one_number_more():
    skip = build_skip("scalar", spatial_dims=3, encoder_channels=4, decoder_channels=4)
    assert [parameter.numel() for parameter in skip.parameters()] == [1]
    assert skip.alpha().item() == pytest.approx(1)
    encoder, decoder = features(4), features(4, seed=1)
    torch.testing.assert_close(skip(encoder, decoder), encoder + decoder)


@pytest.mark.parametrize(("beta", "alpha"), [(0.0, math.log(2)), (2.0, math.log(1 + math.exp(2))), (-50.0, 0.0)])
def test_scalar_by_hand(beta, alpha):
    skip = build_skip("scalar", spatial_dims=2, encoder_channels=2, decoder_channels=2)
    with torch.no_grad():
        skip.beta.fill_(beta)
    encoder, decoder = torch.full((1, 2, 1, 1), 3.0), torch.full((1, 2, 1, 1), -1.0)
    assert skip(encoder, decoder).flatten().tolist() == pytest.approx([3 * alpha - 1] * 2)
    assert skip.transfer(encoder, decoder).flatten().tolist() == pytest.approx([3 * alpha] * 2)


@pytest.mark.parametrize("name", ["sum", "scalar"])
@pytest.mark.parametrize(("encoder_channels", "decoder_channels", "kept"), [(8, 2, 2), (2, 8, 2), (4, 4, 4)])
def test_a_sum_keeps_the_narrower_of_the_two(name, encoder_channels, decoder_channels, kept):
    skip = build_skip(name, spatial_dims=3, encoder_channels=encoder_channels, decoder_channels=decoder_channels)
    encoder, decoder = features(encoder_channels), features(decoder_channels, seed=1)
    assert skip.keep(encoder).shape[1] == kept
    added = encoder
    if encoder_channels != decoder_channels:
        added = torch.einsum("oc,nc...->no...", skip.project.weight.flatten(1), encoder)
        added = added + skip.project.bias.reshape(-1, 1, 1, 1)
    torch.testing.assert_close(skip(encoder, decoder), decoder + added)
