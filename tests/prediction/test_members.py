"""Every file of weights gets its own network: the one that it says, else the config's."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.data.errors import InputError
from pipeline.inference import Ensemble, Mirrored, PrecisionSlidingWindowInferer
from pipeline.inference.choose_runtime import RuntimeChoice
from pipeline.networks import VNet
from pipeline.networks.spec_file import save_weights
from pipeline.prediction import members as module
from pipeline.prediction.members import combine_members, load_members

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


# --- on a GPU ---------------------------------------------------------------------------------------------------------


class OnGpu(nn.Conv2d):
    """A network that says that it is on a GPU."""

    def parameters(self, recurse: bool = True) -> Any:
        for one in super().parameters(recurse):
            yield SimpleNamespace(device=torch.device("cuda:0"), requires_grad_=one.requires_grad_)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the choice of the way was asked for."""
    found: list[dict[str, Any]] = []

    def choose(network: nn.Module, **options: Any) -> RuntimeChoice:
        found.append({"network": network, **options})
        return RuntimeChoice("pytorch", network, way="a way")

    monkeypatch.setattr(module, "choose_gpu_way", choose)
    return found


def combine(members: list[nn.Module], runtime: str, axes: tuple[int, ...] = ()) -> RuntimeChoice:
    inferer = PrecisionSlidingWindowInferer("bfloat16", roi_size=(16, 8), sw_batch_size=3)
    return combine_members(
        members, runtime=runtime, inferer=inferer, channels=1, spatial_dims=2, axes=axes, windows=50, only="pytorch"
    )


def test_on_a_gpu_auto_chooses_a_way_for_the_whole_of_all_members(asked: list[dict[str, Any]]) -> None:
    first, second = OnGpu(1, 2, 3), OnGpu(1, 2, 3)
    assert combine([first], "auto").network is first
    choice = combine([first, second], "auto", (0, 1))
    assert choice.way == "a way"
    network = asked[1].pop("network")
    assert isinstance(network, Mirrored)
    assert isinstance(network.network, Ensemble)
    assert list(network.network.members) == [first, second]
    assert not any(part.training for part in network.modules())
    # Mirrored inputs are part of the work for a window.
    assert asked[1] == {"shape": (1, 16, 8), "precision": "bfloat16", "windows": 50, "batch": 3}
    assert not any(weight.requires_grad for weight in (first.weight, second.weight))


def test_pytorch_by_name_is_plain(asked: list[dict[str, Any]]) -> None:
    first = OnGpu(1, 2, 3)
    choice = combine([first], "pytorch")
    assert (choice.network, choice.way, choice.reason, asked) == (first, "", "as requested", [])
