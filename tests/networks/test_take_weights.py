"""What a network takes of the weights of another, tensor by tensor."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.networks import UNet, VNet
from pipeline.networks.take_weights import ChannelNames, Fit, take_weights

SMALL: dict[str, Any] = {"channels": (4, 6, 8), "kernel_size": 3, "residual": "decoder", "head": "pointwise"}


def build(in_channels: int = 1, out_channels: int = 3, *, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    network: nn.Module = VNet(2, in_channels, out_channels, **{**SMALL, **options})
    return network


def take(network: nn.Module, other: nn.Module, **names: ChannelNames) -> tuple[dict[str, Fit], dict[str, Tensor]]:
    """Return the rows by name, and the network's tensors before."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fits, _ = take_weights(network, other.state_dict(), **names)
    assert [fit.name for fit in fits] == list(before)
    return {fit.name: fit for fit in fits}, before


def test_an_equal_network_is_copied_whole() -> None:
    network, other = build(seed=1), build()
    fits, unused = take_weights(network, other.state_dict())
    assert all(fit.is_whole for fit in fits)
    assert unused == []
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_half_precision_weights_become_those_of_the_network() -> None:
    network, other = build(seed=1), build().half()
    take_weights(network, other.state_dict())
    assert {one.dtype for one in network.parameters()} == {torch.float32}
    name = "encoder.1.down.0.weight"
    assert torch.equal(network.state_dict()[name], other.state_dict()[name].float())


def test_other_labels_are_copied_by_name() -> None:
    network, other = build(out_channels=4, seed=1), build(out_channels=3)
    names = {
        "source": ChannelNames(None, ("background", "anterior", "posterior")),
        "target": ChannelNames(None, ("background", "lesion", "Posterior", "tube")),
    }
    fits, before = take(network, other, **names)
    for name in ("head.weight", "head.bias"):
        now, old, theirs = network.state_dict()[name], before[name], other.state_dict()[name]
        assert torch.equal(now[[0, 2]], theirs[[0, 2]])
        assert torch.equal(now[[1, 3]], old[[1, 3]])
        assert fits[name].taken == 2 * fits[name].size // 4
        assert fits[name].how == "2 of 4 labels, by name"
    assert all(fit.is_whole for name, fit in fits.items() if not name.startswith("head."))


def test_labels_in_another_order() -> None:
    network, other = build(seed=1), build()
    source, target = ("background", "a", "b"), ("background", "b", "a")
    fits, _ = take(network, other, source=ChannelNames(None, source), target=ChannelNames(None, target))
    assert torch.equal(network.state_dict()["head.bias"], other.state_dict()["head.bias"][[0, 2, 1]])
    assert fits["head.bias"].is_whole


def test_the_published_head_has_labels_on_two_axes() -> None:
    network, other = build(seed=1, out_channels=2, head="conv"), build(head="conv")
    source, target = ("background", "a", "b"), ("background", "b")
    fits, _ = take(network, other, source=ChannelNames(None, source), target=ChannelNames(None, target))
    now, theirs = network.state_dict(), other.state_dict()
    assert torch.equal(now["head.1.weight"], theirs["head.1.weight"][[0, 2]][:, [0, 2]])
    assert torch.equal(now["head.0.0.weight"], theirs["head.0.0.weight"][[0, 2]])
    assert fits["head.1.weight"].taken == 4


@pytest.mark.parametrize("known", [False, True])
def test_unknown_labels_are_copied_only_in_equal_number(known: bool) -> None:
    names = {"target": ChannelNames(None, ("background", "a", "b"))} if known else {}
    network, other = build(seed=1), build()
    fits, _ = take(network, other, **names)
    assert fits["head.weight"].is_whole
    assert "in their order" in fits["head.weight"].how
    fits, _ = take(build(seed=1, out_channels=3), build(out_channels=5), **names)
    assert fits["head.weight"].taken == 0
    assert "labels are unknown" in fits["head.weight"].how


def test_names_of_another_network_than_the_weights_count_as_unknown() -> None:
    names = ChannelNames(None, tuple("abcdef"))
    fits, _ = take(build(seed=1), build(), source=names, target=names)
    assert fits["head.weight"].is_whole


FIRST = "encoder.0.convs.0.0.weight"


def test_input_channels_by_name_and_the_others_at_zero() -> None:
    network, other = build(2, seed=1), build(2)
    names = {"source": ChannelNames(("T1", "FLAIR"), None), "target": ChannelNames(("T2", "T1"), None)}
    fits, _ = take(network, other, **names)
    now, theirs = network.state_dict()[FIRST], other.state_dict()[FIRST]
    assert torch.equal(now[:, 1], theirs[:, 0])
    assert not now[:, 0].any()
    assert fits[FIRST].how == "1 of 2 input channels by name, the others start at zero"


def test_input_channels_without_a_shared_name_get_the_mean() -> None:
    network, other = build(4, seed=1), build(2)
    fits, _ = take(network, other)
    now, theirs = network.state_dict()[FIRST], other.state_dict()[FIRST]
    for channel in range(4):
        torch.testing.assert_close(now[:, channel], (theirs[:, 0] + theirs[:, 1]) / 4)
    # The same response to channels that are all alike.
    torch.testing.assert_close(now.sum(1), theirs.sum(1))
    assert fits[FIRST].how == "mean of 2 input channels, for each of 4"


def test_levels_are_matched_from_the_finest() -> None:
    network, other = build(seed=1), build(channels=(4, 6, 8, 10))
    fits, _ = take(network, other)
    now, theirs = network.state_dict(), other.state_dict()
    for name in ("encoder.2.convs.0.0.weight", "encoder.0.act.weight"):
        assert torch.equal(now[name], theirs[name])
    assert torch.equal(now["decoder.0.up.0.weight"], theirs["decoder.1.up.0.weight"])
    assert torch.equal(now["decoder.1.up.0.weight"], theirs["decoder.2.up.0.weight"])
    # The published number of convolutions depends on the depth.
    assert {name for name, fit in fits.items() if not fit.is_whole} <= {
        name for name in now if name.startswith(("encoder.2.convs", "decoder.0.convs"))
    }


def test_a_deeper_network_keeps_its_own_deepest_level() -> None:
    network, other = build(seed=1, channels=(4, 6, 8, 10)), build()
    fits, before = take(network, other)
    assert fits["encoder.3.down.0.weight"].how == "not in the weights"
    assert torch.equal(network.state_dict()["encoder.3.down.0.weight"], before["encoder.3.down.0.weight"])
    assert torch.equal(network.state_dict()["decoder.1.up.0.weight"], other.state_dict()["decoder.0.up.0.weight"])


@pytest.mark.parametrize("make", [VNet, UNet])
@pytest.mark.parametrize(
    ("ours", "theirs"), [("sat", "concat"), ("concat", "sat"), ("sum", "concat"), ("concat", "none")]
)
def test_another_skip_keeps_the_channels_from_below(make: type[nn.Module], ours: str, theirs: str) -> None:
    options: dict[str, Any] = SMALL if make is VNet else {"channels": (4, 6, 8)}
    torch.manual_seed(0)
    network, other = make(2, 1, 3, **options, skip=ours), make(2, 1, 3, **options, skip=theirs)
    fits, before = take(network, other)

    def first(state: dict[str, Tensor]) -> tuple[str, Tensor]:
        name = next(name for name in ("decoder.1.enter.conv.weight", "decoder.1.convs.0.0.weight") if name in state)
        return name, state[name]

    (name, now), (_, old) = first(network.state_dict()), first(other.state_dict())
    assert torch.equal(now[:, :4], old[:, :4])
    assert torch.equal(now[:, 4:], before[name][:, 4:])
    assert fits[name].how == "without the channels of the skip connection"
    assert all(fit.is_whole for key, fit in fits.items() if fit.part == "encoder")
    untaken = {key for key, fit in fits.items() if not fit.taken}
    assert all(fits[key].part == "skips" for key in untaken)


def test_other_widths_and_kernels_are_listed() -> None:
    network = build(seed=1, channels=(4, 6, 12), kernel_size=[3, 3, [5, 5]])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fits, unused = take_weights(network, build().state_dict())
    hows = {fit.name: fit.how for fit in fits}
    assert hows["encoder.2.down.0.weight"] == "shape [8, 6, 2, 2] instead of [12, 6, 2, 2]"
    assert torch.equal(network.state_dict()["encoder.2.down.0.weight"], before["encoder.2.down.0.weight"])
    assert "encoder.2.down.0.weight" in unused
    assert hows["encoder.1.down.0.weight"] == ""


def test_any_network_takes_what_has_its_name_and_shape() -> None:
    network, other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 3, 1)), nn.Sequential(nn.Conv2d(1, 2, 3))
    fits, unused = take_weights(network, {**other.state_dict(), "more": torch.zeros(1)})
    assert [(fit.name, fit.part, fit.is_whole) for fit in fits] == [
        ("0.weight", "0", True),
        ("0.bias", "0", True),
        ("1.weight", "1", False),
        ("1.bias", "1", False),
    ]
    assert unused == ["more"]
    assert torch.equal(network.state_dict()["0.weight"], other.state_dict()["0.weight"])
