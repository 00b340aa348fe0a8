"""A check takes no more memory than it may: cases wait for each other, and one that is too large is named."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.check import check_scans
from pipeline.data.check_dataset import check_dataset
from pipeline.data.check_memory import MemoryGate, estimate_case
from pipeline.data.dataset import Case
from pipeline.data.errors import InputError
from pipeline.data.images.nifti import read_scaled

SHAPE = (20, 10, 5)
VOXELS = 1000


def save(path, dtype, slope=None):
    image = nib.Nifti1Image(np.arange(VOXELS).reshape(SHAPE).astype(dtype) % 90, np.eye(4), dtype=np.dtype(dtype))
    if slope is not None:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)


def case(*images, label=None):
    return Case("a", "training", images, label, None, None)


@pytest.mark.parametrize(
    ("dtype", "slope", "bytes_per_voxel"),
    [(np.int16, None, 2), (np.float32, None, 4), (np.int16, (2.0, 1.0), 2 + 8), (np.uint8, (1.0, 5.0), 1 + 8)],
)
def test_a_case_is_estimated_from_its_headers(tmp_path, dtype, slope, bytes_per_voxel):
    save(tmp_path / "a.nii", dtype, slope)
    save(tmp_path / "l.nii", np.uint8)
    # As read, and 9 bytes for what is measured; only one image is in memory at a time.
    assert estimate_case(case("a.nii", "a.nii"), tmp_path) == (bytes_per_voxel + 9) * VOXELS
    assert estimate_case(case("a.nii", label="l.nii"), tmp_path) == (bytes_per_voxel + 1 + 9) * VOXELS
    assert estimate_case(case("a.nii"), tmp_path, measure=False) == (bytes_per_voxel + 1) * VOXELS


def test_files_that_are_refused_before_they_are_read_count_nothing(tmp_path):
    (tmp_path / "b.nii").write_bytes(b"no image")
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 11000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    (tmp_path / "c.nii").write_bytes(header.binaryblock + bytes(100))
    for name in ("b.nii", "c.nii", "missing.nii"):
        assert estimate_case(case(name), tmp_path) == 0


def test_cases_together_never_take_more_than_the_limit():
    gate, taken, most, lock = MemoryGate(100), [0], [0], threading.Lock()

    def work(needed):
        with gate.enter(needed, "a"):
            with lock:
                taken[0] += needed
                most[0] = max(most[0], taken[0])
            with lock:
                taken[0] -= needed

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, random.Random(0).choices(range(101), k=400)))
    assert most[0] <= 100
    assert taken[0] == 0


def test_a_case_that_alone_is_too_large_is_refused_with_both_sizes():
    with (
        pytest.raises(InputError, match=r"a\.nii: found a case whose check takes about 3 GB .* at most 2 GB"),
        MemoryGate(2 * 10**9).enter(3 * 10**9, "a.nii"),
    ):
        pass


def test_a_check_with_little_memory_names_the_case_and_a_later_one_reads_it(tmp_path):
    save(tmp_path / "a.nii", np.int16)
    save(tmp_path / "l.nii", np.uint8)
    listed = {
        "folder": str(tmp_path),
        "labels": {"background": 0, **{f"l{n}": n for n in range(1, 90)}},
        "training": [{"image": "a.nii", "label": "l.nii", "fold": 0}],
    }
    (tmp_path / "d.json").write_text(json.dumps(listed))
    kinds = [
        check_dataset(tmp_path / "d.json", tmp_path / "out", memory=memory, progress=False)["summary"]["kinds"]
        for memory in (5000, None)
    ]
    assert ["check-failed" in kind for kind in kinds] == [True, False]


def test_the_check_before_a_prediction_has_the_same_bound(tmp_path, monkeypatch):
    save(tmp_path / "a.nii", np.int16)
    check_scans([{"image": str(tmp_path / "a.nii")}], progress=False)
    monkeypatch.setattr("pipeline.data.check_memory.free_bytes", lambda: 1000)
    with pytest.raises(InputError, match="--memory"):
        check_scans([{"image": str(tmp_path / "a.nii")}], progress=False)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("slope", [(1.0, 0.0), (1.0, -3.0), (0.5, 7.0), (1e-30, 1e30)])
@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(20, 50), SHAPE, (5, 4, 10, 5)])
def test_values_are_scaled_as_by_nibabel(tmp_path, shape, dtype, slope, order):
    kind = np.dtype(dtype).newbyteorder(order)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(kind)
    image = nib.Nifti1Image(np.arange(VOXELS).reshape(shape).astype(kind) % 90, np.eye(4), header)
    image.header.set_slope_inter(*slope)
    nib.save(image, tmp_path / "a.nii")
    expected = np.asanyarray(nib.load(tmp_path / "a.nii").dataobj)
    found = read_scaled(nib.load(tmp_path / "a.nii").dataobj)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
