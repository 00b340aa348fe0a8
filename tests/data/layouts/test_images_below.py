import pydicom
import pytest
from pydicom.data import get_testdata_file

from pipeline.data.layouts.images_below import images_below


def names(folder):
    return [path.as_posix() for path in images_below(folder)]


def make(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_are_listed_in_natural_order_without_what_is_hidden(tmp_path):
    make(tmp_path, "b/2.nii", "b/10.nii", "b/1.nii", "a.mha", "note.txt", ".git/x.nii", "b/._1.nii", "c/d/e.png")
    assert names(tmp_path) == ["a.mha", "b/1.nii", "b/2.nii", "b/10.nii", "c/d/e.png"]


def test_predictions_among_the_scans_are_left_out(tmp_path):
    make(tmp_path, "a/1.nii", "a/1_seg.nii.gz", "a/2_seg.nii.gz", "a/out/1_seg.nii.gz")
    for folder in ("a", "a/out"):
        make(tmp_path, f"{folder}/.predicted/1.json")
        (tmp_path / folder / ".predicted" / "1.json").write_text('{"written": ["1_seg.nii.gz"]}')
    assert names(tmp_path) == ["a/1.nii", "a/2_seg.nii.gz"]


def test_a_store_and_a_pair_are_one_image(tmp_path):
    make(tmp_path, "a.zarr/0/0.png", "b.hdr", "b.img")
    assert names(tmp_path) == ["a.zarr", "b.hdr"]


@pytest.mark.parametrize("name", ["{}.dcm", "1.2.840.{}", "IM{}"])
def test_a_folder_of_slices_is_one_image(tmp_path, name):
    make(tmp_path, "p1/seg.nii.gz", "p2/only.dcm", "docs/readme.txt")
    (tmp_path / "p1/ct").mkdir()
    scan = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    for number in (1, 2):
        scan.save_as(tmp_path / "p1/ct" / name.format(number))
    assert names(tmp_path) == ["p1/seg.nii.gz", "p1/ct", "p2/only.dcm"]


def test_links_are_followed_once(tmp_path):
    make(tmp_path / "elsewhere", "ct.nii")
    make(tmp_path / "data", "p2/ct.nii")
    (tmp_path / "data/p1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/p2/loop").symlink_to(tmp_path / "data")
    assert names(tmp_path / "data") == ["p1/ct.nii", "p2/ct.nii"]
