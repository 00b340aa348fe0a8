"""Which way a network runs on a GPU, by times that a test makes up and graphs that compute on the CPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.inference import gpu_ways as module
from pipeline.inference.channels_last import ChannelsLastNetwork
from pipeline.inference.choose_runtime import RuntimeChoice
from pipeline.inference.gpu_ways import WAYS, GpuWays, UnusableWayError, choose_gpu_way, time_call
from pipeline.inference.graph_network import GraphNetwork
from pipeline.inference.runtime_cache import RuntimeCache
from pipeline.networks import VNet

from .fake_gpu import FakeGpu

SHAPE = (1, 8, 8, 8)
PLAIN, LAST, GRAPH, BOTH = WAYS
TOO_FEW = "too few windows to win back the start of another way"


class Machine(FakeGpu):
    """A GPU with seconds of a batch on each way, and what was timed."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = {PLAIN: 0.10, LAST: 0.08, GRAPH: 0.06, BOTH: 0.04}
        self.timed: list[str] = []

    def time_call(self, network: nn.Module, **_: Any) -> float:
        self.timed.append(name_way(network))
        return self.seconds[self.timed[-1]]


def name_way(network: nn.Module) -> str:
    if isinstance(network, GraphNetwork):
        return BOTH if isinstance(network.network, ChannelsLastNetwork) else GRAPH
    return LAST if isinstance(network, ChannelsLastNetwork) else PLAIN


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which both together are the fastest."""
    made = Machine()
    monkeypatch.setattr(module, "_make_call", lambda _, network: network)
    monkeypatch.setattr(module, "time_call", made.time_call)
    return made


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return nn.Conv3d(1, 2, 3, padding=1).eval().requires_grad_(False)


Choose = Callable[..., RuntimeChoice]


@pytest.fixture
def choose(network: nn.Module, machine: Machine, tmp_path: Path) -> Choose:
    def run(windows: float | None, *, of: nn.Module = network, **options: Any) -> RuntimeChoice:
        given = {"shape": SHAPE, "precision": "float32", "gpu": machine, "cache": RuntimeCache(of, SHAPE, tmp_path)}
        return choose_gpu_way(of, windows=windows, **{**given, **options})

    return run


# --- the choice -------------------------------------------------------------------------------------------------------


def test_many_windows_take_the_fastest_way(machine: Machine, choose: Choose) -> None:
    for windows in (None, 10**6):
        choice = choose(windows)
        assert (choice.runtime, choice.way, name_way(choice.network)) == ("pytorch", BOTH, BOTH)
        assert choice.seconds == machine.seconds
        assert choice.reason == "channels last, CUDA graph takes 0.40 of plain PyTorch's time for a window"
        assert choice.start_seconds > 0
    assert machine.timed == list(WAYS)


@pytest.mark.parametrize("fastest", WAYS)
def test_each_way_can_be_the_fastest(fastest: str, machine: Machine, choose: Choose, network: nn.Module) -> None:
    machine.seconds = {way: 0.05 if way == fastest else 0.2 for way in WAYS}
    choice = choose(None)
    assert (choice.way, name_way(choice.network)) == (fastest, fastest)
    if fastest == PLAIN:
        assert choice.network is network
        assert choice.start_seconds == 0
        assert choice.reason == "channels last takes 4.00 of plain PyTorch's time for a window"


def test_equal_times_stay_on_plain_pytorch(machine: Machine, choose: Choose) -> None:
    machine.seconds = dict.fromkeys(WAYS, 0.1)
    assert choose(None).way == PLAIN


@pytest.mark.parametrize("windows", [0, 1, 4, 39])
def test_few_windows_stay_on_plain_pytorch_without_any_timing(
    windows: float, machine: Machine, choose: Choose, network: nn.Module
) -> None:
    choice = choose(windows)
    assert (choice.runtime, choice.way, choice.network, choice.seconds) == ("pytorch", PLAIN, network, {})
    assert choice.reason == TOO_FEW
    assert machine.timed == machine.captures == []


def test_windows_count_in_batches(machine: Machine, choose: Choose) -> None:
    assert choose(79, batch=2).seconds == {}
    choice = choose(80, batch=2)
    # Seconds are those of a window.
    assert choice.seconds == {way: seconds / 2 for way, seconds in machine.seconds.items()}


def test_measured_times_decide_about_few_windows(machine: Machine, choose: Choose) -> None:
    machine.seconds = {PLAIN: 0.10, LAST: 0.09, GRAPH: 0.05, BOTH: 0.05}
    choose(None)
    # A graph saves 0.05 s a batch, and its start takes the time of 8 plain batches: 16 batches win it back.
    assert [choose(windows).way for windows in (10, 15, 16, 17)] == [PLAIN, PLAIN, PLAIN, GRAPH]
    assert choose(15).reason == f"CUDA graph takes 0.50 of plain PyTorch's time for a window, {TOO_FEW}"
    assert len(machine.timed) == len(WAYS)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_measured_times_are_used_at_the_next_start(machine: Machine, choose: Choose) -> None:
    first = choose(None)
    machine.seconds = dict.fromkeys(WAYS, 1.0)
    machine.timed.clear()
    again = choose(1000)
    assert machine.timed == []
    assert (again.way, again.seconds, again.reason) == (first.way, first.seconds, first.reason)


@pytest.mark.parametrize("changed", [{"precision": "bfloat16"}, {"batch": 2}, {"model": "another"}])
def test_times_are_kept_for_what_they_were_measured_with(
    changed: dict[str, Any], machine: Machine, choose: Choose
) -> None:
    choose(None)
    machine.timed.clear()
    machine.model = changed.get("model", machine.model)
    choose(None, **{key: value for key, value in changed.items() if key != "model"})
    assert machine.timed == list(WAYS)


@pytest.mark.parametrize("damage", [{BOTH: 0.1}, {"seconds": 1.0}, {}])
def test_times_without_plain_pytorch_s_are_measured_again(
    damage: dict[str, float], machine: Machine, choose: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RuntimeCache, "read_times", lambda *_: dict(damage))
    assert choose(None).seconds == machine.seconds
    assert machine.timed == list(WAYS)


def test_a_way_of_another_version_is_not_taken(machine: Machine, choose: Choose, monkeypatch: Any) -> None:
    monkeypatch.setattr(RuntimeCache, "read_times", lambda *_: {PLAIN: 0.1, "tomorrow's": 0.001})
    choice = choose(None)
    assert choice.way == PLAIN
    assert choice.reason.startswith("no other way can be used; channels last is left out: left out at an earlier start")


# --- ways that cannot be used -----------------------------------------------------------------------------------------


def test_a_graph_that_cannot_be_captured_is_left_out(machine: Machine, choose: Choose) -> None:
    machine.problem = RuntimeError("operation not permitted when stream is capturing\nmore lines")
    choice = choose(None)
    assert choice.way == LAST
    assert choice.seconds == {PLAIN: 0.10, LAST: 0.08}
    why = "RuntimeError: operation not permitted when stream is capturing"
    assert choice.reason == (
        "channels last takes 0.80 of plain PyTorch's time for a window; "
        f"CUDA graph is left out: {why}; channels last, CUDA graph is left out: {why}"
    )
    # It is not tried again.
    machine.timed.clear()
    again = choose(None)
    assert (again.way, machine.timed) == (LAST, [])
    assert again.reason.endswith("channels last, CUDA graph is left out: left out at an earlier start")


def test_memory_that_does_not_suffice_may_suffice_next_time(machine: Machine, choose: Choose) -> None:
    machine.problem = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    choice = choose(None)
    assert choice.way == LAST
    assert "CUDA graph is left out: the memory of the GPU does not suffice" in choice.reason
    machine.problem = None
    assert choose(None).way == BOTH


def test_memory_that_sufficed_earlier_may_not_suffice_now(machine: Machine, choose: Choose) -> None:
    assert choose(None).way == BOTH
    machine.problem = torch.OutOfMemoryError("out of memory")
    choice = choose(None)
    # The next best, too, is a graph.
    assert (choice.way, name_way(choice.network)) == (LAST, LAST)
    assert choice.seconds == machine.seconds
    assert choice.reason.startswith(
        "channels last takes 0.80 of plain PyTorch's time for a window; channels last, CUDA"
    )


def test_a_way_with_other_logits_is_left_out(machine: Machine, choose: Choose) -> None:
    machine.factor = 1.1
    choice = choose(None)
    assert choice.way == LAST
    assert "CUDA graph is left out: RuntimeError: other logits than plain PyTorch's: by 10%, over 2%" in choice.reason


def test_values_that_a_capture_makes_constant_are_found(machine: Machine, choose: Choose) -> None:
    class Counting(nn.Conv3d):
        """Its logits depend on how often it was called, as Python counts."""

        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.calls += 1
            return super().forward(x) * Counting.calls

    choice = choose(None, of=Counting(1, 2, 3, padding=1).eval())
    assert choice.way == PLAIN
    assert "other logits" in choice.reason


def test_a_network_that_waits_for_the_gpu_runs_without_graphs(machine: Machine, choose: Choose) -> None:
    class Deciding(nn.Conv3d):
        """Control flow that depends on data."""

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if machine.read(x.mean()) > 0 else -x)

    network = Deciding(1, 2, 3, padding=1).eval().requires_grad_(False)
    choice = choose(None, of=network)
    assert choice.way == LAST
    assert "CUDA graph is left out: RuntimeError: called a synchronizing CUDA operation" in choice.reason
    assert machine.captures == []
    for sign in (1, -1):
        x = sign * torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(choice.network(x), network(x))


def test_a_network_that_cannot_be_copied_is_no_problem(machine: Machine, choose: Choose, network: nn.Module) -> None:
    network.handle = (one for one in ())  # type: ignore[assignment]
    choice = choose(None)
    assert choice.way == GRAPH
    assert "channels last is left out: TypeError: cannot pickle 'generator' object" in choice.reason


def test_a_problem_of_the_network_itself_is_not_hidden(machine: Machine, choose: Choose) -> None:
    class Broken(nn.Conv3d):
        def forward(self, _: Tensor) -> Tensor:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        choose(None, of=Broken(1, 2, 3))


# --- logits and times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_way_gives_the_network_s_logits(precision: str, spatial_dims: int) -> None:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = VNet(spatial_dims, in_channels=1, out_channels=2, channels=(2, 4), kernel_size=3, skip="sat").eval()
    gpu = FakeGpu()
    shape = SHAPE[: spatial_dims + 1]
    ways = GpuWays(network, shape=shape, batch=2, precision=precision, gpu=gpu)  # type: ignore[arg-type]
    expected = ways.compute(network)
    assert expected.dtype == torch.float32
    for way in WAYS:
        found = ways.compute(ways.prepare(way))
        tolerance = 1e-4 if precision == "float32" else 0.02
        assert float((found - expected).norm() / expected.norm()) < tolerance, way
    assert len(gpu.captures) == 2
    assert ways.prepare(PLAIN) is network


def test_real_times_of_every_way_are_reported(network: nn.Module, tmp_path: Path) -> None:
    gpu = FakeGpu()
    choice = choose_gpu_way(
        network, shape=SHAPE, precision="float32", windows=None, gpu=gpu,  # type: ignore[arg-type]
        cache=RuntimeCache(network, SHAPE, tmp_path),
    )  # fmt: skip
    # Which one is the fastest depends on the machine.
    assert choice.seconds.keys() == set(WAYS)
    assert min(choice.seconds.values()) > 0
    assert gpu.waits > 0
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(choice.network(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        # The first call chooses kernels, and does not count.
        ([0.1, 0.3, 0.2, 0.2, 0.25, 0.3], 0.2),
        # No more calls after two seconds.
        ([1.5, 1.0, 0.1], 1.0),
        ([7.0, 0.1], 7.0),
    ],
)
def test_a_call_takes_the_least_of_some_until_the_gpu_is_done(seconds: list[float], found: float) -> None:
    now, left, started = 0.0, list(seconds), 0

    def call() -> None:
        nonlocal started
        started += 1

    def synchronise() -> None:
        nonlocal now
        # Work takes its time only when it is waited for.
        if started:
            now += left.pop(0)

    assert time_call(call, synchronise=synchronise, clock=lambda: now) == pytest.approx(found)
    assert started == len(seconds) - len(left)


def test_a_problem_says_whether_it_lasts() -> None:
    assert UnusableWayError("a reason").lasting
    assert str(UnusableWayError("a reason", lasting=False)) == "a reason"
