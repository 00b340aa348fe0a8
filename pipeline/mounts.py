"""Where a file's disk is mounted, and whether other machines may see it."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["find_mount", "is_network"]

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|ceph|lustre|beegfs|gpfs|glusterfs|9p|virtiofs|afs|ocfs2|gfs2|pvfs2|orangefs|vboxsf|davfs"
    r"|fuse\..+|fuse"
)


def find_mount(path: str | os.PathLike[str]) -> str:
    """Return where the disk of a file is mounted."""
    try:
        place = Path(os.path.realpath(path))
        while not place.is_mount() and place != place.parent:
            place = place.parent
    except OSError:
        # A mount that has lost its server answers nothing; the working folder may be on it.
        place = Path(os.environ.get("PWD", "/"), path)
        listed = [Path(_unescape(line.split()[4])) for line in _list_mounts()]
        place = max((one for one in listed if place.is_relative_to(one)), key=lambda one: len(one.parts), default=place)
    return str(place)


def is_network(folder: str | os.PathLike[str]) -> bool:
    """Return whether other machines may see a folder: whether it is on a file system of a network, as far as known."""
    try:
        device = os.stat(folder).st_dev  # noqa: PTH116 - one call
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _list_mounts():
        before, _, after = line.partition(" - ")
        if before.split()[2:3] == [number]:
            return _NETWORK.fullmatch(after.split()[0]) is not None
    return False


def _list_mounts() -> list[str]:
    """Return a line for each file system that is mounted, as Linux lists them; none elsewhere."""
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _unescape(text: str) -> str:
    """Return a path of the list of mounts, in which spaces and the like are octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
