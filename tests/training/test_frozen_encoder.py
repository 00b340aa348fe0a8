"""A frozen encoder does not change: parameters, running statistics, averages, and the optimiser's state."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.training import Muon, parameter_groups
from pipeline.training.frozen_encoder import FrozenEncoder


def make(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = VNet(2, 1, 2, channels=(4, 6), norm="batch", recalibrate="scse", **options)
    return network


def encoder_of(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.clone()
        for name, value in network.state_dict().items()
        if name.startswith(("encoder.", "recalibrate_encoder."))
    }


def step(network: nn.Module, optimizer: torch.optim.Optimizer, frozen: FrozenEncoder) -> None:
    """Take a step in the order of MONAI's trainer."""
    network.train()
    optimizer.zero_grad(set_to_none=False)
    network(torch.randn(2, 1, 8, 8)).square().mean().backward()
    frozen.drop_gradients()
    optimizer.step()


@pytest.mark.parametrize("only_gradients", [False, True])
def test_everything_of_the_encoder_stays_until_it_is_released(only_gradients: bool) -> None:
    network = make()
    optimizer = Muon(parameter_groups(network, 0.1), lr=0.1, weight_decay=0.1)
    frozen = FrozenEncoder(network, list(network.state_dict()), only_gradients=only_gradients)
    step(network, optimizer, frozen)
    before, decoder = encoder_of(network), network.state_dict()["head.1.weight"].clone()
    parameters = [one for name, one in network.named_parameters() if name in before]
    state = {
        id(one): {key: torch.as_tensor(value).clone() for key, value in optimizer.state[one].items()}
        for one in parameters
    }
    assert frozen.freeze() == len(parameters)
    for _ in range(2):
        step(network, optimizer, frozen)
    after = encoder_of(network)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(network.state_dict()["head.1.weight"], decoder)
    for one in parameters:
        assert all(
            torch.equal(torch.as_tensor(optimizer.state[one][key]), value) for key, value in state[id(one)].items()
        )
    frozen.release()
    step(network, optimizer, frozen)
    after = encoder_of(network)
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_a_new_optimiser_has_no_state_of_the_frozen() -> None:
    network = make()
    optimizer = Muon(parameter_groups(network, 0.1), lr=0.1)
    frozen = FrozenEncoder(network, list(network.state_dict()))
    frozen.freeze()
    step(network, optimizer, frozen)
    named = dict(network.named_parameters())
    assert {name for name, one in named.items() if optimizer.state[one]} == {
        name for name in named if not name.startswith(("encoder.", "recalibrate_encoder."))
    }


def test_tensors_that_were_not_taken_train() -> None:
    network = make()
    names = [name for name in network.state_dict() if not name.startswith("encoder.0")]
    optimizer = Muon(parameter_groups(network, 0.1), lr=0.1)
    frozen = FrozenEncoder(network, names)
    frozen.freeze()
    before = encoder_of(network)
    step(network, optimizer, frozen)
    changed = {name for name, value in encoder_of(network).items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if name.startswith("encoder.0")}


def test_nothing_to_freeze_is_an_error() -> None:
    with pytest.raises(InputError, match="no tensor of the network's encoder that was taken whole"):
        FrozenEncoder(make(), ["head.1.weight"])
