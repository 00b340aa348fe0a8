"""The bytes of an NRRD or MetaImage volume: where they are, and a check to their end, their length and checksum.

MetaIO, which reads MetaImage in ITK, returns whatever it could decompress, and reports nothing to the program.
Neither it nor ITK's NRRD reader notices bytes after the volume's end. ITK cannot read bzip2.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ..errors import InputError
from .endings import is_detached
from .files import parts_of
from .gzip_stream import GzipStream, new_zlib_decoder
from .meta_header import read_meta_header
from .nrrd_header import nrrd_fields

__all__ = ["Coding", "VoxelStream", "meta_streams", "nrrd_streams", "read_streams", "rest_note", "skip_streams"]

Coding = Literal["raw", "gzip", "bzip2", "zlib"]
_PIECE = 1 << 20  # bytes
_MAX_HEADER = 1 << 20
_CODINGS: dict[str, Coding] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}


@dataclass(frozen=True)
class VoxelStream:
    """Voxels in one file.

    Attributes:
        file: the file.
        start: byte of the file where the stream starts.
        coding: of the stream.
        size: bytes of the voxels, decompressed.
        skip: bytes of the decompressed content before the voxels.
        big_endian: order of the bytes of a number.
        itk_reads: whether ITK can read it.
    """

    file: Path
    start: int
    coding: Coding
    size: int
    skip: int = 0
    big_endian: bool = False
    itk_reads: bool = True


def nrrd_streams(path: str, raw: bytes, size: int, *, start: int) -> list[VoxelStream]:
    """Return the streams of an NRRD file; none if the voxels are stored as text.

    Args:
        path: the file.
        raw: its header's bytes, as `nrrd_header` returns them.
        size: bytes of all voxels.
        start: byte after the header, as `nrrd_end` returns it.
    """
    fields = nrrd_fields(raw)
    coding = _CODINGS.get(fields.get("encoding", "").lower())
    if coding is None:
        return []
    detached = "data file" in fields or "datafile" in fields
    files = parts_of(Path(path))[1:] if is_detached(path) else []
    if detached and not files:
        return []
    lines, skip = int(fields.get("line skip", 0)), int(fields.get("byte skip", fields.get("byteskip", 0)))
    big_endian = fields.get("endian", "little").lower() == "big"
    header = 0 if detached else start
    streams = []
    for file in files or [Path(path)]:
        share = size // len(files or [path])
        place = _skip_lines(file, header, lines)
        if skip < 0:
            place = file.stat().st_size - share
        streams.append(VoxelStream(file, place, coding, share, max(skip, 0), big_endian, coding != "bzip2"))
    return streams


def meta_streams(path: str, size: int) -> list[VoxelStream]:
    """Return the streams of a MetaImage; none if the voxels are stored as text.

    Args:
        path: the file.
        size: bytes of all voxels.
    """
    header = read_meta_header(path)
    fields = header.fields
    if not fields:
        return []
    if fields.get("BinaryData", "True")[:1].lower() == "f":
        return []
    is_compressed = fields.get("CompressedData", "False")[:1].lower() in ("t", "1")
    order = fields.get("BinaryDataByteOrderMSB") or fields.get("ElementByteOrderMSB") or "False"
    big_endian = order[:1].lower() in ("t", "1")
    # Without its compressed size MetaIO takes the rest of another place of the file.
    itk_reads = not is_compressed or "CompressedDataSize" in fields
    coding: Coding = "zlib" if is_compressed else "raw"
    files = parts_of(Path(path))[1:]
    skip = int(fields.get("HeaderSize", "0").split()[0])
    streams = []
    for file in files or [Path(path)]:
        share = size // len(files or [path])
        start = (0 if files else header.end) + max(skip, 0)
        if skip < 0:
            start = file.stat().st_size - share
        streams.append(VoxelStream(file, start, coding, share, 0, big_endian, itk_reads))
    return streams


def skip_streams(streams: list[VoxelStream]) -> int:
    """Read compressed streams to their ends, and return the number of bytes after the voxels.

    Raises:
        EOFError: a stream has too few bytes.
        OSError: a file cannot be read.
        gzip.BadGzipFile, zlib.error: a stream is damaged, or its length or checksum is wrong.
    """
    return sum(_count_rest(stream) for stream in streams)


def read_streams(streams: list[VoxelStream]) -> bytes:
    """Return the bytes of all voxels; errors are those of `skip_streams`."""
    parts = []
    for stream in streams:
        with stream.file.open("rb") as file:
            file.seek(stream.start)
            content = b"".join(_pieces(file, stream.coding))
        parts.append(content[stream.skip :][: stream.size])
    return b"".join(parts)


def rest_note(path: str, count: int) -> InputError:
    """Return a note on bytes after a volume's end.

    Args:
        path: the image.
        count: number of bytes, decompressed.
    """
    return InputError(
        path,
        found=f"{count} bytes after the end of its voxels",
        expected="a file that ends there: if its header states too few slices, the others are not read",
        remedy="compare the shape with that of the original scan; if it is the same, do nothing",
        kind="trailing-data",
    )


def _count_rest(stream: VoxelStream) -> int:
    if stream.coding == "raw":
        held = stream.file.stat().st_size - stream.start - stream.skip
    else:
        with stream.file.open("rb") as file:
            file.seek(stream.start)
            held = sum(map(len, _pieces(file, stream.coding))) - stream.skip
    if held < stream.size:
        msg = f"Expected {stream.size} bytes of voxels, got {held}"
        raise EOFError(msg)
    return held - stream.size


def _pieces(file: BinaryIO, coding: Coding) -> Iterator[bytes]:
    """Yield the decompressed content from the file's position to the end of the file."""
    if coding == "zlib":
        yield from _inflate(file)
        return
    if coding == "bzip2":
        yield from _unpack_bzip2(file)
        return
    source = GzipStream(file) if coding == "gzip" else file
    while piece := source.read(_PIECE):
        yield piece


def _unpack_bzip2(file: BinaryIO) -> Iterator[bytes]:
    source = bz2.BZ2File(file)
    try:
        while piece := source.read(_PIECE):
            yield piece
    except OSError as error:
        if error.errno is not None:
            raise
        raise zlib.error(f"{error} of bzip2") from error


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a zlib stream, and then what follows it."""
    decoder = new_zlib_decoder()
    while not decoder.eof:
        packed = decoder.unconsumed_tail or file.read(_PIECE)
        if not packed:
            msg = "Compressed data ended before the end-of-stream marker was reached"
            raise EOFError(msg)
        try:
            yield decoder.decompress(packed, _PIECE)
        except (zlib.error, ValueError, OSError):
            raise
        except Exception as error:  # ISA-L's own class
            raise zlib.error(str(error)) from error
    yield decoder.unused_data
    while piece := file.read(_PIECE):
        yield piece


def _skip_lines(file: Path, start: int, lines: int) -> int:
    if lines == 0:
        return start
    with file.open("rb") as stream:
        stream.seek(start)
        for _ in range(lines):
            stream.readline(_MAX_HEADER)
        return stream.tell()
