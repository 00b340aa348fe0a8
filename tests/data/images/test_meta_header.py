"""The header of a MetaImage against what SimpleITK, which reads no unit, says about the same file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.images.meta_header import (
    MetaHeader,
    check_meta_axes,
    find_meta_notes,
    find_meta_unit,
    read_meta_header,
)


def write(folder: Path, *lines: str) -> Path:
    """Write an image with SimpleITK, and add lines to its header."""
    file = folder / "scan.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(4, 3, 2)), str(file))
    content = file.read_bytes()
    file.write_bytes(content.replace(b"DimSize", "".join(f"{line}\n" for line in lines).encode() + b"DimSize", 1))
    return file


@pytest.mark.parametrize(
    ("unit", "name"),
    [("mm", "mm"), ("?", "mm"), ("um", "micrometres"), ("cm", "centimetres"), ("parsec", "the unit parsec")],
)
def test_the_unit_is_the_one_that_the_header_states(tmp_path: Path, unit: str, name: str) -> None:
    file = write(tmp_path, f"DistanceUnits = {unit}")
    header = read_meta_header(file)
    assert find_meta_unit(header) == name
    assert header.fields["DimSize"] == "2 3 4"
    assert len(file.read_bytes()) - header.end == 2 * 24
    assert sitk.ReadImage(str(file)).GetSpacing() == (1, 1, 1)


def test_an_image_of_simpleitk_has_no_notes(tmp_path: Path) -> None:
    assert find_meta_notes("scan.mha", read_meta_header(write(tmp_path))) == []
    assert find_meta_notes("scan.nrrd", MetaHeader()) == []


def test_a_scaling_that_itk_ignores_is_noted(tmp_path: Path) -> None:
    file = write(tmp_path, "ElementToIntensityFunctionSlope = 2", "ElementToIntensityFunctionOffset = x")
    (note,) = find_meta_notes(str(file), read_meta_header(file))
    assert note.kind == "scaling-ignored"
    assert "Slope 2 and" in note.found
    assert "Offset nan" in note.found
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(file))).ravel(), np.arange(24))


def test_another_file_has_no_header(tmp_path: Path) -> None:
    (tmp_path / "scan.mha").write_bytes(b"no header")
    assert read_meta_header(tmp_path / "scan.mha") == MetaHeader()


@pytest.mark.parametrize("axes", ["11", "1e9", "-3", "", "3.0", "99999999999999999999"])
def test_more_axes_than_metaio_has_room_for_are_refused(tmp_path: Path, axes: str) -> None:
    file = tmp_path / "a.mha"
    # Without the sizes that would follow: the check must not need them, nor ITK see them.
    file.write_bytes(f"ObjectType = Image\nNDims = {axes}\nElementDataFile = LOCAL\n".encode())
    with pytest.raises(InputError, match="found a header with NDims"):
        check_meta_axes(file)


def test_axes_that_metaio_reads_are_not_refused(tmp_path: Path) -> None:
    check_meta_axes(write(tmp_path))
