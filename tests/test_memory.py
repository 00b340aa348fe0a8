import os
from pathlib import Path

import numpy as np
import pytest

from pipeline import memory
from pipeline.memory import free_bytes, give_back, restart_peak, status_bytes

SIZE = 64 << 20
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")


@pytest.fixture(autouse=True)
def nothing_to_reuse() -> None:
    """Memory that earlier tests freed and malloc kept would be used again, and not be counted as new."""
    give_back()


@linux
def test_what_is_allocated_is_counted() -> None:
    before = status_bytes("VmRSS")
    block = np.ones(SIZE, np.uint8)
    after, peak = status_bytes("VmRSS"), status_bytes("VmHWM")
    assert before is not None
    assert after is not None
    assert peak is not None
    # Other parts of the process may have given something back meanwhile.
    assert after - before > 0.8 * block.nbytes
    assert peak >= after


@linux
def test_the_peak_starts_again() -> None:
    block = np.ones(2 * SIZE, np.uint8)
    high = status_bytes("VmHWM")
    del block
    give_back()
    if not restart_peak():
        pytest.skip("the system does not let the peak be set back")
    low = status_bytes("VmHWM")
    assert high is not None
    assert low is not None
    assert high - low > SIZE


@linux
def test_free_memory_is_some_of_the_machine() -> None:
    assert 0 < free_bytes() < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_numbers_are_kilobytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "status").write_text("VmPeak:  24000 kB\nVmHWM:    1500 kB\nVmHWMToo: 7 kB\n")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    assert (status_bytes("VmHWM"), status_bytes("VmNot")) == (1500 * 1024, None)


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no folder" / "absent")
    assert (status_bytes("VmRSS"), restart_peak()) == (None, False)
