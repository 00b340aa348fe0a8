from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header
from pipeline.labelmaps.label_table import Label
from pipeline.labelmaps.nifti import check_grid, read_scan_grid, to_affine_3d, write_nifti

TABLE = [Label(1, "anterior & <left>", (255, 0, 51)), Label(7, "übrig\n\tx", (0, 128, 255))]
AFFINE = np.diag([1.0, 2, 3, 1])


def volume():
    return np.random.default_rng(0).integers(0, 8, (5, 4, 3))


def test_values_are_what_is_stored_for_every_reader(tmp_path):
    # NIfTI-1: a slope other than 0 is applied, and NaN is other than 0.
    scan = nib.Nifti1Image(np.zeros((5, 4, 3), np.int16), AFFINE)
    scan.header.set_slope_inter(2.5, -7)
    nib.save(scan, tmp_path / "scan.nii")
    for source in (None, read_header(tmp_path / "scan.nii")):
        write_nifti(volume(), tmp_path / "a.nii", dtype=np.uint8, scan=source, affine=AFFINE)
        assert np.frombuffer((tmp_path / "a.nii").read_bytes()[112:120], "<f4").tolist() == [1, 0]


@pytest.mark.parametrize("names", range(12))
def test_the_label_table_is_xml_to_its_last_byte(tmp_path, names):
    # Whatever the length: an extension's size is a multiple of 16, and XML ends where zeros would follow.
    table = [*TABLE, Label(9, "n" * names, (1, 2, 3))]
    write_nifti(volume(), tmp_path / "a.nii.gz", dtype=np.uint8, scan=None, affine=AFFINE, table=table)
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.header.extensions.get_codes() == [30]
    assert image.header.extensions.get_sizeondisk() % 16 == 0
    assert image.dataobj.offset == 352 + image.header.extensions.get_sizeondisk()
    raw = image.header.extensions[0].content
    rows = ElementTree.fromstring(raw).findall("./VolumeInformation[@Index='0']/LabelTable/Label")
    assert [(row.get("Key"), row.text or "") for row in rows] == [
        ("1", "anterior & <left>"),
        ("7", "übrig x"),
        ("9", "n" * names),
    ]
    colours = [[float(row.get(part)) * 255 for part in ("Red", "Green", "Blue", "Alpha")] for row in rows]
    np.testing.assert_allclose(colours, [[255, 0, 51, 255], [0, 128, 255, 255], [1, 2, 3, 255]], atol=1e-3)
    assert ElementTree.fromstring(raw).find("./VolumeInformation/VolumeType").text == "Label"


def test_the_bytes_on_disk_hold_no_zero_inside_the_extension(tmp_path):
    write_nifti(volume(), tmp_path / "a.nii", dtype=np.uint8, scan=None, affine=AFFINE, table=TABLE)
    content = (tmp_path / "a.nii").read_bytes()
    size, code = np.frombuffer(content[352:360], "<i4")
    assert (content[348], code) == (1, 30)
    ElementTree.fromstring(content[360 : 352 + size])
    assert content[352 + size :] == volume().astype(np.uint8).tobytes(order="F")


def test_names_change_neither_geometry_nor_voxels(tmp_path):
    for name, table in (("with.nii", TABLE), ("without.nii", [])):
        write_nifti(volume(), tmp_path / name, dtype=np.uint8, scan=None, affine=AFFINE, table=table)
    one, other = (sitk.ReadImage(str(tmp_path / name)) for name in ("with.nii", "without.nii"))
    assert (one.GetOrigin(), one.GetSpacing(), one.GetDirection()) == (
        other.GetOrigin(),
        other.GetSpacing(),
        other.GetDirection(),
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
    assert nib.load(tmp_path / "with.nii").header["intent_code"] == 1002
    assert nib.load(tmp_path / "without.nii").header["intent_code"] == 0


def test_a_big_endian_scan_has_a_big_endian_extension(tmp_path):
    image = nib.Nifti1Image(np.zeros((5, 4, 3), np.int16), AFFINE)
    nib.save(nib.Nifti1Image(image.dataobj, AFFINE, image.header.as_byteswapped(">")), tmp_path / "scan.nii")
    scan, shape, affine = read_scan_grid(tmp_path / "scan.nii")
    assert shape == (5, 4, 3)
    np.testing.assert_array_equal(affine, AFFINE)
    write_nifti(volume(), tmp_path / "a.nii", dtype=np.uint16, scan=scan, affine=affine, table=TABLE)
    saved = nib.load(tmp_path / "a.nii")
    assert saved.header.endianness == ">"
    assert b"LabelTable" in saved.header.extensions[0].content
    np.testing.assert_array_equal(np.asarray(saved.dataobj), volume())


def test_an_axis_too_long_for_nifti_1_gives_nifti_2(tmp_path):
    for size, kind in ((32767, nib.Nifti1Image), (32768, nib.Nifti2Image)):
        picture = np.arange(size * 2).reshape(size, 2) % 7
        write_nifti(picture, tmp_path / f"{size}.nii", dtype=np.uint8, scan=None, affine=AFFINE)
        saved = nib.load(tmp_path / f"{size}.nii")
        assert type(saved) is kind
        np.testing.assert_array_equal(np.asarray(saved.dataobj), picture)
        np.testing.assert_array_equal(saved.affine, AFFINE)


@pytest.mark.parametrize("name", ["scan.nrrd", "folder", "missing.hdr", None])
def test_what_is_no_nifti_tells_nothing(tmp_path, name):
    assert read_scan_grid(name and tmp_path / name) == (None, None, None)


def test_a_header_of_another_format_tells_nothing(tmp_path):
    (tmp_path / "scan.hdr").write_text("ENVI\nsamples = 3\n" * 40)
    (tmp_path / "scan.img").write_bytes(bytes(100))
    assert read_scan_grid(tmp_path / "scan.hdr") == (None, None, None)


def test_the_grid_is_compared_at_the_corners():
    turned = AFFINE.copy()
    turned[0, 1] = 0.001  # mm a voxel: after 99 of them 0.099 mm, a tenth of a voxel of 1 mm at 101
    check_grid((100, 100, 10), turned, (100, 100, 10), AFFINE, "scan")
    with pytest.raises(InputError, match=r"0\.101 mm"):
        check_grid((100, 102, 10), turned, (100, 102, 10), AFFINE, "scan")
    with pytest.raises(InputError, match="shape"):
        check_grid((100, 100), AFFINE, (100, 100, 10), AFFINE, "scan")
    check_grid((100, 100), AFFINE, (100, 100, 1), AFFINE, "scan")
    check_grid((100, 100), AFFINE, None, AFFINE, "scan")


def test_an_affine_of_a_picture_becomes_one_of_space():
    np.testing.assert_array_equal(
        to_affine_3d([[2, 0, 5], [0, 3, 6], [0, 0, 1]]), [[2, 0, 0, 5], [0, 3, 0, 6], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
