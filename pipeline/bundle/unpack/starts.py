"""What a file of somebody's is by its first bytes, whatever it is called: a pickle, a zip, an array."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

__all__ = ["describe_pickle", "inner_names", "is_zip", "read_start", "starts_pickle"]

_ZIP = b"PK\x03\x04"
_ARRAY = b"\x93NUMPY"
_OF_OBJECTS = "an array of Python objects: a pickle, which runs code when it is loaded"
_PICKLE = "a pickle: runs code when it is loaded"
_MAX_HEADER = 2**16
_MAX_PICKLE = 2**24
_MAX_MEMBERS = 10_000
_NAME = re.compile(r"[\w.]+ [\w.]+")
_CALLS = ("REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD", "STOP")


def read_start(file: Path, count: int) -> bytes:
    """Return at most so many bytes."""
    with file.open("rb") as stream:
        return stream.read(count)


def is_zip(file: Path) -> bool:
    """Return whether the first bytes are a zip's: PyTorch and NumPy decide so. A pickle with a zip after it is none."""
    return read_start(file, 4) == _ZIP


def inner_names(file: Path) -> list[str]:
    """Return the names in a zip; none of what is no whole one."""
    if not is_zip(file):
        return []
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def starts_pickle(start: bytes) -> bool:
    """Return whether bytes begin as pickles do.

    Those since protocol 2 name their protocol. Older ones are text: they are followed to the first call, as Python's
    own `pickletools` reads them, and nothing is run.
    """
    if start[:1] == b"\x80":
        return start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    named = False
    try:
        for operation, argument, _ in pickletools.genops(io.BytesIO(start)):
            if operation.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                if operation.name != "STACK_GLOBAL" and not _NAME.fullmatch(str(argument)):
                    return False
                named = True
            if named and operation.name in _CALLS:
                return True
    except Exception:  # what is no pickle can break off in any way
        return False
    return False


def describe_pickle(file: Path) -> str | None:
    """Say in which way a file is a pickle, or an archive of such, in words; None where it is none."""
    start = read_start(file, 16)
    if start.startswith(_ZIP):
        return _zipped(file)
    if start.startswith(_ARRAY):
        with file.open("rb") as stream:
            return _array(stream)
    if file.suffix.lower() in (".npy", ".npz"):
        return "a file that is called an array of NumPy and is none"
    return _PICKLE if starts_pickle(read_start(file, _MAX_PICKLE)) else None


def _zipped(file: Path) -> str | None:
    """Look at the start of every member: NumPy goes by that, too, and not by their names."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos: Sequence[zipfile.ZipInfo] = archive.infolist()
            if len(infos) > _MAX_MEMBERS:
                return f"a zip of {len(infos):,} files: not looked into"
            kinds = [_member(archive, info) for info in infos]
    except Exception:  # each way of packing breaks off in its own
        return "a damaged zip: could not be looked into"
    return next((kind for kind in kinds if kind), None)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    with archive.open(info) as stream:
        start = stream.read(_MAX_HEADER)
    if start.startswith(_ARRAY):
        return _array(io.BytesIO(start))
    return f"a zip with {_PICKLE}" if starts_pickle(start) else None


def _array(stream: IO[bytes]) -> str | None:
    """An array of Python objects is a pickle; its header says so, and no more than that is read."""
    from numpy.lib import format as npy  # noqa: PLC0415

    start = stream.read(12)
    wide = start[6:7] != b"\x01"
    try:
        (length,) = struct.unpack("<I" if wide else "<H", start[8 : 12 if wide else 10])
        if length > _MAX_HEADER:
            return "an array of NumPy with too long a header: could not be judged"
        header = io.BytesIO(start[8:] + stream.read(length))
        read = npy.read_array_header_2_0 if wide else npy.read_array_header_1_0
        return _OF_OBJECTS if read(header)[2].hasobject else None
    except Exception:  # the header is Python text, and a stranger's
        return "a file that is called an array of NumPy and is none"
