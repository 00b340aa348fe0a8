"""Networks on OpenVINO against the same networks on PyTorch."""

import gc
import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.inference import Ensemble, mirror_network
from pipeline.inference import runtimes as module
from pipeline.inference.runtimes import OpenVINONetwork
from pipeline.inference.signal_stack import read_signal_stack
from pipeline.networks import VNet
from pipeline.networks.precision import cpu_has_bfloat16

# Not by importing it, which would start its telemetry.
pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")

SPATIAL = (16, 24, 12)


def vnet(dims: int = 3, seed: int = 0, **changed: Any) -> VNet:
    torch.manual_seed(seed)
    network = VNet(
        dims, in_channels=2, out_channels=3, channels=(4, 8, 16), kernel_size=3, **({"skip": "sat"} | changed)
    )
    return network.eval().requires_grad_(False)


def windows(number: int, spatial: tuple[int, ...] = SPATIAL) -> Tensor:
    return torch.randn(number, 2, *spatial, generator=torch.Generator().manual_seed(5))


def differing(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dims", "changed"),
    [
        (3, {"norm": ("instance", {"affine": True}), "act": ("leakyrelu", {"negative_slope": 0.01})}),
        (3, {"skip": ("sat", {"maps": 4, "gate": "linear", "merge": "sum"}), "residual": "decoder"}),
        (2, {"skip": ("sat", {"select": "hard"})}),
        (2, {"skip": "concat", "head": "pointwise"}),
    ],
)
def test_the_logits_are_pytorch_s_for_any_number_of_windows(dims: int, changed: dict[str, Any]) -> None:
    network, spatial = vnet(dims, **changed), SPATIAL[:dims]
    there = OpenVINONetwork(network, shape=(2, *spatial))
    for number in (1, 3):
        x = windows(number, spatial)
        assert differing(there(x), network(x)) < 1e-5
    assert there(windows(1, spatial)).dtype == torch.float32


@pytest.mark.slow
def test_windows_of_another_shape_are_computed_as_well() -> None:
    network = vnet()
    there = OpenVINONetwork(network, shape=(2, *SPATIAL))
    for spatial in ((8, 16, 20), SPATIAL):
        x = windows(2, spatial)
        assert differing(there(x), network(x)) < 1e-5


def test_an_output_stays_what_it_was_when_the_next_is_computed() -> None:
    there = OpenVINONetwork(vnet(), shape=(2, *SPATIAL))
    one = there(windows(1))
    kept = one.clone()
    there(2 * windows(1) + 1)
    assert torch.equal(one, kept)


@pytest.mark.slow
def test_mirrored_inputs_and_several_networks_are_averaged() -> None:
    networks = [vnet(seed=seed) for seed in (0, 1)]
    there = [OpenVINONetwork(network, shape=(2, *SPATIAL)) for network in networks]
    x = windows(2)
    expected = mirror_network(Ensemble(networks), (0, 2))(x)
    assert differing(expected, networks[0](x)) > 0.1
    assert differing(mirror_network(Ensemble(there), (0, 2))(x), expected) < 1e-5
    # Not contiguous.
    turned = windows(1, (24, 16, 12)).transpose(2, 3)
    assert differing(there[0](turned), networks[0](turned)) < 1e-5


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="this CPU does not compute in bfloat16")
def test_bfloat16_is_as_near_as_pytorch_s() -> None:
    network, x = vnet(), windows(2)
    found = OpenVINONetwork(network, shape=(2, *SPATIAL), precision="bfloat16")(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        as_near = differing(network(x).float(), vnet_float32(x))
    assert found.dtype == torch.float32
    assert as_near / 3 < differing(found, vnet_float32(x)) < 3 * as_near


def vnet_float32(x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return vnet()(x)


def test_it_takes_the_threads_that_pytorch_has() -> None:
    asked = []

    class Spied(OpenVINONetwork):
        def _compile(self, model: Any) -> Any:
            compiled = super()._compile(model)
            asked.append(compiled.get_property("INFERENCE_NUM_THREADS"))
            return compiled

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        Spied(vnet(), shape=(2, *SPATIAL))
    finally:
        torch.set_num_threads(before)
    assert asked == [1]


def test_nothing_is_told_to_its_maker() -> None:
    OpenVINONetwork(vnet(), shape=(2, *SPATIAL))
    assert "openvino_telemetry" not in sys.modules
    utils = sys.modules["openvino.tools.ovc.telemetry_utils"]
    assert utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 3, 1)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.conv(x))


@pytest.mark.parametrize(
    ("function", "found"),
    [
        # A number that Python makes of the first window becomes a constant.
        (lambda y: y * float(y.std()) ** 8 / 3 ** float(y[0, 0, 0, 0, 0]), "other logits"),
        (lambda y: y * float("nan"), "other logits"),
        (lambda y: [y, y], "returns a list"),
        (lambda y: (y, y), "returns a tuple"),
        (lambda y: torch.linalg.eigvalsh(y @ y.transpose(3, 4))[..., None] + y, "cannot convert"),
    ],
)
def test_a_network_that_it_cannot_compute_is_refused(function: Callable[[Tensor], Any], found: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match=found) as raised:
        OpenVINONetwork(_Function(function), shape=(2, 8, 8, 8))
    assert "leave --runtime out" in raised.value.remedy
    assert "\n" not in str(raised.value)


def test_a_format_that_it_does_not_compute_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = module.import_openvino()
    # As on a CPU without bfloat16, where OpenVINO takes float32 without a word.
    compiled = SimpleNamespace(get_property=lambda _: openvino.Type.f32)
    core = SimpleNamespace(compile_model=lambda *_: compiled)
    monkeypatch.setattr(module, "import_openvino", lambda: SimpleNamespace(Type=openvino.Type, Core=lambda: core))
    with pytest.raises(InputError, match="does not compute in bfloat16") as raised:
        OpenVINONetwork(vnet(), shape=(2, *SPATIAL), precision="bfloat16")
    assert "--set precision=float32" in raised.value.remedy


@pytest.mark.slow
def test_a_signal_still_finds_its_stack_when_two_networks_are_gone() -> None:
    # Each one's plug-in puts back what it found: the second one must not have found the first one's.
    before = read_signal_stack()
    first, second = (OpenVINONetwork(vnet(), shape=(2, *SPATIAL)) for _ in range(2))
    first(windows(1))
    assert read_signal_stack() == before
    del first
    gc.collect()
    second(windows(1))
    del second
    gc.collect()
    assert read_signal_stack() == before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
