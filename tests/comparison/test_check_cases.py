from dataclasses import replace

import numpy as np
import pytest

from pipeline.comparison.check_cases import check_cases
from pipeline.comparison.join import join_sets
from pipeline.comparison.pool import Pool
from pipeline.comparison.source import read_source
from pipeline.data.errors import InputError

from .conftest import make_map


@pytest.fixture
def cases(fill):
    maps = {name: make_map() for name in "abc"}
    return join_sets(read_source(fill("ref", maps)), {"one": read_source(fill("one", maps, "_seg.nii.gz"))}).cases


def checked(cases):
    with Pool(1, progress=False) as pool:
        return check_cases(cases, pool)


def test_every_file_is_read_before_anything_is_measured(cases):
    result = checked([replace(cases[0], predictions={"one": None}), *cases[1:]])
    assert [one.reference.values for one in result] == [(0, 1, 2)] * 3
    assert result[0].predictions == {"one": None}
    assert [one.predictions["one"].path.name for one in result[1:]] == ["b_seg.nii.gz", "c_seg.nii.gz"]


def test_all_problems_are_in_one_message(cases, save):
    save("one/a_seg.nii.gz", make_map()[:-1])
    save("one/b_seg.nii.gz", make_map() * np.float32(0.5))
    (save("ref/c.nii.gz", make_map())).write_bytes(b"")
    with pytest.raises(InputError) as raised:
        checked(cases)
    message = str(raised.value).splitlines()
    assert "a_seg.nii.gz: found case a in another grid: 9 x 9 x 8 voxels" in message[0]
    assert message[1] == "and 2 more files with problems:"
    assert "b_seg.nii.gz: label values that are not whole numbers: 0.5" in message[2]
    assert "ref/c.nii.gz: an empty file" in message[3]


def test_slices_and_volumes_are_not_mixed(cases, save):
    save("ref/b.nii.gz", make_map()[:, :, 3])
    save("one/b_seg.nii.gz", make_map()[:, :, 3])
    with pytest.raises(InputError, match=r"ref/b.nii.gz: found case b in 2 dimensions; expected 3 dimensions, as in"):
        checked(cases)


def test_a_volume_against_a_slice_is_another_grid(cases, save):
    save("one/b_seg.nii.gz", make_map()[:, :, 3])
    with pytest.raises(InputError, match=r"found case b in another grid: 10 x 9 voxels.* the same number of axes"):
        checked(cases)
