"""Slices that are one volume, and the gaps between them."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pipeline.data.check_frames import missing_words
from pipeline.data.errors import InputError
from pipeline.data.images.door import read_volume

from .odd.dicom import some_stored, write_series


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ([0, 2, 4, 6], ""),
        ([0, 2, 6, 8], "; missing: 1 between 2 and 6 mm"),
        ([0, 2, 4, 10, 12, 16], "; missing: 2 between 4 and 10 mm, 1 between 12 and 16 mm"),
        ([0, 2, 5, 7], ""),
        ([0, 2, 2, 6], ""),
    ],
)
def test_gaps_are_named_where_slices_are_missing(heights: list[float], words: str) -> None:
    assert missing_words(np.array(heights, float), 2.0, tolerance=0.1) == words


def test_numbers_that_count_the_slices_are_no_volumes(tmp_path: Path) -> None:
    def change(dataset: pydicom.Dataset, number: int) -> None:
        dataset.AcquisitionNumber, dataset.EchoTime = number, 4.6 + number % 2

    assert read_volume(str(write_series(tmp_path / "mr", some_stored(), change=change))).voxels.shape == (18, 16, 14)


def test_a_table_of_values_is_refused(tmp_path: Path) -> None:
    def change(dataset: pydicom.Dataset, _: int) -> None:
        dataset.ModalityLUTSequence = [pydicom.Dataset()]

    with pytest.raises(InputError, match="a table translates") as raised:
        read_volume(str(write_series(tmp_path / "cr", some_stored(), change=change)))
    assert raised.value.kind == "voxel-type"
