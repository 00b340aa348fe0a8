"""Let the disk be full after a random number of bytes, make room, start the verb again, and compare its results."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .started_verbs import run_verb
from .tries import Try
from .verb_table import DisturbedVerb
from .workspace import Workspace

__all__ = ["can_mount", "fill_and_continue"]

_PAGE = 4096
_ROOM = 256 << 20


def can_mount() -> bool:
    """Return whether this process may mount a file system: as root of a machine or of a container that allows it."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _try_mount()


def _try_mount() -> bool:
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"lightskip_mount_{os.getpid()}"
    folder.mkdir(exist_ok=True)
    try:
        with _mounted(folder, _PAGE * 16):
            return True
    except subprocess.CalledProcessError:
        return False
    finally:
        folder.rmdir()


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True, capture_output=True)


def fill_and_continue(workspace: Workspace, verb: DisturbedVerb, number: int, seed: int) -> Try:
    """Run a verb on a disk with a random share of the room that it needs, then on the same disk with enough.

    A fault is: an exit status of 0 or a signal on the full disk, a traceback, no word of the disk, a file that is cut
    off, a second start that fails, results other than the undisturbed ones.
    """
    workspace.undisturbed(verb)
    log = workspace.folder / "log.txt"
    disk, source = workspace.copy(verb), workspace.folder / "to_fill"
    shutil.rmtree(source, ignore_errors=True)
    disk.rename(source)
    disk.mkdir()
    needed = _needed(workspace, verb)
    free = int(random.Random(f"{seed} {number}").uniform(0, 1) * needed)
    faults: list[str] = []
    with _mounted(disk, _ROOM):
        shutil.copytree(source, disk, symlinks=True, dirs_exist_ok=True)
        _resize(disk, _used(disk) + max(free // _PAGE, 1) * _PAGE)
        ended = run_verb(verb.words, disk, log)
        if ended.status in verb.status and not workspace.differences(verb, disk):
            # The estimate of what it needs counts what it replaces.
            outcome = "had enough"
        else:
            outcome = "full"
            if ended.status != 1:
                faults.append(f"ends with {ended.status} on a full disk: {ended.text[-200:]}")
            if "Traceback" in ended.text:
                faults.append(f"a traceback: {ended.text[-300:]}")
            elif "disk" not in ended.text and "space" not in ended.text:
                faults.append(f"the disk is not named: {ended.text[-200:]}")
        faults += [f"cut off: {file}" for file in workspace.damage(verb, disk)]
        _resize(disk, _ROOM)
        second = run_verb(verb.words_again(disk), disk, log)
        if second.status not in verb.status:
            faults.append(f"the second start ends with {second.status}: {second.text[-300:]}")
        else:
            faults += workspace.differences(verb, disk)
    return Try("disk full", verb.name, number, f"{free} of {needed} bytes", outcome, "; ".join(faults))


def _needed(workspace: Workspace, verb: DisturbedVerb) -> int:
    """Return the bytes of the undisturbed results, a page for each file at least."""
    expected = workspace.folder / workspace.result_name(verb)
    sizes = [
        path.stat().st_size
        for result in verb.results
        for path in ([expected / result] if (expected / result).is_file() else (expected / result).rglob("*"))
        if path.is_file()
    ]
    return sum(-(-size // _PAGE) * _PAGE for size in sizes)


def _used(disk: Path) -> int:
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize
