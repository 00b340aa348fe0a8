"""Locks between processes: held, free, inherited."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.locks import hold_lock, is_locked, take_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def test_a_lock_is_held_during_the_block_only(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with hold_lock(file) as descriptors:
        assert len(descriptors) == 1
        assert is_locked(file)
        with pytest.raises(BlockingIOError), hold_lock(file):
            pass
        # A try that failed changes nothing.
        assert is_locked(file)
    assert not is_locked(file)
    lock = take_lock(file)
    assert is_locked(file)
    lock.release()
    lock.release()
    assert not is_locked(file)


def test_a_child_that_inherits_a_lock_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with hold_lock(file) as descriptors:
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=descriptors)
    assert is_locked(file)
    child.communicate(b"")
    assert not is_locked(file)


def test_a_file_that_cannot_be_made_is_an_error_and_not_locked(tmp_path: Path) -> None:
    file = tmp_path / "none" / "lock"
    with pytest.raises(FileNotFoundError), hold_lock(file):
        pass
    assert not is_locked(file)
