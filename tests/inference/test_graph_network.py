"""A network in CUDA graphs that compute on the CPU: what is captured, and that no output is overwritten."""

import logging
from collections import Counter

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from pipeline.inference import Ensemble, PrecisionSlidingWindowInferer, mirror_network
from pipeline.inference.graph_network import GraphNetwork, count_graph_bytes
from pipeline.inference.windows import Windows

from .fake_gpu import FakeGpu

SHAPE = (1, 8, 8, 8)


class Network(nn.Module):
    """Two convolutions, which count their calls by the number of windows."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, 3, 3, padding=1))
        self.calls: Counter[int] = Counter()
        self.autocast_cache: set[bool] = set()

    def forward(self, x: Tensor) -> Tensor:
        self.calls[len(x)] += 1
        self.autocast_cache.add(torch.is_autocast_cache_enabled())
        output: Tensor = self.layers(x)
        return output


@pytest.fixture
def network() -> Network:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return Network().eval()


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


def make_batch(count: int, seed: int = 1, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def graphed(network: nn.Module, gpu: FakeGpu, count: int = 2, precision: str = "float32") -> GraphNetwork:
    return GraphNetwork(network, make_batch(count), precision=precision, gpu=gpu)  # type: ignore[arg-type]


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_a_replay_gives_the_network_s_logits(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    assert gpu.captures == [(2, 3, 8, 8, 8)]
    before = gpu.replays
    with torch.inference_mode():
        for seed in range(3):
            x = make_batch(2, seed)
            assert torch.equal(there(x), network(x))
    assert gpu.replays == before + 3


def test_an_output_is_not_overwritten_by_later_calls(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    batches = [make_batch(2, seed) for seed in range(3)]
    with torch.inference_mode():
        outputs = [there(x) for x in batches]
        for x, output in zip(batches, outputs, strict=True):
            assert torch.equal(output, network(x))


def test_graphs_of_two_batch_sizes_do_not_disturb_one_another(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    # The stand-in spoils the outputs of all other graphs in the same memory.
    batches = [make_batch(count, seed) for seed, count in enumerate((1, 1, 2, 1, 2))]
    with torch.inference_mode():
        outputs = [there(x) for x in batches]
        assert gpu.captures == [(2, 3, 8, 8, 8), (1, 3, 8, 8, 8)]
        for x, output in zip(batches, outputs, strict=True):
            assert torch.equal(output, network(x))


def test_averages_add_up_outputs_of_one_graph(network: Network, gpu: FakeGpu) -> None:
    # The mean over mirrored inputs keeps the first output while it computes the next one.
    x = make_batch(2, 5)
    with torch.inference_mode():
        assert torch.equal(mirror_network(graphed(network, gpu), (0, 1))(x), mirror_network(network, (0, 1))(x))
        both = Ensemble([graphed(network, gpu), graphed(network, gpu)])
        assert torch.equal(both(x), Ensemble([network, network])(x))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_blended_windows_are_those_without_graphs(precision: str, network: Network, gpu: FakeGpu) -> None:
    image = make_batch(1, 2, (1, 21, 15, 9))[0]
    # The first and the last windows have one value: the logits of the first are kept while others are computed.
    image[:, :8] = image[:, 13:] = 0.5
    inferer = PrecisionSlidingWindowInferer(precision, roi_size=(8, 8, 8), sw_batch_size=2, overlap=0.5)
    there = graphed(network, gpu, precision=precision)
    network.calls.clear()
    rows = {}
    for name, one in (("plain", network), ("graph", there)):
        windows = Windows(inferer, image, classes=3, device=torch.device("cpu"))
        rows[name] = torch.cat([part.logits.clone() for part in windows.rows(one)], dim=1)
        if name == "plain":
            # The last batch has one window.
            assert network.calls == {2: 9, 1: 1}
    assert torch.equal(rows["graph"], rows["plain"])
    assert gpu.replays == 1 + 9


@pytest.mark.parametrize("buffered", [{}, {"buffer_steps": 3}])
def test_monai_s_windows_are_those_without_graphs(buffered: dict[str, int], network: Network, gpu: FakeGpu) -> None:
    image = make_batch(1, 2, (1, 21, 17, 13))
    inferer = SlidingWindowInferer(roi_size=(8, 8, 8), sw_batch_size=2, overlap=0.5, **buffered)
    there = graphed(network, gpu)
    with torch.no_grad():
        assert torch.equal(inferer(image, there), inferer(image, network))
    assert gpu.replays > 10


# --- what is captured -------------------------------------------------------------------------------------------------


def test_a_batch_that_comes_once_is_not_captured(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    with torch.inference_mode():
        for count in (1, 3, 2, 2):
            there(make_batch(count))
        assert gpu.captures == [(2, 3, 8, 8, 8)]
        there(make_batch(1))
    assert [shape[0] for shape in gpu.captures] == [2, 1]


def test_only_some_batches_are_captured(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    with torch.inference_mode():
        for count in (1, 3, 4, 5, 6, 1, 3, 4, 5, 6):
            assert torch.equal(there(make_batch(count)), network(make_batch(count)))
    assert [shape[0] for shape in gpu.captures] == [2, 1, 3, 4]


def test_windows_of_another_shape_run_without_a_graph(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    before = gpu.replays
    with torch.inference_mode():
        for _ in range(3):
            x = make_batch(2, shape=(1, 8, 8, 12))
            assert torch.equal(there(x), network(x))
    assert (len(gpu.captures), gpu.replays) == (1, before)


def test_training_runs_without_a_graph(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    there.train()
    there(make_batch(2)).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_weights_that_are_loaded_later_are_used(network: Network, gpu: FakeGpu) -> None:
    # As an evaluation does, which loads its weights again.
    there = graphed(network, gpu)
    network.load_state_dict({name: 2 * value for name, value in network.state_dict().items()})
    with torch.inference_mode():
        assert torch.equal(there(make_batch(2)), network(make_batch(2)))


def test_no_converted_weight_is_kept_across_a_capture(network: Network, gpu: FakeGpu) -> None:
    before = torch.is_autocast_cache_enabled()
    # Within another autocast, as an inferer's is.
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        there = graphed(network, gpu, precision="bfloat16")
        assert network.autocast_cache == {False}
        found = there(make_batch(2))
    assert torch.is_autocast_cache_enabled() is before
    assert found.dtype == torch.float32


def test_buffers_from_an_inference_can_be_used_after_it(network: Network, gpu: FakeGpu) -> None:
    with torch.inference_mode():
        there = graphed(network, gpu)
        there(make_batch(2))
    with torch.no_grad():
        assert torch.equal(there(make_batch(2, 7)), network(make_batch(2, 7)))


# --- problems ---------------------------------------------------------------------------------------------------------


def test_a_first_batch_that_cannot_be_captured_is_an_error(network: Network, gpu: FakeGpu) -> None:
    gpu.problem = RuntimeError("operation not permitted when stream is capturing")
    with pytest.raises(RuntimeError, match="not permitted"):
        graphed(network, gpu)


def test_a_later_batch_that_cannot_be_captured_runs_without(
    network: Network, gpu: FakeGpu, caplog: pytest.LogCaptureFixture
) -> None:
    there = graphed(network, gpu)
    gpu.problem = torch.OutOfMemoryError("out of memory")
    with torch.inference_mode(), caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert torch.equal(there(make_batch(1)), network(make_batch(1)))
    # It is tried and reported once.
    assert len(caplog.messages) == 1
    assert caplog.messages[0] == "batches of 1 windows run without a CUDA graph: out of memory"


def test_a_graph_with_other_logits_is_refused(network: Network, gpu: FakeGpu) -> None:
    gpu.factor = 1.1
    with pytest.raises(RuntimeError, match=r"other logits than plain PyTorch's: by 10%, over 2%"):
        graphed(network, gpu)


def test_a_network_with_several_outputs_is_refused(gpu: FakeGpu) -> None:
    class Several(Network):
        def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
            return [x, x]

    with pytest.raises(RuntimeError, match="a network that returns a list; expected one tensor"):
        graphed(Several(), gpu)


def test_the_memory_of_all_graphs_counts(network: Network, gpu: FakeGpu) -> None:
    there = graphed(network, gpu)
    with torch.inference_mode():
        for _ in range(2):
            there(make_batch(1))
    assert count_graph_bytes(Ensemble([there, network])) == 2000
    assert count_graph_bytes(network) == 0
