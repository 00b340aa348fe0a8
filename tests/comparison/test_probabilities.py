import hashlib

import numpy as np
import pytest

from pipeline.comparison.grids import Grid
from pipeline.comparison.probabilities import check_channels, find_probabilities, read_probabilities
from pipeline.data.errors import InputError

from .conftest import AFFINE

SHAPE = (4, 3, 2)


def found(path, affine=AFFINE, shape=SHAPE):
    return find_probabilities(path, Grid(shape, affine), case="c", reference_path="r")


def test_probabilities_are_next_to_the_label_map(save, tmp_path):
    values = np.random.default_rng(0).random((*SHAPE, 3), dtype=np.float32)
    path = save("a_prob.nii.gz", values)
    result = found(tmp_path / "a_seg.nii.gz")
    assert (result.path, result.channels, result.turn) == (path, 3, None)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(read_probabilities(result, 3), np.moveaxis(values, -1, 0))
    assert found(tmp_path / "b_seg.nii.gz") is None


def test_probabilities_are_turned_like_their_label_map(save, tmp_path):
    values = np.random.default_rng(0).random((*SHAPE, 2), dtype=np.float32)
    save("a_prob.nii.gz", values)
    flipped = AFFINE @ np.array([[-1, 0, 0, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    result = found(tmp_path / "a_seg.nii.gz", flipped)
    np.testing.assert_array_equal(read_probabilities(result, 3), np.moveaxis(values, -1, 0)[:, ::-1])


def test_those_of_a_slice_have_three_axes(save, tmp_path):
    values = np.random.default_rng(0).random((4, 3, 1, 2), dtype=np.float32)
    save("a_prob.nii.gz", values)
    result = found(tmp_path / "a.nii.gz", shape=(4, 3))
    assert read_probabilities(result, 2).shape == (2, 4, 3)


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 1), (5, 3, 2, 3)])
def test_other_files_are_refused(save, tmp_path, shape):
    save("a_prob.nii.gz", np.zeros(shape, np.float32))
    with pytest.raises(InputError, match=r"a_prob.nii.gz: found"):
        found(tmp_path / "a_seg.nii.gz")


def test_a_label_without_a_channel_is_refused(save, tmp_path):
    save("a_prob.nii.gz", np.zeros((*SHAPE, 2), np.float32))
    result = found(tmp_path / "a_seg.nii.gz")
    check_channels(result, {0: 0, 5: 1})
    with pytest.raises(InputError, match="found 2 channels; expected one for every label, up to the value 2"):
        check_channels(result, {0: 0, 1: 1, 2: 2})
