"""The names of the files of one scan, and room for its probabilities."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.prediction.outputs import Outputs, Wanted, is_output_file, probability_buffer

EVERYTHING = Wanted(probabilities=True, uncertainty=True, statistics=True, preview=True)
SHAPE = (6, 5, 4)


def names(outputs: Outputs) -> list[str]:
    return [file.name for file in outputs.files]


def test_names_in_a_folder(tmp_path: Path) -> None:
    assert names(Outputs.of("a.b", tmp_path, Wanted())) == ["a.b_seg.nii.gz"]
    assert names(Outputs.of("a", tmp_path, Wanted(format="nrrd"))) == ["a.seg.nrrd"]
    assert names(Outputs.of("a", tmp_path, Wanted(format="dicom-seg"))) == ["a_seg.dcm"]
    assert names(Outputs.of("a", tmp_path, Wanted(format="rtstruct"))) == ["a_rtstruct.dcm"]
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
        ("x_rtstruct.dcm", "x_preview.png"),
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
