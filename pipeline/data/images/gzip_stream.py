"""A gzip-compressed file as a stream, read in large pieces and to the checksum at its end."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import BinaryIO

__all__ = ["GzipStream"]

_COMPRESSED_PIECE = 1 << 18  # bytes
_PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # zlib's code for a gzip header at the start, and length and checksum at the end


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

    def check_rest(self) -> None:
        """Read to the end, where length and checksum are compared; errors are those of `readinto`."""
        while self._next(_PIECE):
            pass

    def _restart(self) -> None:
        self._place = 0
        self._left = b""
        self._decoder = zlib.decompressobj(_GZIP)

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
            piece = self._decoder.decompress(self._left, min(limit, _PIECE))
            self._left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            if piece:
                self._place += len(piece)
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
        self._decoder = zlib.decompressobj(_GZIP)
        return True
