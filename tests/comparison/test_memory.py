"""A comparison takes no more memory than it may: a case that is too large is named before anything is read."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.comparison.join import JoinedCase
from pipeline.comparison.memory import choose_at_a_time, estimate_case
from pipeline.comparison.pool import Pool
from pipeline.data.errors import InputError

VOXELS = 10 * 9 * 8


@pytest.fixture
def make_case(save):
    def make(name, dtype=np.uint8):
        reference = save(f"ref/{name}.nii.gz", np.zeros((10, 9, 8), dtype))
        return JoinedCase(name, name, reference, None, {"one": save(f"one/{name}.nii.gz", np.zeros((10, 9, 8), dtype))})

    return make


@pytest.mark.parametrize(("dtype", "bytes_per_voxel"), [(np.uint8, 14), (np.float32, 14), (np.float64, 28)])
def test_a_case_is_estimated_from_its_headers(make_case, dtype, bytes_per_voxel):
    assert estimate_case(make_case("a", dtype)) == bytes_per_voxel * VOXELS


def test_probabilities_count(make_case, save):
    case = make_case("a")
    save("one/a_prob.nii.gz", np.zeros((10, 9, 8, 3), np.float32))
    assert estimate_case(case, probabilities=True) == (14 + 12 * 3) * VOXELS


def test_files_that_are_refused_before_they_are_read_count_nothing(make_case):
    case = make_case("a")
    case.reference.write_bytes(b"no image")
    assert estimate_case(JoinedCase("a", "a", case.reference, None, {"one": None})) == 0


def test_as_many_cases_are_in_memory_as_fit(make_case):
    cases = [make_case("a"), make_case("b", np.float64)]
    with Pool(1, progress=False) as pool:
        assert choose_at_a_time(cases, pool, memory=3 * 28 * VOXELS) == 3
        assert choose_at_a_time([], pool) >= 1
        with pytest.raises(InputError) as raised:
            choose_at_a_time(cases, pool, memory=28 * VOXELS - 1)
    assert raised.value.where == str(cases[1].reference)
    assert raised.value.found == "a case whose comparison takes about 20.2 KB of memory (b)"
    assert "lightskip compare --memory SIZE" in raised.value.remedy


def test_a_pool_keeps_to_fewer_items_at_a_time(tmp_path):
    with Pool(2, progress=False) as pool:
        pool.at_a_time = 1
        # In this process, one after the other.
        assert pool.map(Path.exists, [tmp_path, tmp_path / "x"], title="x") == [True, False]
        assert pool._executor is not None
        assert not getattr(pool._executor, "_processes", None)
