"""Voxels in C order, against NumPy's own copy."""

import io

import numpy as np
import pytest

from pipeline.data.images import c_order
from pipeline.data.images.c_order import read_in_c_order, to_c_order


class Slow(io.BytesIO):
    """A stream that returns fewer bytes than it is asked for."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:11])


@pytest.mark.parametrize("shape", [(7, 6, 5), (1, 1, 1), (3, 4, 70), (70, 1, 33)])
@pytest.mark.parametrize("stored", ["<i2", ">i2", "u1", ">f4"])
def test_the_voxels_are_those_of_the_file(shape, stored):
    voxels = np.random.default_rng(0).integers(0, 250, shape).astype(stored)
    stream = Slow(b"header" + voxels.tobytes(order="F"))
    stream.seek(6)
    found = read_in_c_order(stream, shape, np.dtype(stored), np.dtype(np.float32))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_array_equal(found, voxels)


def test_large_planes_are_read_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(c_order, "_BUFFER", 100)
    voxels = np.random.default_rng(0).integers(-99, 99, (9, 8, 21), dtype=np.int16)
    found = read_in_c_order(io.BytesIO(voxels.tobytes(order="F")), (9, 8, 21), voxels.dtype, np.dtype(np.float32))
    np.testing.assert_array_equal(found, voxels)


@pytest.mark.parametrize("missing", [1, 2, 500])
def test_a_file_that_ends_too_early_is_an_error(missing):
    content = bytes(2 * 7 * 6 * 50)
    with pytest.raises(EOFError, match=f"Expected 4200 bytes, got {4200 - missing} bytes"):
        read_in_c_order(io.BytesIO(content[:-missing]), (7, 6, 50), np.dtype(np.int16), np.dtype(np.float32))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 5), (7, 6, 5, 2)])
def test_an_array_keeps_its_values_and_type(order, shape):
    array = np.asarray(np.random.default_rng(0).integers(0, 99, shape, dtype=np.int16), order=order)
    found = to_c_order(array)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.c_contiguous or len(shape) != 3
