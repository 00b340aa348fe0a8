"""CUDA graphs and channels last on a GPU give what plain PyTorch gives there. Run by `make test-gpu`."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.inference import choose_precision
from pipeline.inference.gpu import Gpu
from pipeline.inference.gpu_ways import PLAIN, WAYS, GpuWays, choose_gpu_way
from pipeline.inference.graph_network import GraphNetwork, count_graph_bytes
from pipeline.inference.runtime_cache import RuntimeCache

from ..networks.test_networks import NETWORKS, SKIPS

if not torch.cuda.is_available():
    pytest.skip("this machine has no GPU", allow_module_level=True)

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda:0")
SHAPE = (1, 32, 32, 32)
# Of the logits' norm, after the layers of a small network.
TOLERANCE = {"float32": 2e-3, "float16": 0.01, "bfloat16": 0.1}


def make_network(spatial_dims: int = 3, name: str = "vnet") -> nn.Module:
    torch.manual_seed(0)
    kind, sizes, _ = NETWORKS[name]
    network = kind(spatial_dims=spatial_dims, in_channels=1, out_channels=3, skip=SKIPS["sat4"], **sizes(spatial_dims))
    return network.to(DEVICE).eval().requires_grad_(False)


def make_batch(count: int, seed: int = 1, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_gives_plain_pytorch_s_logits(name: str, precision: str, spatial_dims: int) -> None:
    if precision == "bfloat16" and choose_precision(DEVICE) != "bfloat16":
        pytest.skip("this GPU does not compute in bfloat16")
    network = make_network(spatial_dims, name)
    shape = SHAPE[: spatial_dims + 1]
    ways = GpuWays(network, shape=shape, batch=2, precision=precision, gpu=Gpu(DEVICE))
    expected = ways.compute(network)
    for way in WAYS:
        assert relative_error(ways.compute(ways.prepare(way)), expected) < TOLERANCE[precision], way


def test_a_graph_gives_the_logits_of_the_same_kernels() -> None:
    network = make_network()
    there = GraphNetwork(network, make_batch(2), precision="float32", gpu=Gpu(DEVICE))
    batches = [make_batch(count, seed) for seed, count in enumerate((2, 1, 2, 1, 1, 2, 3))]
    with torch.inference_mode():
        outputs = [there(x) for x in batches]
        for x, output in zip(batches, outputs, strict=True):
            # None was overwritten by a later replay.
            assert relative_error(output, network(x)) < 1e-4
    assert count_graph_bytes(there) > 0


def test_control_flow_that_depends_on_data_is_refused_and_nothing_is_broken() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(1, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.conv(x if float(x.mean()) > 0 else -x)
            return output

    network, gpu = Deciding().to(DEVICE).eval().requires_grad_(False), Gpu(DEVICE)
    before = torch.cuda.current_stream(DEVICE), torch.cuda.get_sync_debug_mode()
    with pytest.raises(RuntimeError, match="synchronizing"):
        GraphNetwork(network, make_batch(2), precision="float32", gpu=gpu)
    assert (torch.cuda.current_stream(DEVICE), torch.cuda.get_sync_debug_mode()) == before
    assert torch.isfinite(network(make_batch(2))).all()
    other = make_network()
    there = GraphNetwork(other, make_batch(2), precision="float32", gpu=gpu)
    with torch.inference_mode():
        assert relative_error(there(make_batch(2)), other(make_batch(2))) < 1e-4


def test_a_capture_that_fails_leaves_the_gpu_usable() -> None:
    class Waiting(nn.Conv3d):
        def forward(self, x: Tensor) -> Tensor:
            torch.cuda.synchronize()
            return super().forward(x)

    network, gpu = Waiting(1, 3, 3, padding=1).to(DEVICE).eval().requires_grad_(False), Gpu(DEVICE)
    before = torch.cuda.current_stream(DEVICE)
    with pytest.raises(RuntimeError):
        GraphNetwork(network, make_batch(2), precision="float32", gpu=gpu)
    assert torch.cuda.current_stream(DEVICE) == before
    # PyTorch's allocator fails here after a capture that was not undone.
    gpu.give_back()
    other = make_network()
    with torch.inference_mode():
        expected = other(make_batch(2))
    there = GraphNetwork(other, make_batch(2), precision="float32", gpu=gpu)
    with torch.inference_mode():
        assert relative_error(there(make_batch(2)), expected) < 1e-4


@pytest.mark.parametrize("precision", ["float32", choose_precision(DEVICE)])
def test_the_choice_has_the_times_of_every_way(precision: str, tmp_path: Path) -> None:
    network = make_network()
    cache = RuntimeCache(network, SHAPE, tmp_path)
    options = {"shape": SHAPE, "precision": precision, "windows": None, "batch": 2, "cache": cache}
    choice = choose_gpu_way(network, **options)
    # Which one is the fastest depends on the machine.
    assert choice.seconds.keys() == set(WAYS)
    assert min(choice.seconds.values()) > 0
    assert "of plain PyTorch's time for a window" in choice.reason
    again = choose_gpu_way(network, **options)
    assert (again.way, list(again.seconds)) == (choice.way, list(choice.seconds))
    few = choose_gpu_way(network, **{**options, "windows": 1})
    assert (few.way, few.network) == (PLAIN, network)


def test_too_little_memory_leaves_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network()

    def capture(*_: object) -> None:
        torch.empty(1 << 50, dtype=torch.uint8, device=DEVICE)

    gpu = Gpu(DEVICE)
    monkeypatch.setattr(gpu, "capture", capture)
    cache = RuntimeCache(network, SHAPE, tmp_path)
    choice = choose_gpu_way(network, shape=SHAPE, precision="float32", windows=None, batch=2, gpu=gpu, cache=cache)
    assert "CUDA graph" not in choice.way
    assert "CUDA graph is left out: the memory of the GPU does not suffice" in choice.reason
    # It is tried again at the next start.
    assert cache.read_times(f"{gpu.name()}, float32, 2 at a time") == {}
