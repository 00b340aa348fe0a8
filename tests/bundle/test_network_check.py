"""Whether a network can be built and can hold its patch, found out without memory."""

from pathlib import Path

import pytest
import torch

from pipeline.bundle.network_check import build_on_meta, check_deepest_level, check_network_of, explain_refusal
from pipeline.data.errors import InputError

VNET = {"name": "vnet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8], "kernel_size": 3}


def test_a_network_on_meta_has_shapes_and_no_memory() -> None:
    network = build_on_meta(VNET)
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}
    assert network.spec["channels"] == [4, 8]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skip": "satt"}, "did you mean 'sat'"),
        ({"skip": ["sat", {"select": "medium"}]}, "'soft' or 'hard'"),
        ({"skip": ["sat", "sat"]}, "skip has 2 entries; expected 1"),
        ({"width": 3}, "width"),
        ({"name": "vnett"}, "did you mean 'vnet'"),
        ({"channels": [4]}, "at least two levels"),
    ],
)
def test_a_refusal_names_the_file_and_the_reason(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        check_network_of(VNET | change, {}, Path("plan.yaml"))
    assert raised.value.where == "plan.yaml, network and skip"


def test_other_errors_are_bugs_and_pass() -> None:
    for error in (TypeError("unsupported operand"), KeyError("x")):
        with pytest.raises(type(error)), explain_refusal("plan.yaml"):
            raise error


@pytest.mark.parametrize(("norm", "size", "fits"), [("instance", [2, 2, 2], False), ("instance", [2, 2, 4], True)])
def test_instance_normalisation_needs_more_than_one_voxel(norm: str, size: list[int], fits: bool) -> None:
    network = build_on_meta(VNET | {"norm": norm})
    # As PyTorch finds in the middle of a training.
    real = build_on_meta(VNET | {"norm": norm}).to_empty(device="cpu")
    if fits:
        check_deepest_level(network, size, "plan.yaml", found=str(size))
        real(torch.zeros(2, 1, *size))
        return
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        real(torch.zeros(2, 1, *size))
    with pytest.raises(InputError, match="one voxel at the deepest level"):
        check_deepest_level(network, size, "plan.yaml", found=str(size))


def test_other_normalisations_take_one_voxel() -> None:
    check_deepest_level(build_on_meta(VNET | {"norm": "batch"}), [2, 2, 2], "plan.yaml", found="")
    check_deepest_level(torch.nn.InstanceNorm3d(2), [1, 1, 1], "plan.yaml", found="")
