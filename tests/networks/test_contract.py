import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.networks import Network, Networks, VNet, build_network

SMALL = {"channels": (4, 6), "convs_per_level": (1, 1), "decoder_convs_per_level": (1,), "kernel_size": 3}


@pytest.fixture(autouse=True)
def registry():
    before = dict(Networks.components)
    yield
    Networks.components.clear()
    Networks.components.update(before)


def test_spec_is_the_name_and_every_argument_as_json_has_them():
    network = VNet(2, 1, 3, **SMALL, skip=("sat", {"select": "hard"}))
    assert network.spec == {
        "name": "vnet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 3,
        "channels": [4, 6],
        "convs_per_level": [1, 1],
        "decoder_convs_per_level": [1],
        "kernel_size": 3,
        "strides": None,
        "norm": "batch",
        "act": "prelu",
        "dropout": 0.0,
        "deep_supervision": False,
        "skip": ["sat", {"select": "hard"}],
        "residual": "merged",
        "head": "conv",
        "recalibrate": None,
        "recalibrate_at": ["encoder", "bottleneck", "decoder"],
    }


@pytest.mark.parametrize("again", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_copies_keep_it(again):
    network = VNet(2, 1, 3, **SMALL)
    assert again(network).spec == network.spec


def test_a_subclass_that_is_not_registered_has_none():
    class Own(VNet):
        pass

    assert Own(2, 1, 3, **SMALL).spec is None

    @Networks.register("own")
    class Registered(VNet):
        def __init__(self, spatial_dims, width):
            super().__init__(spatial_dims, 1, 2, (width, width))

    network = Registered(2, width=4)
    assert network.spec == {"name": "own", "spatial_dims": 2, "width": 4}
    assert type(build_network(network.spec)) is Registered


def test_an_argument_that_json_cannot_hold_leaves_none():
    @Networks.register("odd")
    class Odd(nn.Module):
        spec = None

        def __init__(self, layer):
            super().__init__()
            self.layer = layer

    assert Odd(nn.ReLU()).spec is None


def test_a_name_is_one_class():
    with pytest.raises(ValueError, match=r"the network name 'VNet' is taken by VNet; choose another"):
        Networks.register("VNet")(type("Other", (VNet,), {}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"channels": [4, 6]}, r"found the network name None; expected one of .*vnet"),
        ({"name": "vnett"}, r"did you mean 'vnet'"),
        ({"name": "vnet", "chanels": [4]}, r"the network vnet: .*'chanels'"),
        ({"name": "vnet", "channels": [4]}, r"at least two levels"),
    ],
)
def test_a_spec_that_cannot_be_built_is_named(spec, message):
    with pytest.raises(ValueError, match=message):
        build_network(spec)


def test_names_are_known_in_any_case():
    torch.manual_seed(0)
    assert build_network({"name": "VNet", "spatial_dims": 2, **SMALL}).spec["name"] == "vnet"


def test_other_modules_are_no_networks():
    assert isinstance(VNet(2, 1, 3, **SMALL), Network)
    assert not isinstance(nn.Conv2d(1, 3, 1), Network)


@pytest.mark.parametrize("name", ["vnet", "unet", "tiramisu", "residual_fcn"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "instanc"}, r"norm is 'instanc'; expected one of .*batch.*; did you mean 'instance'\?"),
        ({"act": ["leaky", {}]}, r"act is 'leaky'; expected one of .*relu.*; did you mean 'leakyrelu'\?"),
    ],
)
def test_a_mistyped_layer_has_the_nearest_name(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({"name": name, **arguments})


@pytest.mark.parametrize("name", ["vnet", "unet", "tiramisu", "residual_fcn"])
@pytest.mark.parametrize(
    "argument",
    [
        {"recalibrate": True},
        {"recalibrate": ["scse"]},
        {"recalibrate": ["scse", "cse"]},
        {"recalibrate": "scse", "recalibrate_at": []},
        {"recalibrate": "scse", "recalibrate_at": "decoder"},
        {"deep_supervision": "no"},
        {"spatial_dims": 1},
        {"in_channels": -1},
        {"out_channels": "3"},
        {"act": True},
        {"dropout": -0.5},
        {"dropout": True},
        {"dropout": "0.1"},
        {"skip": ["sat", {"maps": "4"}]},
        {"skip": ["sat", {"maps": True}]},
        {"skip": ["sat", {"select": "hard", "threshold": "a"}]},
        {"skip": ["sat", {"select": "hard", "threshold": -1}]},
        {"skip": ["at", {"channels": 3}]},
    ],
    ids=str,
)
def test_an_argument_of_a_wrong_type_is_a_value_error(name, argument):
    small = {"layers_per_block": [1, 1]} if name == "tiramisu" else {"channels": [4, 8]}
    with pytest.raises(ValueError, match=r"\w"):
        build_network({"name": name, "spatial_dims": 2, **small, **argument})
