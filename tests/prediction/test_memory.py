"""The memory that a prediction may have: what it says, and how it cuts a scan to stay within it."""

import numpy as np
import pytest
import torch
from monai.inferers.inferer import SlidingWindowInferer

from pipeline.data.errors import InputError
from pipeline.inference.windows import Windows
from pipeline.prediction import memory as module
from pipeline.prediction.memory import Budget, MemoryWatch, preparation_bytes, resident_bytes

CPU = torch.device("cpu")
SHAPE = (400, 400, 300)
TAKEN = 10**9


@pytest.fixture
def windows() -> Windows:
    # Expanded: a large scan without its memory.
    image = torch.zeros(1, 1, 1, 1).expand(1, *SHAPE)
    return Windows(SlidingWindowInferer((32, 32, 32), 1, 0.5), image, classes=10, device=CPU)


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has taken a GB, whatever the tests have."""
    monkeypatch.setattr(module, "resident_bytes", lambda: TAKEN)


def test_without_a_bound_nothing_is_cut(windows: Windows) -> None:
    budget = Budget(None, CPU, window=10**12)
    assert budget.strip_count(windows, SHAPE) == 1
    assert budget.has_room(windows, 10**15)
    budget.require(10**15, SHAPE)


def test_the_fewest_strips_that_fit_are_taken(windows: Windows) -> None:
    plenty = 10**12
    room = Budget(plenty, CPU, window=123)
    overhead = plenty - TAKEN - 123 - _room(room, windows, plenty)
    for count in (1, 2, 5, 20):
        needed = windows.slab_bytes(count) + TAKEN + 123 + overhead
        assert Budget(needed, CPU, window=123).strip_count(windows, SHAPE) == count
        assert Budget(needed - 1, CPU, window=123).strip_count(windows, SHAPE) > count
        # What something else takes meanwhile counts as well.
        assert Budget(needed + 999, CPU, window=123).strip_count(windows, SHAPE, reserved=999) == count
        assert Budget(needed + 999, CPU, window=123).strip_count(windows, SHAPE, reserved=1000) > count


def _room(budget: Budget, windows: Windows, memory: int) -> int:
    """The bytes that are left for a slab, found by what still fits beside it."""
    low, high = 0, memory
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if budget.has_room(windows, middle) else (low, middle)
    return low + windows.slab_bytes()


def test_strips_take_less_memory(windows: Windows) -> None:
    sizes = [windows.slab_bytes(count) for count in (1, 2, 4, 8)]
    assert sizes == sorted(sizes, reverse=True)


def test_what_does_not_fit_at_all_is_told(windows: Windows) -> None:
    with pytest.raises(InputError, match=r"--memory: found 1\.01 GB; expected about ") as raised:
        Budget(TAKEN + 10**7, CPU, window=0).strip_count(windows, SHAPE)
    assert "400 x 400 x 300 voxels" in raised.value.expected


def test_what_is_needed_is_told_with_what_is_taken() -> None:
    budget = Budget(2 * TAKEN, CPU, window=0)
    budget.require(TAKEN, SHAPE)
    with pytest.raises(InputError, match=r"found 2 GB; expected about 6 GB for 400 x 400 x 300 voxels"):
        budget.require(5 * TAKEN, SHAPE)


def test_a_gpu_bounds_the_slab_by_its_own_memory(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**12))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 0)
    gpu = torch.device("cuda")
    free = 10**12
    assert Budget(None, gpu, window=0).strip_count(windows, SHAPE) == 1
    free = int(1.1 * windows.slab_bytes(4))
    # A part of it is left to others.
    assert Budget(None, gpu, window=0).strip_count(windows, SHAPE) > 4


def test_on_a_gpu_what_is_read_meanwhile_counts_against_the_process(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("mem_get_info", (10**12, 10**12)), ("memory_reserved", 0), ("memory_allocated", 0)):
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    gpu = Budget(4 * TAKEN, torch.device("cuda"), window=10**11)
    assert gpu.has_room(windows, 2 * TAKEN)
    assert not gpu.has_room(windows, 3 * TAKEN)
    assert gpu.strip_count(windows, SHAPE, reserved=2 * TAKEN) == 1
    with pytest.raises(InputError, match="--memory: found 4 GB"):
        gpu.strip_count(windows, SHAPE, reserved=10 * TAKEN)


def test_a_gpu_that_is_too_small_is_told(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("mem_get_info", (10**7, 10**12)), ("memory_reserved", 0), ("memory_allocated", 0)):
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    with pytest.raises(InputError, match=r"cuda:1: found 0\.008 GB of memory free"):
        Budget(None, torch.device("cuda:1"), window=0).strip_count(windows, SHAPE)


def test_preparation_grows_with_what_is_read_and_resampled() -> None:
    own = preparation_bytes(1000, 1000, channels=1)
    # At least the scan as float32, and what it becomes.
    assert own >= 2 * 4 * 1000
    assert preparation_bytes(1000, 1000, channels=3) == 3 * own
    assert preparation_bytes(2000, 2000, channels=1) == 2 * own
    assert preparation_bytes(1000, 8000, channels=1) >= 4 * (1000 + 2 * 8000)
    assert preparation_bytes(8000, 1000, channels=1) >= 4 * 8000
    # As many voxels may be other ones.
    assert preparation_bytes(1000, 1000, channels=1, resampled=True) > own
    assert preparation_bytes(1000, 1000, channels=1, masked=True) > own


def test_the_watch_keeps_the_highest_of_all_parts() -> None:
    watch = MemoryWatch()
    if watch.part_bytes() == 0:
        pytest.skip("the system does not tell")
    block = np.ones(64 << 20, np.uint8)
    high = watch.part_bytes()
    del block
    watch.restart()
    # The system counts in steps of its own.
    assert watch.peak_bytes() >= high - (1 << 20)
    assert watch.part_bytes() <= watch.peak_bytes()


def test_memory_of_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "status_bytes", lambda _: None)
    monkeypatch.setattr(module, "_library_bytes", lambda: 0)
    assert MemoryWatch().peak_bytes() == 0
    assert resident_bytes() == 0
