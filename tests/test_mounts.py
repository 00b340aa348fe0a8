"""Where a file's disk is mounted, and whether it is a network's."""

import errno
import os
from pathlib import Path

import pytest

from pipeline import mounts
from pipeline.mounts import find_mount, is_network


def test_a_mount_without_its_server_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As of a network disk: below it every question is this error, and at it, too.
    mount = tmp_path / "lab disk"

    def fail(path: Path) -> bool:
        if path.is_relative_to(mount):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
        return False

    monkeypatch.setattr(Path, "is_mount", fail)
    place = str(mount).replace(" ", "\\040")
    lines = ["1 0 0:1 / / rw - ext4 /dev/sda rw", f"2 1 0:52 / {place} rw - fuse.sshfs host:/data rw"]
    monkeypatch.setattr(mounts, "_list_mounts", lambda: lines)
    assert find_mount(mount / "runs" / "last.pt") == str(mount)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("9 1 0:{n} / /data rw - nfs4 server:/data rw", True),
        ("9 1 0:{n} / /data rw shared:1 - cifs //a/b rw", True),
        ("9 1 0:{n} / /data rw - fuse.sshfs a: rw", True),
        ("9 1 0:{n} / /data rw - fuseblk /dev/sda rw", False),
        ("9 1 0:{n} / /data rw - ext4 /dev/sda rw", False),
        ("9 1 0:1{n} / /data rw - nfs server:/data rw", False),
    ],
)
def test_which_disks_are_a_networks(line: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path.stat().st_dev
    text = line.replace("0:{n}", f"{os.major(device)}:{os.minor(device)}").replace("0:1{n}", "0:999999")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert is_network(tmp_path) == expected
