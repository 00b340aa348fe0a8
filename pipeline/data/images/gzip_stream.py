"""Gzip-compressed files: read in large pieces and to the checksum at their end, and written without name or time.

ISA-L does both in less time than zlib where its Python package is installed. It decompresses to the same bytes, and
reports damage where zlib does. What it compresses has other bytes, and the same content.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

try:
    from isal import igzip, isal_zlib
except ImportError:  # a machine or a Python for which it has no wheel
    HAS_ISAL = False
    _ERROR: Any = zlib.error
else:
    HAS_ISAL = True
    _ERROR = isal_zlib.error

__all__ = ["HAS_ISAL", "GzipStream", "new_zlib_decoder", "open_gzip"]

_COMPRESSED_PIECE = 1 << 18  # bytes
_PIECE = 1 << 20
# The fastest levels, but for ISA-L's own, which takes as long for label maps and makes other files smaller.
_ISAL_LEVEL, _ZLIB_LEVEL = 2, 1
_GZIP = 16 + zlib.MAX_WBITS  # zlib's code for a gzip header at the start, and length and checksum at the end


@contextmanager
def open_gzip(raw: BinaryIO) -> Iterator[gzip.GzipFile]:
    """Open a fast gzip stream into an open file. It stores no name or time, so the same content gives the same file."""
    if HAS_ISAL:
        opened: gzip.GzipFile = igzip.GzipFile("", "wb", compresslevel=_ISAL_LEVEL, fileobj=raw, mtime=0)
    else:
        opened = gzip.GzipFile("", "wb", compresslevel=_ZLIB_LEVEL, fileobj=raw, mtime=0)
    with opened as stream:
        yield stream


class GzipStream(io.RawIOBase):
    """The decompressed content of a gzip file of one or more members.

    Python's own `gzip.GzipFile` reads 8 KB at a time and computes the checksum in a second pass.

    Args:
        raw: the file, open at its start; the caller closes it.
    """

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._restart()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: forward by reading, back by reading again from the start."""
        return True

    def write(self, _: object) -> int:
        """Refuse to write; the method exists because nibabel needs it to recognise a file."""
        msg = "not writable"
        raise io.UnsupportedOperation(msg)

    def tell(self) -> int:
        """Return the position in the decompressed content."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in the decompressed content, counted from its start.

        Raises:
            io.UnsupportedOperation: `whence` is not the start.
        """
        if whence != io.SEEK_SET:
            msg = "a compressed stream has no known end"
            raise io.UnsupportedOperation(msg)
        if offset < self._place:
            self._raw.seek(0)
            self._restart()
        while self._place < offset and self._next(offset - self._place):
            pass
        return self._place

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill a buffer, or as much as the content allows, and return the number of bytes.

        Raises:
            EOFError: the file ends in the middle of a member.
            zlib.error: the content is damaged, or its length or checksum is wrong.
            gzip.BadGzipFile: other bytes follow a member.
        """
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            piece = self._next(len(view) - filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def check_rest(self) -> int:
        """Read to the end, where length and checksum are compared, and return the number of bytes that were left.

        Errors are those of `readinto`.
        """
        count = 0
        while piece := self._next(_PIECE):
            count += len(piece)
        return count

    def _restart(self) -> None:
        self._place = 0
        self._left = b""
        self._decoder = _new_decoder()

    def _next(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit`; none at the end."""
        while True:
            if self._decoder.eof and not self._next_member():
                return b""
            if not self._left:
                self._left = self._raw.read(_COMPRESSED_PIECE)
                if not self._left:
                    msg = "Compressed file ended before the end-of-stream marker was reached"
                    raise EOFError(msg)
            piece = self._decompress(min(limit, _PIECE))
            self._left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            if piece:
                self._place += len(piece)
                return piece

    def _decompress(self, limit: int) -> bytes:
        piece: bytes
        if not HAS_ISAL:
            piece = self._decoder.decompress(self._left, limit)
            return piece
        try:
            piece = self._decoder.decompress(self._left, limit)
        except _ERROR as error:
            raise zlib.error(str(error)) from error
        return piece

    def _next_member(self) -> bool:
        """Start the next member; return False if there is none. Zeros may pad the file, as in Python's gzip."""
        rest = self._left.lstrip(b"\0")
        while not rest:
            rest = self._raw.read(_COMPRESSED_PIECE)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        if len(rest) == 1:
            rest += self._raw.read(1)
        if not rest.startswith(b"\x1f\x8b"):
            msg = f"Not a gzipped file ({rest[:2]!r})"
            raise gzip.BadGzipFile(msg)
        self._left = rest
        self._decoder = _new_decoder()
        return True


def new_zlib_decoder() -> Any:
    """Return a decoder of a zlib stream, which compares the checksum at its end."""
    return isal_zlib.decompressobj(zlib.MAX_WBITS) if HAS_ISAL else zlib.decompressobj(zlib.MAX_WBITS)


def _new_decoder() -> Any:
    return isal_zlib.decompressobj(_GZIP) if HAS_ISAL else zlib.decompressobj(_GZIP)
