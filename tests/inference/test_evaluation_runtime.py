"""The runtime of an evaluation: who chooses it on which device, and with which weights."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.data.errors import InputError
from pipeline.inference import PrecisionSlidingWindowInferer, choose_evaluation_runtime
from pipeline.inference import evaluation_runtime as module
from pipeline.inference.choose_runtime import RuntimeChoice
from pipeline.inference.dropout_average import DropoutAveraged

INFERER = PrecisionSlidingWindowInferer("bfloat16", roi_size=(16, 8, 8), sw_batch_size=3)


class Elsewhere(nn.Conv3d):
    """A network that says that it is on another device."""

    device = "cpu"

    def parameters(self, recurse: bool = True) -> Any:
        for _ in super().parameters(recurse):
            yield SimpleNamespace(device=torch.device(self.device))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What each choice was asked for."""
    found: dict[str, dict[str, Any]] = {}

    def keep(name: str) -> Any:
        def choose(network: nn.Module, **options: Any) -> RuntimeChoice:
            found[name] = options
            return RuntimeChoice(name, network)

        return choose

    monkeypatch.setattr(module, "choose_gpu_way", keep("gpu"))
    monkeypatch.setattr(module, "choose_runtime", keep("cpu"))
    monkeypatch.setattr(module, "load_on_runtime", lambda network, runtime, **_: RuntimeChoice(runtime, network))
    return found


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    weights = {name: torch.full_like(value, 0.25) for name, value in Elsewhere(1, 2, 3).state_dict().items()}
    torch.save(weights, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def choose(checkpoint: Path, device: str, runtime: str) -> RuntimeChoice:
    network = Elsewhere(1, 2, 3)
    network.device = device
    return choose_evaluation_runtime(network, checkpoint, runtime=runtime, inferer=INFERER, channels=1, cases=7)


def test_on_a_gpu_the_way_is_chosen_for_the_windows_in_use(asked: dict[str, Any], checkpoint: Path) -> None:
    choice = choose(checkpoint, "cuda:0", "auto")
    # Each case is at least one batch of three windows.
    assert asked == {"gpu": {"shape": (1, 16, 8, 8), "precision": "bfloat16", "windows": 21, "batch": 3}}
    # Its weights are those of the evaluation, and not what the config began with.
    assert (choice.network.state_dict()["weight"] == 0.25).all()
    assert not choice.network.training


def test_on_a_cpu_the_runtime_is_chosen(asked: dict[str, Any], checkpoint: Path) -> None:
    choose(checkpoint, "cpu", "auto")
    assert asked == {"cpu": {"shape": (1, 16, 8, 8), "precision": "bfloat16", "windows": 7, "batch": 1}}


@pytest.mark.parametrize(("device", "runtime"), [("cpu", "pytorch"), ("cuda:0", "pytorch"), ("mps", "auto")])
def test_plain_pytorch_is_the_network_itself(
    device: str, runtime: str, asked: dict[str, Any], checkpoint: Path
) -> None:
    choice = choose(checkpoint, device, runtime)
    assert (choice.runtime, choice.way, asked) == ("pytorch", "", {})


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("runtime", ["auto", "pytorch"])
def test_passes_with_dropout_are_computed_by_plain_pytorch(
    device: str, runtime: str, asked: dict[str, Any], checkpoint: Path
) -> None:
    network = nn.Sequential(Elsewhere(1, 2, 3), nn.Dropout(0.5))
    network[0].device = device
    choice = choose_evaluation_runtime(
        network, checkpoint, runtime=runtime, inferer=INFERER, channels=1, cases=7, dropout_samples=4
    )
    assert (choice.runtime, choice.way, asked) == ("pytorch", "", {})
    assert isinstance(choice.network, DropoutAveraged)
    assert (choice.network.network, choice.network.samples) == (network, 4)
    with pytest.raises(InputError, match="--runtime int8: found dropout_samples 4 as well"):
        choose_evaluation_runtime(
            network, checkpoint, runtime="int8", inferer=INFERER, channels=1, cases=7, dropout_samples=4
        )


def test_a_runtime_for_cpus_is_refused_on_a_gpu(asked: dict[str, Any], checkpoint: Path) -> None:
    with pytest.raises(InputError, match="found a network on a GPU"):
        choose(checkpoint, "cuda:0", "openvino")
    with pytest.raises(InputError, match="one of auto, pytorch, openvino"):
        choose(checkpoint, "cpu", "nonsense")
    assert choose(checkpoint, "cpu", "openvino").runtime == "openvino"
