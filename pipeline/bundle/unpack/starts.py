"""Recognise a file by its first bytes, whatever its name: a pickle, a zip, an array."""

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
    """Return at most ``count`` bytes from the start of a file."""
    with file.open("rb") as stream:
        return stream.read(count)


def is_zip(file: Path) -> bool:
    """Return whether a file starts as a zip does, as PyTorch and NumPy decide; a pickle followed by a zip does not."""
    return read_start(file, 4) == _ZIP


def inner_names(file: Path) -> list[str]:
    """Return the names in a zip; none if the file is not a complete zip."""
    if not is_zip(file):
        return []
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def starts_pickle(start: bytes) -> bool:
    """Return whether bytes start as pickles do.

    Since protocol 2 pickles name their protocol. Older ones are text: Python's `pickletools` reads them up to the first
    call, without running anything.
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
    except Exception:  # data that is not a pickle can raise anything
        return False
    return False


def describe_pickle(file: Path) -> str | None:
    """Return how a file is a pickle, or an archive of pickles, in words; None if it is not."""
    start = read_start(file, 16)
    if start.startswith(_ZIP):
        return _describe_zip(file)
    if start.startswith(_ARRAY):
        with file.open("rb") as stream:
            return _describe_array(stream)
    if file.suffix.lower() in (".npy", ".npz"):
        return "not a NumPy array, in spite of its name"
    return _PICKLE if starts_pickle(read_start(file, _MAX_PICKLE)) else None


def _describe_zip(file: Path) -> str | None:
    """Check the start of every member, as NumPy does, rather than its name."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos: Sequence[zipfile.ZipInfo] = archive.infolist()
            if len(infos) > _MAX_MEMBERS:
                return f"a zip of {len(infos):,} files: not examined"
            kinds = [_describe_member(archive, info) for info in infos]
    except Exception:  # every compression method raises its own errors
        return "a damaged zip: could not be examined"
    return next((kind for kind in kinds if kind), None)


def _describe_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    with archive.open(info) as stream:
        start = stream.read(_MAX_HEADER)
    if start.startswith(_ARRAY):
        return _describe_array(io.BytesIO(start))
    return f"a zip with {_PICKLE}" if starts_pickle(start) else None


def _describe_array(stream: IO[bytes]) -> str | None:
    """Return whether an array is one of Python objects, and so a pickle, in words; only its header is read."""
    from numpy.lib import format as npy  # noqa: PLC0415

    start = stream.read(12)
    wide = start[6:7] != b"\x01"
    try:
        (length,) = struct.unpack("<I" if wide else "<H", start[8 : 12 if wide else 10])
        if length > _MAX_HEADER:
            return "a NumPy array with too long a header: could not be examined"
        header = io.BytesIO(start[8:] + stream.read(length))
        read = npy.read_array_header_2_0 if wide else npy.read_array_header_1_0
        return _OF_OBJECTS if read(header)[2].hasobject else None
    except Exception:  # the header is someone else's Python text
        return "not a NumPy array, in spite of its name"
