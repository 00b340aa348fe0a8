"""Every file of weights gets its own network: the one that it says, else the config's."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.networks import VNet
from pipeline.networks.spec_file import save_weights
from pipeline.prediction.members import load_members

CPU = torch.device("cpu")


def network(seed: int, **changed: Any) -> VNet:
    torch.manual_seed(seed)
    sizes = {"channels": (2, 3), "convs_per_level": (1, 1), "decoder_convs_per_level": (1,), "kernel_size": 3}
    return VNet(2, 1, 3, **{**sizes, "norm": "instance", "skip": "sum", **changed}).eval()


def test_weights_of_different_networks_are_averaged(tmp_path: Path) -> None:
    trained = [network(1, skip="concat"), network(2), network(3, channels=(4, 5))]
    paths = [tmp_path / f"{number}.pt" for number in range(3)]
    for one, path in zip(trained, paths, strict=True):
        save_weights(one.state_dict(), path, one.spec)
    members = load_members(network(0), paths, CPU)
    x = torch.randn(1, 1, 8, 8)
    with torch.inference_mode():
        for member, one in zip(members, trained, strict=True):
            assert torch.equal(member.eval()(x), one(x))


def test_weights_that_say_nothing_share_the_configs_network(tmp_path: Path) -> None:
    trained = [network(1), network(2)]
    paths = [tmp_path / f"{number}.pt" for number in range(2)]
    for one, path in zip(trained, paths, strict=True):
        torch.save(one.state_dict(), path)
    config = network(0)
    members = load_members(config, paths, CPU)
    assert members[-1] is config
    for member, one in zip(members, trained, strict=True):
        assert all(torch.equal(value, one.state_dict()[name]) for name, value in member.state_dict().items())


def test_what_the_user_said_contradicts_any_of_them(tmp_path: Path) -> None:
    for name, skip in (("first", "sum"), ("second", "concat")):
        one = network(1, skip=skip)
        save_weights(one.state_dict(), tmp_path / f"{name}.pt", one.spec)
    paths = [tmp_path / "first.pt", tmp_path / "second.pt"]
    assert len(load_members(network(0), paths, CPU)) == 2
    with pytest.raises(InputError, match=r"second\.pt: found .* with skip 'concat'; expected skip 'sum'"):
        load_members(network(0), paths, CPU, given={"skip"})
