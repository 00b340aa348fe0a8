import os
import subprocess
import sys

import pytest

from pipeline.owner import has_ended, process_start, this_place

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_this_process_has_not_ended_and_another_with_its_number_has() -> None:
    number, start = os.getpid(), process_start(os.getpid())
    assert start > 0
    assert not has_ended(number, start)
    assert not has_ended(number, 0)
    assert has_ended(number, start + 1)


def test_a_killed_process_has_ended_before_its_parent_has_noticed() -> None:
    process = subprocess.Popen(["sleep", "60"])
    start = process_start(process.pid)
    assert not has_ended(process.pid, start)
    process.kill()
    # It waits for the end, but leaves the process listed.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(process.pid, start)
    process.wait()
    assert has_ended(process.pid, start)


def test_a_place_is_eight_digits_and_stays() -> None:
    assert this_place() == this_place()
    assert len(this_place()) == 8
    int(this_place(), 16)
