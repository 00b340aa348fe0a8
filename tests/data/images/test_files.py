import os

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImage

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header
from pipeline.data.images.files import image_files, natural_order, parts_of

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_natural_order_sorts_numbers_by_their_size():
    names = ["s10", "s9", "s1", "a", "s1b", "10", "9"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "s1", "s1b", "s9", "s10"]


def test_image_files_leaves_out_hidden_files_other_files_and_the_half_of_a_pair(tmp_path):
    for name in ("b10.nii.gz", "b9.NII.GZ", "._b9.nii.gz", ".x.nii", "p.hdr", "p.img", "q.img", "r.raw", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["b9.NII.GZ", "b10.nii.gz", "p.hdr", "q.img"]
    assert image_files(tmp_path / "nowhere") == []


@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_monai_reads_a_pair_by_either_of_its_names(tmp_path, ending):
    nibabel.save(nibabel.Nifti1Pair(VOXELS, np.diag([2.0, 3.0, 4.0, 1.0])), tmp_path / "pair.hdr")
    image = LoadImage(image_only=True)(str(tmp_path / f"pair{ending}"))
    np.testing.assert_array_equal(image.numpy(), VOXELS)
    assert {path.name for path in parts_of(tmp_path / f"pair{ending}")} == {"pair.hdr", "pair.img"}


@pytest.mark.parametrize(
    ("name", "others"), [("a.mhd", ["a.raw"]), ("a.nhdr", ["a.raw"]), ("a.mha", []), ("a.nrrd", [])]
)
def test_parts_of_what_itk_writes_are_all_its_files(tmp_path, name, others):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / name))
    assert sorted(parts_of(tmp_path / name)) == sorted(tmp_path.iterdir())
    assert [path.name for path in parts_of(tmp_path / name)] == [name, *others]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.mhd", "NDims = 3\nElementDataFile = LIST\ns1.raw\ns2.raw\n", ["s1.raw", "s2.raw"]),
        ("a.mhd", "ElementDataFile = s%02d.raw 1 5 2\n", ["s01.raw", "s03.raw", "s05.raw"]),
        ("a.nhdr", "NRRD0004\r\ndata file: sub/x.raw.gz\r\n", ["sub/x.raw.gz"]),
        ("a.nhdr", "NRRD0004\ntype: short\n", []),
    ],
)
def test_parts_of_a_header_are_the_files_that_it_names(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert parts_of(tmp_path / name) == [tmp_path / part for part in [name, *expected]]


def test_parts_of_a_series_are_its_files_without_folders_and_hidden_ones(tmp_path):
    for name in ("IM10", "IM9", ".DS_Store", "DICOMDIR"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    assert [path.name for path in parts_of(tmp_path)] == ["IM9", "IM10"]
    with pytest.raises(InputError, match="a folder without files"):
        parts_of(tmp_path / "sub")


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("s%s.raw 1 5", "without a place for a number"),
        ("s%999999d.raw 1 5", "without a place for a number"),
        ("s%03d.raw 1 99999999", "a pattern for 99,999,999 data files"),
        ("s%03d.raw 1 2 0", "a step of 0"),
        ("s%03d.raw 1 2 0000000000", "without whole numbers after it"),
        ("LIST\ny\n\ny", "an empty line in its list"),
        ("LIST" + "\ny" * 100_001, "a list of 100,001 data files"),
        ("y" * 300, "a header without its voxels"),
        (" ", "no image"),
        ("pipe", "no file: pipe"),
    ],
)
def test_names_of_data_files_are_checked_before_a_library_opens_them(tmp_path, named, found):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.nhdr").write_text(
        f"NRRD0004\ntype: short\ndimension: 1\nsizes: 4\nencoding: raw\ndata file: {named}\n"
    )
    with pytest.raises(InputError, match=found):
        read_header(tmp_path / "a.nhdr")


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("s%d.raw", "without whole numbers after it"),
        ("50%", "without whole numbers after it"),
        ("s%d.raw 1 2 x", "without whole numbers after it"),
        ("s%d.raw 1 2 -1", "without whole numbers after it"),
        ("s%d.raw 1 2 0", "a step of 0"),
        ("LIST\ny\n \ny", "an empty line in its list"),
    ],
)
def test_a_metaimage_with_a_percent_sign_has_a_whole_pattern(tmp_path, named, found):
    # Files of these names exist; the header lacks all that would make it an image.
    for name in (named.split("\n", maxsplit=1)[0], "y"):
        (tmp_path / name).touch()
    (tmp_path / "a.mhd").write_text(f"ElementDataFile = {named}\n")
    with pytest.raises(InputError, match=found):
        parts_of(tmp_path / "a.mhd")
