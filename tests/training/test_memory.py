import platform
import resource
import sys

import pytest

from pipeline.training import keep_memory

# Page faults of a step that makes and drops 40 MB, in a process of its own: the setting is for a whole process.
# Huge pages, which some systems use without being asked, would hide them.
SCRIPT = """
import ctypes, resource, sys, torch
from pipeline.training import keep_memory
PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
if sys.argv[1] == "keep":
    assert keep_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# The first tensors still find holes that are a little too small.
print([faults() for _ in range(16)][-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_kept_memory_is_not_cleared_again(warm_start, tmp_path):
    script = tmp_path / "faults.py"
    script.write_text(SCRIPT)

    def faults(mode):
        done = warm_start(script, mode)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    pages = 40_000_000 // resource.getpagesize()
    assert faults("give back") > pages / 2
    assert faults("keep") < pages / 20


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False
