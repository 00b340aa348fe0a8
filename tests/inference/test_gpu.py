"""The calls to a GPU, on a stand-in for `torch.cuda`; `test_cuda.py` has them on a real one."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.inference.gpu import Gpu, fix_kernels

DEVICE = torch.device("cuda:1")


class Cuda:
    """The parts of `torch.cuda` in use: what was called, and in which state the stand-in is."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.mode = 1
        self.stream_now: Any = "default"
        self.reserved = 100
        self.fails = self.has_ended = False
        self.CUDAGraph = lambda: SimpleNamespace(replay=lambda: self.said.append("replay"))
        self.Stream = self.make_stream

    def make_stream(self, device: torch.device) -> Any:
        assert device == DEVICE
        return SimpleNamespace(wait_stream=lambda other: self.said.append(f"wait for {other}"))

    def current_stream(self, device: torch.device) -> Any:
        assert device == DEVICE
        return self.stream_now

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        assert device == DEVICE
        yield

    @contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        before, self.stream_now = self.stream_now, stream
        try:
            yield
        finally:
            self.stream_now = before

    @contextmanager
    def graph(self, _: Any, *, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert (pool, stream, capture_error_mode) == ("a pool", self.stream_now, "thread_local")
        self.said.append("begin")
        # PyTorch's own neither restores the stream nor ends the capture where the capture fails.
        self.stream_now = "lost"
        yield
        if self.fails:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.reserved += 40
        self.said.append("end")

    def undo(self, name: str, index: int, pool: str) -> None:
        if self.has_ended:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.said.append(f"{name} {index} {pool}")

    def get_sync_debug_mode(self) -> int:
        return self.mode

    def set_sync_debug_mode(self, mode: Any) -> None:
        self.mode = mode

    def synchronize(self, _: torch.device) -> None:
        self.said.append("synchronise")

    def empty_cache(self) -> None:
        self.said.append("empty")

    def memory_reserved(self, _: torch.device) -> int:
        return self.reserved

    def graph_pool_handle(self) -> str:
        return "a pool"

    def get_device_name(self, _: torch.device) -> str:
        return "a model"


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    made = Cuda()
    names = [name for name in dir(made) if not name.startswith("_") and hasattr(torch.cuda, name)]
    for name in names:
        monkeypatch.setattr(torch.cuda, name, getattr(made, name))
    for name in ("endAllocateToPool", "releasePool"):
        monkeypatch.setattr(torch._C, f"_cuda_{name}", lambda *given, name=name: made.undo(name, *given), raising=False)
    return made


def test_the_name_has_what_times_depend_on(cuda: Cuda) -> None:
    assert Gpu(DEVICE).name().startswith("a model, CUDA ")
    assert "cuDNN" in Gpu(DEVICE).name()


def test_a_warm_up_calls_on_another_stream_and_finds_waiting(cuda: Cuda) -> None:
    modes, streams = [], []

    def call() -> torch.Tensor:
        modes.append(cuda.mode)
        streams.append(cuda.stream_now)
        return torch.full((1,), float(len(modes)))

    assert float(Gpu(DEVICE).warm_up(call)) == 4
    assert modes == [1, 1, 1, "error"]
    assert "default" not in streams
    assert (cuda.mode, cuda.stream_now) == (1, "default")
    # It does not start before the input is there, and nobody reads the output before it is there.
    assert cuda.said == ["wait for default", "synchronise"]


def test_after_a_warm_up_that_fails_all_is_as_before(cuda: Cuda) -> None:
    def call() -> torch.Tensor:
        if cuda.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return torch.zeros(1)

    with pytest.raises(RuntimeError, match="synchronizing"):
        Gpu(DEVICE).warm_up(call)
    assert (cuda.mode, cuda.stream_now) == (1, "default")


def test_a_capture_reports_its_output_and_its_memory(cuda: Cuda) -> None:
    gpu = Gpu(DEVICE)
    output = torch.zeros(1)
    captured = gpu.capture(lambda: output, gpu.make_pool())
    assert captured.output is output
    assert captured.kept_bytes == 40
    # Memory is counted from when nothing else is held.
    assert cuda.said == ["synchronise", "empty", "begin", "end"]
    captured.replay()
    assert cuda.said[-1] == "replay"
    assert cuda.stream_now == "default"


def test_a_capture_that_fails_is_undone(cuda: Cuda) -> None:
    cuda.fails = True
    gpu = Gpu(DEVICE)
    with pytest.raises(RuntimeError, match="previous error"):
        gpu.capture(lambda: torch.zeros(1), gpu.make_pool())
    assert cuda.stream_now == "default"
    assert cuda.said == ["synchronise", "empty", "begin", "endAllocateToPool 1 a pool", "releasePool 1 a pool"]


def test_a_problem_that_does_not_break_the_capture_is_raised(cuda: Cuda) -> None:
    def call() -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    cuda.has_ended = True
    gpu = Gpu(DEVICE)
    with pytest.raises(torch.OutOfMemoryError):
        gpu.capture(call, gpu.make_pool())
    assert cuda.stream_now == "default"
    assert cuda.said == ["synchronise", "empty", "begin"]


def test_kernels_are_those_of_a_prediction() -> None:
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    with fix_kernels():
        assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == (False, True)
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == before
