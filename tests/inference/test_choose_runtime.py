"""Which runtime is chosen, by times and networks that a test makes up; and once really."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.inference import choose_runtime as module
from pipeline.inference.choose_runtime import RuntimeChoice, choose_runtime, load_on_runtime
from pipeline.inference.runtime_cache import RuntimeCache
from pipeline.networks import VNet

SHAPE = (1, 8, 8, 8)


class Converted(nn.Module):
    """A stand-in for the network on OpenVINO."""


class Machine:
    """Seconds of a window on each runtime, and what was asked of it."""

    def __init__(self, pytorch: float, openvino: float) -> None:
        self.seconds = {"pytorch": pytorch, "openvino": openvino}
        self.problem: InputError | None = None
        self.conversion = 0.5
        self.asked: list[str] = []
        self.batches: list[int] = []

    def time_window(self, run: Any, shape: Sequence[int], batch: int, **_: Any) -> float:
        assert tuple(shape) == SHAPE
        name = "openvino" if isinstance(run, Converted) else "pytorch"
        self.asked.append(f"time {name}")
        self.batches.append(batch)
        return self.seconds[name]

    def convert(self, *_: Any) -> tuple[nn.Module, float]:
        self.asked.append("convert")
        if self.problem is not None:
            raise self.problem
        return Converted(), self.conversion


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which OpenVINO takes half of PyTorch's time."""
    made = Machine(0.1, 0.05)
    monkeypatch.setattr(module, "time_window", made.time_window)
    monkeypatch.setattr(module, "_convert", made.convert)
    monkeypatch.setattr(module, "find_spec", lambda _: object())
    return made


@pytest.fixture
def network() -> nn.Module:
    return nn.Conv3d(1, 2, 3, padding=1).eval()


@pytest.fixture
def choose(network: nn.Module, tmp_path: Path) -> Any:
    def run(windows: float | None, **options: Any) -> RuntimeChoice:
        given = {"shape": SHAPE, "precision": "float32", "cache": RuntimeCache(network, SHAPE, tmp_path), **options}
        return choose_runtime(network, windows=windows, **given)

    return run


@pytest.mark.parametrize("windows", [0, 1, 2])
def test_too_few_windows_stay_on_pytorch_without_any_timing(
    windows: float, machine: Machine, choose: Any, network: nn.Module
) -> None:
    choice = choose(windows)
    assert (choice.runtime, choice.network, choice.seconds) == ("pytorch", network, {})
    assert choice.reason == "too few windows to win back a conversion"
    assert machine.asked == []


def test_many_windows_take_the_faster_one(machine: Machine, choose: Any) -> None:
    choice = choose(1000)
    assert choice.runtime == "openvino"
    assert isinstance(choice.network, Converted)
    assert choice.seconds == {"pytorch": 0.1, "openvino": 0.05}
    assert choice.start_seconds == 0.5
    assert choice.reason == "OpenVINO takes 0.50 of PyTorch's time for a window"
    assert machine.asked == ["time pytorch", "convert", "time openvino"]


def test_many_windows_stay_on_pytorch_where_that_is_faster(machine: Machine, choose: Any, network: nn.Module) -> None:
    machine.seconds["openvino"] = 0.12
    choice = choose(None)
    assert (choice.runtime, choice.network) == ("pytorch", network)
    assert choice.seconds == {"pytorch": 0.1, "openvino": 0.12}
    # Converting took its time all the same.
    assert choice.start_seconds == 0.5
    assert choice.reason == "OpenVINO takes 1.20 of PyTorch's time for a window"


@pytest.mark.parametrize(("seconds", "runtime"), [(0.001, "pytorch"), (1.0, "openvino")])
def test_the_same_windows_pay_where_each_is_costly(seconds: float, runtime: str, machine: Machine, choose: Any) -> None:
    # 20 windows take 0.02 or 20 seconds, and a conversion about 0.5 seconds and four windows.
    machine.seconds = {"pytorch": seconds, "openvino": seconds / 2}
    choice = choose(20)
    assert choice.runtime == runtime
    assert machine.asked == ["time pytorch", *(["convert", "time openvino"] if runtime == "openvino" else [])]
    assert bool(choice.seconds.get("openvino")) is (runtime == "openvino")
    # An unknown number is taken for many.
    assert choose(None).runtime == "openvino"


def test_measured_times_are_used_at_the_next_start(machine: Machine, choose: Any) -> None:
    first = choose(1000)
    machine.asked.clear()
    # The machine is busy now: the times are those of before.
    machine.seconds = {"pytorch": 1.0, "openvino": 5.0}
    again = choose(1000)
    assert machine.asked == ["convert"]
    assert (again.runtime, again.seconds, again.reason) == ("openvino", first.seconds, first.reason)


def test_a_slower_runtime_is_not_converted_for_again(machine: Machine, choose: Any, network: nn.Module) -> None:
    machine.seconds["openvino"] = 0.2
    choose(None)
    machine.asked.clear()
    for windows in (None, 10**6):
        choice = choose(windows)
        assert (choice.runtime, choice.network) == ("pytorch", network)
        assert choice.reason == "OpenVINO takes 2.00 of PyTorch's time for a window"
        assert choice.start_seconds == 0
    assert machine.asked == []


def test_measured_times_decide_about_few_windows(machine: Machine, choose: Any) -> None:
    choose(None)
    # Each saves 0.05 s; the start costs a third of 0.5 s and a window on PyTorch: 5.33 windows.
    assert [choose(windows).runtime for windows in (4, 5, 6, 7)] == ["pytorch", "pytorch", "openvino", "openvino"]


@pytest.mark.parametrize("changed", [{"precision": "bfloat16"}, {"batch": 2}, {"threads": 3}, {"processor": "another"}])
def test_times_are_kept_for_what_they_were_measured_with(
    changed: dict[str, Any], machine: Machine, choose: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(None)
    machine.asked.clear()
    options = {key: value for key, value in changed.items() if key in ("precision", "batch")}
    if "threads" in changed:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    if "processor" in changed:
        monkeypatch.setattr(module, "name_processor", lambda: "another")
    choose(None, **options)
    assert machine.asked == ["time pytorch", "convert", "time openvino"]


def test_pytorch_is_timed_with_its_batch_and_openvino_with_single_windows(machine: Machine, choose: Any) -> None:
    choose(None, batch=4)
    assert machine.batches == [4, 1]


@pytest.mark.parametrize("damage", [{"openvino": 0.1}, {"pytorch": 0.1}, {"seconds": 1.0}])
def test_times_of_only_one_runtime_are_measured_again(
    damage: dict[str, float], machine: Machine, choose: Any, network: nn.Module, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(RuntimeCache, "read_times", lambda *_: dict(damage))
    assert choose(1000).runtime == "openvino"
    assert machine.asked == ["time pytorch", "convert", "time openvino"]


def test_a_network_that_openvino_cannot_convert_stays_on_pytorch(
    machine: Machine, choose: Any, network: nn.Module
) -> None:
    machine.problem = InputError("--runtime openvino", found="a gadget", expected="a network", remedy="leave it out")
    choice = choose(1000)
    assert (choice.runtime, choice.network) == ("pytorch", network)
    assert choice.reason == "OpenVINO cannot be used: a gadget"
    assert choice.seconds == {"pytorch": 0.1}
    assert choose(1000, only="openvino").runtime == "pytorch"


def test_a_bug_is_not_hidden(machine: Machine, choose: Any) -> None:
    machine.problem = ZeroDivisionError()  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        choose(1000)


def test_an_earlier_call_is_continued_whatever_the_times(machine: Machine, choose: Any, network: nn.Module) -> None:
    machine.seconds["openvino"] = 7.0
    reason = "the output folder was begun with it"
    choice = choose(1, only="openvino")
    assert (choice.runtime, type(choice.network), choice.reason) == ("openvino", Converted, reason)
    # PyTorch is not timed, and half a comparison is not kept.
    assert machine.asked == ["convert", "time openvino"]
    machine.asked.clear()
    choice = choose(10**6, only="pytorch")
    assert (choice.runtime, choice.network, choice.reason) == ("pytorch", network, reason)
    assert machine.asked == []
    assert choose(10**6).seconds == {"pytorch": 0.1, "openvino": 7.0}


@pytest.mark.parametrize("only", [None, "openvino"])
def test_without_openvino_all_run_on_pytorch(
    only: str | None, machine: Machine, choose: Any, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    choice = choose(None, only=only)
    assert (choice.runtime, choice.network, choice.reason) == ("pytorch", network, "OpenVINO is not installed")
    assert machine.asked == []


def test_the_runtime_that_the_user_names_is_taken(machine: Machine, network: nn.Module) -> None:
    choice = load_on_runtime(network, "pytorch", shape=SHAPE, precision="float32")
    assert (choice.runtime, choice.network, choice.start_seconds) == ("pytorch", network, 0)
    assert machine.asked == []
    choice = load_on_runtime(network, "openvino", shape=SHAPE, precision="float32")
    assert (choice.runtime, type(choice.network), choice.start_seconds) == ("openvino", Converted, 0.5)
    assert choice.reason == "as requested"
    assert machine.asked == ["convert"]
    machine.problem = InputError("--runtime openvino", found="a gadget", expected="a network", remedy="leave it out")
    with pytest.raises(InputError, match="a gadget"):
        load_on_runtime(network, "openvino", shape=SHAPE, precision="float32")


# --- timing -----------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that goes on only while a window is computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Sequence[float]) -> None:
        self.now, self.seconds = 0.0, list(seconds)
        self.shapes: list[tuple[int, ...]] = []
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def run(self, x: Tensor) -> None:
        self.shapes.append(tuple(x.shape))
        self.now += self.seconds.pop(0)


@pytest.mark.parametrize(
    ("seconds", "found", "calls"),
    [
        # The first call chooses kernels, and does not count.
        ([0.9, 0.3, 0.2, 0.4], 0.2, 4),
        ([0.1, 0.3, 0.2, 0.4], 0.2, 4),
        # No more calls after two seconds.
        ([1.5, 1.0, 9.0], 1.0, 2),
        ([7.0, 9.0], 7.0, 1),
    ],
)
def test_a_window_takes_the_least_of_some_calls(
    seconds: list[float], found: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, seconds)
    assert module.time_window(clock.run, SHAPE, 1) == pytest.approx(found)
    assert clock.shapes == [(1, *SHAPE)] * calls


def test_windows_of_a_batch_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, [0.8, 0.4, 0.4, 0.4])
    assert module.time_window(clock.run, SHAPE, 4) == pytest.approx(0.1)
    assert clock.shapes[0] == (4, *SHAPE)


def test_the_first_call_may_be_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def enough(seconds: float) -> bool:
        asked.append(seconds)
        return True

    clock = Clock(monkeypatch, [0.5, 0.1])
    assert module.time_window(clock.run, SHAPE, 2, enough=enough) == pytest.approx(0.25)
    assert asked == [pytest.approx(0.25)]


# --- a real one -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
def test_a_real_choice_computes_pytorch_s_logits(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = VNet(3, in_channels=1, out_channels=2, channels=(2, 4), kernel_size=3, skip="sat").eval()
    network.requires_grad_(False)
    cache = RuntimeCache(network, SHAPE, tmp_path)
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    # Which one is faster depends on the machine.
    choice = choose_runtime(network, shape=SHAPE, precision="float32", windows=None, cache=cache)
    assert choice.runtime in ("pytorch", "openvino")
    assert choice.seconds.keys() == {"pytorch", "openvino"}
    assert min(choice.seconds.values()) > 0
    assert choice.start_seconds > 0
    continued = choose_runtime(network, shape=SHAPE, precision="float32", windows=1, only="openvino", cache=cache)
    assert continued.runtime == "openvino"
    for one in (choice, continued):
        torch.testing.assert_close(one.network(x), network(x), rtol=1e-4, atol=1e-4)
