import platform
import subprocess
import sys

import pytest

from pipeline.training import keep_memory

# Page faults of a step that makes and drops 40 MB, in a process of its own: the setting is for a whole process.
SCRIPT = """
import resource, sys, torch
from pipeline.training import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(4)][-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_kept_memory_is_not_cleared_again():
    def faults(mode):
        run = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
        return int(run.stdout)

    # 40 MB are 9,766 pages of 4 KiB.
    assert faults("give back") > 5_000
    assert faults("keep") < 500


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False
