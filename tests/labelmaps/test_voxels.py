"""Checks and orders of voxels, against NumPy's own."""

import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.labelmaps.voxels import find_highest_label, split_blocks, to_file_order

SHAPES = [(7, 6), (7, 1), (1, 1, 1), (7, 6, 5), (3, 19, 4), (4, 17, 3, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", ">u2", "<f4"])
def test_a_block_has_the_bytes_of_a_file(shape, order, dtype):
    volume = np.asarray(np.random.default_rng(0).integers(0, 200, shape), order=order)
    for block in (volume, volume[::-1], volume[..., ::2]):
        found = to_file_order(block, np.dtype(dtype))
        assert found.shape == block.shape[::-1]
        assert found.flags.c_contiguous
        assert bytes(found.data) == block.astype(dtype).tobytes(order="F")


def test_blocks_together_are_the_volume(monkeypatch):
    monkeypatch.setattr("pipeline.labelmaps.voxels._BLOCK", 50)
    volume = np.random.default_rng(0).integers(0, 9, (7, 9, 5), dtype=np.uint8)
    content = b"".join(bytes(to_file_order(block, volume.dtype).data) for block in split_blocks(volume))
    assert content == volume.tobytes(order="F")


@pytest.mark.parametrize(
    ("labels", "highest"),
    [
        (np.array([[0, 3], [2, 1]], np.uint8), 3),
        (np.array([[0, 300], [2, 1]], np.int64), 300),
        (np.array([[0.0, 4.0], [2.0, 1.0]]), 4),
        (np.array([[False, True], [False, False]]), 1),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_highest_label_is_the_largest_value(labels, highest, order):
    assert find_highest_label(np.asarray(labels, order=order), "a.nii") == highest


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf])
def test_what_is_no_label_is_refused(value):
    with pytest.raises(InputError, match="integers from 0"):
        find_highest_label(np.array([[0.0, value]]), "a.nii")
