"""Gzip files, read and written by ISA-L and by zlib, against Python's own gzip."""

import gzip
import io
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest

from pipeline.data.images import gzip_stream
from pipeline.data.images.gzip_stream import HAS_ISAL, GzipStream, open_gzip


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "isal" and not HAS_ISAL:
        pytest.skip("isal is not installed")
    monkeypatch.setattr(gzip_stream, "HAS_ISAL", request.param == "isal")
    return str(request.param)


def with_header_fields(content: bytes) -> bytes:
    """Pack with every optional field of a gzip header (RFC 1952): extra, name, comment, checksum of the header."""
    header = b"\x1f\x8b\x08" + bytes([2 | 4 | 8 | 16]) + bytes([1, 2, 3, 4, 0, 3])
    header += b"\x05\x00extra" + b"name.nii\0" + b"comment\0"
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    return header + gzip.compress(content)[10:]


CONTENT = np.random.default_rng(0).integers(0, 9, 3_000_000).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CONTENT),
        gzip.compress(CONTENT[:1_000_000]) + gzip.compress(b"") + gzip.compress(CONTENT[1_000_000:]),
        gzip.compress(CONTENT) + bytes(1000),
        gzip.compress(CONTENT) + bytes(300_000) + gzip.compress(b"")[:10] + gzip.compress(b"")[10:],
        with_header_fields(CONTENT[:1_500_000]) + with_header_fields(CONTENT[1_500_000:]),
        gzip.compress(CONTENT, compresslevel=0),
    ],
    ids=["one member", "three members", "padded", "padded between members", "named", "stored"],
)
def test_the_content_is_that_of_gzip(packed: bytes) -> None:
    assert gzip.decompress(packed) == CONTENT
    stream = GzipStream(io.BytesIO(packed))
    start = stream.read(10)
    rest = bytearray(len(CONTENT) - 10)
    assert stream.readinto(rest) == len(rest)
    assert start + bytes(rest) == CONTENT
    stream.check_rest()
    assert (stream.read(1), stream.tell()) == (b"", len(CONTENT))


def test_any_place_can_be_read() -> None:
    stream = GzipStream(io.BytesIO(gzip.compress(CONTENT)))
    for place in (2_999_990, 5, 1_500_000, 0):
        assert stream.seek(place) == place
        assert stream.read(7) == CONTENT[place : place + 7]
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0, io.SEEK_END)
    with pytest.raises(io.UnsupportedOperation):
        stream.write(b"a")


WHOLE = gzip.compress(CONTENT)


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        (WHOLE[:-1], EOFError),
        (WHOLE[:-8], EOFError),
        (WHOLE[: len(WHOLE) // 2], EOFError),
        (b"", EOFError),
        (WHOLE[:-6] + bytes([WHOLE[-6] ^ 1]) + WHOLE[-5:], zlib.error),
        (WHOLE[:-2] + bytes([WHOLE[-2] ^ 1]) + WHOLE[-1:], zlib.error),
        (WHOLE[:400_000] + bytes(64) + WHOLE[400_064:], zlib.error),
        (WHOLE + WHOLE[:-1], EOFError),
        (WHOLE + WHOLE[:-6] + bytes([WHOLE[-6] ^ 1]) + WHOLE[-5:], zlib.error),
        (b"\x1f\x8b\x07" + WHOLE[3:], zlib.error),
        (WHOLE + b"rubbish", gzip.BadGzipFile),
        (WHOLE + b"x", gzip.BadGzipFile),
    ],
)
def test_damage_anywhere_is_an_error(packed: bytes, error: Any) -> None:
    stream = GzipStream(io.BytesIO(packed))
    with pytest.raises(error):
        stream.check_rest()


@pytest.mark.slow
def test_a_stream_that_unpacks_to_much_more_is_read_in_pieces() -> None:
    packed = gzip.compress(bytes(200 << 20), compresslevel=1)
    stream = GzipStream(io.BytesIO(packed))
    tracemalloc.start()
    try:
        stream.check_rest()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.tell() == 200 << 20
    assert peak < 8 << 20


def test_what_is_written_has_the_content_and_no_name_or_time(library: str) -> None:
    packed = []
    for _ in range(2):
        raw = io.BytesIO()
        with open_gzip(raw) as stream:
            for start in range(0, len(CONTENT), 1_000_000):
                stream.write(memoryview(CONTENT)[start : start + 1_000_000])
        packed.append(raw.getvalue())
    assert packed[0] == packed[1]
    assert gzip.decompress(packed[0]) == CONTENT
    # RFC 1952: no flags, so no name, and no time.
    assert packed[0][:8] == b"\x1f\x8b\x08" + bytes(5)
    assert len(packed[0]) < 0.6 * len(CONTENT)
    if library == "zlib":
        assert packed[0][10:] == gzip.compress(CONTENT, compresslevel=1)[10:]
