"""Locks between processes: held, free, inherited."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import locks
from pipeline.locks import MAX_SILENCE, Holder, LockedError, find_holder, hold_lock, is_locked, take_lock
from pipeline.owner import process_start, this_place

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


def test_what_a_killed_holder_has_started_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    # It holds the lock with a child that ends when its input does.
    program = (
        "import os, subprocess, sys; from pathlib import Path; from pipeline.locks import take_lock\n"
        "lock = take_lock(Path(sys.argv[1]), verb='first')\n"
        "subprocess.Popen(['cat'], pass_fds=lock.descriptors); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    # Popen() keeps no zombie: the killed process counts as ended in any case.
    first = subprocess.Popen([sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, env=environment)
    assert first.wait() == -9
    with pytest.raises(LockedError) as raised, hold_lock(file):
        pass
    assert raised.value.holder.has_ended
    seen: list[str] = []

    def end_child(holder: Holder) -> None:
        seen.append(holder.verb)
        assert first.stdin is not None
        first.stdin.close()

    with hold_lock(file, max_wait=600, on_wait=end_child, on_takeover=lambda holder: seen.append(holder.verb)):
        assert seen == ["first", "first"]


def test_a_file_that_cannot_be_made_is_an_error_and_not_locked(tmp_path: Path) -> None:
    file = tmp_path / "none" / "lock"
    with pytest.raises(FileNotFoundError), hold_lock(file):
        pass
    assert not is_locked(file)


HERE: dict[str, Any] = {"verb": "lightskip train", "host": "here", "pid": os.getpid(), "started": "2026-01-01 UTC"}
HERE |= {"place": this_place(), "start": process_start(os.getpid())}
CASES: dict[str, tuple[dict[str, Any] | None, float, bool, bool]] = {
    # name: holder in the file, seconds since it was renewed, whether the disk is a network's, whether it is refused
    "local": (HERE, 0, False, False),
    "here, at work": (HERE, 9999, True, True),
    "here, killed": ({**HERE, "start": HERE["start"] + 1}, 0, True, False),
    "elsewhere, renewed": ({**HERE, "place": "elsewhere"}, 60, True, True),
    "elsewhere, silent": ({**HERE, "place": "elsewhere"}, MAX_SILENCE + 60, True, False),
    # Its clock was set back, and it would have renewed the file since.
    "elsewhere, from later": ({**HERE, "place": "elsewhere"}, -MAX_SILENCE - 60, True, False),
    "nobody": (None, 0, True, False),
    "no record": ({"pid": "x"}, 0, True, False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("has_flock", [True, False], ids=["flock", "no flock"])
def test_a_holder_on_a_network_counts_as_long_as_it_is_at_work(
    name: str, has_flock: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, age, is_network, refused = CASES[name]
    monkeypatch.setattr(locks, "is_network", lambda _: is_network)
    monkeypatch.setattr(locks, "PAUSE", 0.0)
    if not has_flock:
        monkeypatch.setattr(locks, "lock_at_once", lambda _: ())
        refused = refused or name == "local"
    file = tmp_path / "lock"
    file.write_text("" if holder is None else json.dumps(holder))
    os.utime(file, (time.time() - age,) * 2)
    taken: list[Holder] = []
    assert is_locked(file) == refused
    if refused:
        with pytest.raises(LockedError, match=f"process {os.getpid()} on here, since 2026") as raised, hold_lock(file):
            pass
        assert raised.value.holder.verb == "lightskip train"
        assert json.loads(file.read_text()) == holder
        return
    with hold_lock(file, verb="x", keep=False, on_takeover=taken.append):
        assert json.loads(file.read_text())["verb"] == "x"
    assert [one.pid for one in taken] == ([] if name in ("nobody", "no record") else [os.getpid()])
    assert list(tmp_path.iterdir()) == []


def test_what_may_be_done_twice_goes_on_after_a_machine_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "is_network", lambda _: True)
    (tmp_path / "lock").write_text(json.dumps({**HERE, "place": "elsewhere"}))
    with pytest.raises(LockedError):
        take_lock(tmp_path / "lock")
    take_lock(tmp_path / "lock", trust_silence=False).release()


def test_a_holder_on_a_network_renews_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = threading.Event()
    monkeypatch.setattr(locks, "is_network", lambda _: True)
    monkeypatch.setattr(locks, "_BEAT", 0.001)
    monkeypatch.setattr(locks.os, "utime", lambda *_: renewed.set())
    with hold_lock(tmp_path / "lock"):
        assert renewed.wait(60)


def test_on_a_local_disk_no_thread_renews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "is_network", lambda _: False)
    before = set(threading.enumerate())
    with hold_lock(tmp_path / "lock"):
        # A thread of an earlier test may end meanwhile.
        assert set(threading.enumerate()) <= before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_outlives_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    # As a data-loading worker: forked, not started anew.
    program = (
        "import os, sys, time; from pathlib import Path; from pipeline.locks import take_lock\n"
        "lock = take_lock(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        # Only now it has dropped the lock.
        "if not child: print(os.getpid(), flush=True)\n"
        "time.sleep(600)"
    )
    file = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", program, str(file)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert find_holder(file).pid == process.pid  # type: ignore[union-attr]
        process.kill()
        process.wait()
        assert find_holder(file) is None
    finally:
        os.kill(child, 9)
        process.stdout.close()


def test_any_content_of_a_lock_names_nobody(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    for content in (b"", b"\xff\x00", b"[1]", b"[" * 4096, b'{"pid": 1e400}', b'{"pid": -1, "host": 3}', b"9" * 4096):
        file.write_bytes(content)
        with hold_lock(file) as descriptors:
            assert len(descriptors) == 1
            assert find_holder(file).pid == os.getpid()  # type: ignore[union-attr]


def test_a_pipe_in_the_place_of_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    os.mkfifo(file)
    assert find_holder(file) is None
    with hold_lock(file), pytest.raises(LockedError), hold_lock(file):
        pass


def test_a_lock_of_another_user_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuse_writing(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_RDWR and Path(path).exists():
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *rest, **more)

    file = tmp_path / "lock"
    with hold_lock(file, verb="first"):
        monkeypatch.setattr(os, "open", refuse_writing)
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"), hold_lock(file):
            pass
        monkeypatch.undo()
    # One that was left is taken over, although nothing can be written into it.
    monkeypatch.setattr(os, "open", refuse_writing)
    with hold_lock(file) as descriptors:
        assert len(descriptors) == 1
