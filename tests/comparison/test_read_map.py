import hashlib

import numpy as np
import pytest

from pipeline.comparison.grids import Turn
from pipeline.comparison.read_map import MapFacts, hash_image, read_facts, read_labels
from pipeline.data.errors import InputError

from .conftest import AFFINE, make_map


def test_facts_are_those_of_the_file(save):
    path = save("a.nii.gz", make_map())
    facts = read_facts(path)
    assert facts.grid.shape == (10, 9, 8)
    np.testing.assert_allclose(facts.grid.affine, AFFINE)
    assert facts.values == (0, 1, 2)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_whole_numbers_of_any_type_are_labels(save, dtype):
    facts = read_facts(save("a.nii.gz", make_map().astype(dtype)))
    assert facts.values == (0, 1, 2)
    labels = read_labels(facts, {0: 0, 1: 1, 2: 2})
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, make_map())


def test_a_trailing_axis_of_one_channel_is_left_out(save):
    assert read_facts(save("a.nii.gz", make_map()[..., None])).grid.shape == (10, 9, 8)
    assert read_facts(save("b.nii.gz", make_map()[:, :, 3])).grid.shape == (10, 9)


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (make_map() * np.float32(0.5), "found label values that are not whole numbers: 0.5"),
        (np.where(make_map() == 2, np.nan, 1).astype(np.float32), "voxels NaN"),
        (np.stack([make_map()] * 2, axis=-1), r"found several channels, shape \(10, 9, 8, 2\)"),
    ],
)
def test_files_that_are_no_label_maps_are_refused(save, voxels, message):
    with pytest.raises(InputError, match=message):
        read_facts(save("a.nii.gz", voxels))


def test_a_truncated_file_is_refused(save):
    path = save("a.nii.gz", make_map())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="a truncated or corrupt file"):
        read_facts(path)


def test_values_become_those_of_the_comparison(save):
    voxels = make_map().astype(np.int32)
    voxels[voxels == 2] = 70_000
    voxels[0, 0, 0] = -1
    facts = read_facts(save("a.nii.gz", voxels))
    assert facts.values == (-1, 0, 1, 70_000)
    np.testing.assert_array_equal(
        read_labels(facts, {-1: 0, 0: 0, 1: 2, 70_000: 1}), np.array([0, 2, 1], np.uint8)[make_map()]
    )
    facts = read_facts(save("b.nii.gz", make_map()))
    np.testing.assert_array_equal(read_labels(facts, {0: 0, 1: 300, 2: 0}), np.where(make_map() == 1, 300, 0))


def test_voxels_are_turned_to_the_references_axes(save):
    facts = read_facts(save("a.nii.gz", make_map()))
    turned = MapFacts(facts.path, facts.grid, facts.values, facts.sha256, {}, Turn((2, 0, 1), (True, False, False)))
    expected = make_map().transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(read_labels(turned, {0: 0, 1: 1, 2: 2}), expected)


def test_the_checksum_of_a_folder_depends_on_names_and_bytes(tmp_path):
    hashes = set()
    for number, (name, content) in enumerate((("0", b"x"), ("1", b"x"), ("0", b"y"))):
        store = tmp_path / f"{number}.zarr"
        store.mkdir()
        (store / name).write_bytes(content)
        hashes |= {hash_image(store)}
    assert len(hashes) == 3
