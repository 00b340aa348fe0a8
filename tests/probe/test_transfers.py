"""Probes against networks whose weights were changed by hand to the same effect."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.networks import SkipConnection, VNet
from pipeline.probe.transfers import capture_kept, keep_maps, replace_transfer, switch_off, take_mean

SAT3 = ("sat", {"maps": 3, "gate": "linear", "merge": "sum"})


def make_network(skip: Any, *, spatial_dims: int = 3, residual: str = "decoder") -> VNet:
    torch.manual_seed(0)
    channels = (4, 8, 8)
    norm = ("instance", {"affine": True})
    network = VNet(spatial_dims, 1, 3, channels, kernel_size=3, norm=norm, skip=skip, residual=residual)
    return network.eval().requires_grad_(False)


def make_input(spatial_dims: int = 3) -> Tensor:
    return torch.randn((2, 1, *[8] * spatial_dims), generator=torch.Generator().manual_seed(1))


def skip_of(network: VNet, level: int) -> SkipConnection:
    return list(network.skips().values())[level]


def run_probed(network: VNet, level: int, change: Callable[..., Any], x: Tensor) -> Tensor:
    with replace_transfer(skip_of(network, level), change):
        return network(x)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("level", [0, 1])
def test_off_of_a_sum_is_a_network_without_that_skip(spatial_dims: int, level: int) -> None:
    network = make_network("sum", spatial_dims=spatial_dims)
    without = make_network(["none" if number == level else "sum" for number in range(2)], spatial_dims=spatial_dims)
    without.load_state_dict(network.state_dict())
    x = make_input(spatial_dims)
    found = run_probed(network, level, switch_off, x)
    torch.testing.assert_close(found, without(x), rtol=0, atol=1e-6)
    assert not torch.allclose(found, network(x), atol=1e-3)


@pytest.mark.parametrize("skip", ["concat", "sat", "st", "at"])
def test_off_of_a_concatenation_is_a_convolution_with_zeros_for_it(skip: str) -> None:
    network = make_network(skip)
    found = run_probed(network, 0, switch_off, make_input())
    changed = copy.deepcopy(network)
    stage: Any = changed.decoder[-1]
    weights = dict(stage.enter.named_parameters())
    kernel = next(value for value in weights.values() if value.dim() == 5 and value.shape[1] > 4)
    kernel[:, 4:] = 0
    torch.testing.assert_close(found, changed(make_input()), rtol=1e-4, atol=1e-5)


def test_off_of_maps_is_a_projection_of_zeros() -> None:
    network, x = make_network(SAT3), make_input()
    changed = copy.deepcopy(network)
    skip_of(changed, 1).project.weight.zero_()  # type: ignore[union-attr, operator]
    torch.testing.assert_close(run_probed(network, 1, switch_off, x), changed(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kept", [[0], [2, 1], []])
def test_fewer_maps_is_a_projection_with_zeros_for_the_others(kept: list[int]) -> None:
    network, x = make_network(SAT3), make_input()
    changed = copy.deepcopy(network)
    weight: Any = skip_of(changed, 0).project.weight  # type: ignore[union-attr]
    for index in {0, 1, 2} - set(kept):
        weight[:, index] = 0
    found = run_probed(network, 0, keep_maps(kept, kept_maps=True), x)
    torch.testing.assert_close(found, changed(x), rtol=1e-5, atol=1e-5)


def test_all_maps_change_nothing() -> None:
    x = make_input()
    for skip, maps, kept_maps in ((SAT3, range(3), True), ("concat", range(4), False)):
        network = make_network(skip)
        assert torch.equal(run_probed(network, 0, keep_maps(list(maps), kept_maps=kept_maps), x), network(x))


def test_the_mean_has_no_place() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 4.0]]]])
    found = take_mean(lambda kept, _decoder: 2 * kept)(x, x)
    assert found.shape == x.shape
    assert found[0, 0].unique().tolist() == [6.0]
    assert found[0, 1].unique().tolist() == [2.0]
    # Of each window by itself, and in the number format of the feature map.
    both = take_mean(lambda kept, _decoder: kept)(torch.cat([x, 3 * x]).bfloat16(), x)
    assert both.dtype == torch.bfloat16
    assert both[:, 0, 0, 0].tolist() == [3.0, 9.0]


@pytest.mark.parametrize("skip", ["sum", "concat", SAT3, "sat"])
@pytest.mark.parametrize("residual", ["merged", "decoder"])
def test_a_replaced_transfer_that_is_the_own_one_changes_nothing(skip: Any, residual: str) -> None:
    network, x = make_network(skip, residual=residual), make_input()
    assert torch.equal(run_probed(network, 0, lambda own: own, x), network(x))


def test_the_skip_is_as_before_after_an_error() -> None:
    network, x = make_network("sat"), make_input()
    expected = network(x)

    def broken(_own: Any) -> Any:
        def transfer(_kept: Tensor, _decoder: Tensor) -> Tensor:
            raise ValueError("broken")

        return transfer

    with pytest.raises(ValueError, match="broken"):
        run_probed(network, 0, broken, x)
    assert torch.equal(network(x), expected)
    assert "transfer" not in skip_of(network, 0).__dict__


@pytest.mark.parametrize("level", [0, 1])
def test_what_a_skip_keeps_is_captured_without_the_decoder(level: int) -> None:
    network, x = make_network("sat"), make_input()
    encoded = x
    for stage in list(network.encoder)[: level + 1]:
        encoded = stage(encoded)
    for stage in network.decoder:
        stage.register_forward_hook(_fail)
    assert torch.equal(capture_kept(network, skip_of(network, level), x), skip_of(network, level).keep(encoded))


def test_a_network_that_calls_no_keep_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="does not call keep"):
        capture_kept(nn.Identity(), skip_of(make_network("sat"), 0), make_input())


def _fail(*_: Any) -> None:
    raise AssertionError("the decoder ran")
