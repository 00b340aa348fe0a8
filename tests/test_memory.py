import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import memory
from pipeline.memory import free_bytes, give_back, keep_blocks, restart_peak, status_bytes

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


# Page faults of an array of 40 MB that is made and dropped, in a process of its own, which the setting is for.
# Huge pages, which some systems use without being asked, would hide them.
FAULTS = """
import ctypes, resource, sys
import numpy as np
from pipeline.memory import keep_blocks
PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
if sys.argv[1] == "keep":
    assert keep_blocks()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(10_000_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(16)][-1])
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_kept_blocks_are_not_cleared_again() -> None:
    def faults(mode: str) -> int:
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        words = [sys.executable, "-c", FAULTS, mode]
        environment = {**os.environ, "PYTHONPATH": path}
        return int(subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout)

    pages = 40_000_000 // os.sysconf("SC_PAGESIZE")
    assert faults("give back") > pages / 2
    assert faults("keep") < pages / 20


def test_elsewhere_no_block_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_blocks() is False
