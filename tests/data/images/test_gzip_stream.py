"""A gzip file as a stream, against Python's own gzip."""

import gzip
import io
import zlib
from typing import Any

import numpy as np
import pytest

from pipeline.data.images.gzip_stream import GzipStream

CONTENT = np.random.default_rng(0).integers(0, 9, 3_000_000).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CONTENT),
        gzip.compress(CONTENT[:1_000_000]) + gzip.compress(b"") + gzip.compress(CONTENT[1_000_000:]),
        gzip.compress(CONTENT) + bytes(1000),
    ],
    ids=["one member", "three members", "padded"],
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
        (WHOLE + b"rubbish", gzip.BadGzipFile),
        (WHOLE + b"x", gzip.BadGzipFile),
    ],
)
def test_damage_anywhere_is_an_error(packed: bytes, error: Any) -> None:
    stream = GzipStream(io.BytesIO(packed))
    with pytest.raises(error):
        stream.check_rest()
