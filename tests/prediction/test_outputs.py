"""The files of one scan: their names, and that they are there together or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.labelmaps.label_table import make_label_table
from pipeline.prediction import outputs as module
from pipeline.prediction.outputs import Outputs, Wanted, is_output_file, probability_buffer, write_outputs
from pipeline.prediction.prediction import Prediction

EVERYTHING = Wanted(probabilities=True, uncertainty=True, statistics=True, preview=True)
SHAPE = (6, 5, 4)


def names(outputs: Outputs) -> list[str]:
    return [file.name for file in outputs.files]


def test_names_in_a_folder(tmp_path: Path) -> None:
    assert names(Outputs.of("a.b", tmp_path, Wanted())) == ["a.b_seg.nii.gz"]
    assert names(Outputs.of("a", tmp_path, Wanted(format="nrrd"))) == ["a.seg.nrrd"]
    assert names(Outputs.of("a", tmp_path, Wanted(format="dicom-seg"))) == ["a_seg.dcm"]
    assert names(Outputs.of("a", tmp_path, EVERYTHING)) == [
        "a_prob.nii.gz",
        "a_entropy.nii.gz",
        "a_statistics.json",
        "a_preview.png",
        "a_seg.nii.gz",
    ]


@pytest.mark.parametrize(
    ("given", "beside"),
    [
        ("x.nii.gz", "x_preview.png"),
        ("x.NII", "x_preview.png"),
        ("x_seg.nii.gz", "x_preview.png"),
        ("x.seg.nrrd", "x_preview.png"),
        ("x.v2.dcm", "x.v2_preview.png"),
    ],
)
def test_names_beside_a_file(given: str, beside: str, tmp_path: Path) -> None:
    assert names(Outputs.at(tmp_path / given, Wanted(preview=True))) == [beside, given]


@pytest.mark.parametrize(
    ("name", "single"),
    [
        ("x.nii.gz", True),
        ("x.NII", True),
        ("x.seg.nrrd", True),
        ("x.dcm", True),
        ("x.mha", True),
        ("out", False),
        ("out.d", False),
        ("v1.2", False),
    ],
)
def test_a_file_is_told_from_a_folder_by_its_name(name: str, single: bool, tmp_path: Path) -> None:
    assert is_output_file(tmp_path / name) == single
    (tmp_path / name).mkdir()
    assert not is_output_file(tmp_path / name)


def test_room_for_probabilities_is_on_the_disk_and_given_back(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a_prob.nii.gz"
    with probability_buffer(target, SHAPE, 3) as room:
        assert room is not None
        assert (room.shape, room.dtype) == ((*SHAPE, 3), np.float32)
        assert not room.any()
        room[-1, -1, -1, -1] = 7
        (file,) = target.parent.iterdir()
        # All of it is there: a disk that is full later on would end the process.
        assert file.stat().st_blocks * 512 >= room.nbytes
    assert list(target.parent.iterdir()) == []
    with probability_buffer(None, SHAPE, 3) as nothing:
        assert nothing is None


def test_room_is_given_back_after_an_interrupt(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), probability_buffer(tmp_path / "a_prob.nii.gz", SHAPE, 3):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_the_probabilities_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    target = tmp_path / "a_prob.nii.gz"
    with pytest.raises(OSError, match="No space") as raised, probability_buffer(target, SHAPE, 3):
        pytest.fail("there is no room")
    assert raised.value.filename == str(target)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def prediction() -> Prediction:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 1:4, 1:3] = 1
    table = make_label_table({"background": 0, "core": 1})
    probabilities = np.stack([labels == 0, labels == 1], axis=-1).astype(np.float32)
    return Prediction(labels, np.eye(4), table, probabilities, np.zeros(SHAPE, np.float32), 0.0)


def write(prediction: Prediction, outputs: Outputs) -> None:
    voxels = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(1, *SHAPE)
    write_outputs(prediction, outputs, name="a", read=lambda: voxels)


def test_everything_is_written(prediction: Prediction, tmp_path: Path) -> None:
    outputs = Outputs.of("a", tmp_path, EVERYTHING)
    write(prediction, outputs)
    assert sorted(tmp_path.iterdir()) == sorted(outputs.files)
    np.testing.assert_array_equal(nib.load(outputs.label_map).get_fdata(), prediction.labels)
    assert nib.load(outputs.files[0]).shape == (*SHAPE, 2)


def test_the_scan_is_read_again_only_where_it_is_needed(prediction: Prediction, tmp_path: Path) -> None:
    def read() -> Any:
        pytest.fail("the scan is not needed")

    outputs = Outputs.of("a", tmp_path, Wanted(probabilities=True, uncertainty=True))
    write_outputs(prediction, outputs, name="a", read=read)
    assert outputs.label_map.exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError("bug")])
def test_of_a_scan_that_fails_nothing_is_left(
    error: BaseException, prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module, "save_label_map", fail)
    with pytest.raises(type(error)):
        write(prediction, Outputs.of("a", tmp_path, EVERYTHING))
    assert list(tmp_path.iterdir()) == []


def test_files_of_before_stay_where_a_scan_fails(
    prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs.of("a", tmp_path, Wanted(statistics=True, preview=True))
    outputs.label_map.write_bytes(b"of before")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "draw_preview", fail)
    with pytest.raises(OSError, match="Input"):
        write(prediction, outputs)
    assert [file.name for file in tmp_path.iterdir()] == ["a_seg.nii.gz"]
    assert outputs.label_map.read_bytes() == b"of before"
