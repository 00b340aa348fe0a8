import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_volume
from pipeline.data.images.endings import is_nifti, scan_name
from pipeline.data.images.file_start import is_lfs_pointer

AFFINE = np.array([[0, -1.5, 0, 10], [2, 0, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def a_volume(shape=(7, 6, 5), dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.NII.GZ"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_reads_what_nibabel_wrote(tmp_path, kind, name, dtype):
    path = str(tmp_path / name)
    kind(a_volume(dtype=dtype), AFFINE).to_filename(path)
    volume = read_volume(path)
    voxels, affine = volume.voxels, volume.affine
    np.testing.assert_array_equal(voxels, a_volume(dtype=dtype))
    np.testing.assert_allclose(affine, AFFINE)


def test_applies_the_scaling_of_the_header(tmp_path):
    image = nibabel.Nifti1Image(a_volume(dtype=np.int16), AFFINE)
    image.header.set_slope_inter(0.5, -10)
    image.to_filename(tmp_path / "a.nii.gz")
    voxels = read_volume(str(tmp_path / "a.nii.gz")).voxels
    np.testing.assert_allclose(voxels, a_volume() * 0.5 - 10)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "<u2", ">f4", "<f8", "<i4"])
@pytest.mark.parametrize("shape", [(7, 6, 5), (7, 6), (7, 6, 5, 2)])
def test_voxels_as_float_are_the_same_values(tmp_path, name, dtype, shape):
    header = nibabel.Nifti1Header(endianness=dtype[0] if dtype[0] in "<>" else "<")
    header.set_data_dtype(np.dtype(dtype))
    image = nibabel.Nifti1Image((a_volume(shape, np.float64) - 20 * (dtype[-2] != "u")).astype(dtype), AFFINE, header)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"moves the voxels"))
    image.to_filename(tmp_path / name)
    plain, found = (read_volume(str(tmp_path / name), as_float=wanted) for wanted in (False, True))
    np.testing.assert_array_equal(found.voxels, plain.voxels)
    assert found.stored == plain.stored
    exact = dtype not in ("<f8", "<i4") and len(shape) == 3
    assert (found.voxels.dtype == np.float32 and found.voxels.flags.c_contiguous) == exact


def test_scaled_voxels_as_float_are_the_same_values(tmp_path):
    image = nibabel.Nifti1Image(a_volume(dtype=np.int16), AFFINE)
    image.header.set_slope_inter(0.1, -10)
    image.to_filename(tmp_path / "a.nii.gz")
    plain, found = (read_volume(str(tmp_path / "a.nii.gz"), as_float=wanted).voxels for wanted in (False, True))
    assert found.dtype == plain.dtype == np.float64
    np.testing.assert_array_equal(found, plain)


def test_reads_other_formats_through_monai(tmp_path):
    image = sitk.GetImageFromArray(a_volume().transpose(2, 1, 0))
    image.SetSpacing((2.0, 3.0, 4.0))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    volume = read_volume(str(tmp_path / "a.nrrd"))
    voxels, affine = volume.voxels, volume.affine
    np.testing.assert_array_equal(voxels, a_volume())
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), (2, 3, 4))


def test_reads_pictures(tmp_path):
    Image.fromarray(a_volume((12, 9), np.uint8)).save(tmp_path / "a.png")
    assert read_volume(str(tmp_path / "a.png")).voxels.shape == (9, 12)


def damaged(data, how):
    """The bytes of a .nii.gz file, made worse."""
    whole = gzip.decompress(data)
    return {
        "text inside": gzip.compress(b"no image " * 100),
        "empty inside": gzip.compress(b""),
        "header alone": gzip.compress(whole[:352]),
        "last voxel missing": gzip.compress(whole[:-4]),
        "half of the stream": data[: len(data) // 2],
        "trailer missing": data[:-8],
        "length missing": data[:-4],
        "checksum": data[:-8] + bytes([data[-8] ^ 1]) + data[-7:],
        "a byte of the stream": data[:200] + bytes([data[200] ^ 255]) + data[201:],
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "text inside",
        "empty inside",
        "header alone",
        "last voxel missing",
        "half of the stream",
        "trailer missing",
        "length missing",
        "checksum",
        "a byte of the stream",
    ],
)
@pytest.mark.parametrize("as_float", [False, True])
def test_notices_damage_anywhere_in_a_compressed_file(tmp_path, how, as_float):
    path = tmp_path / "scan.nii.gz"
    nibabel.Nifti1Image(np.random.default_rng(0).random((9, 8, 7), np.float32), np.eye(4)).to_filename(path)
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(InputError, match="truncated or corrupt") as raised:
        read_volume(str(path), as_float=as_float)
    assert raised.value.kind == ("not-an-image" if how in ("text inside", "empty inside") else "truncated")
    assert raised.value.where == str(path)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("kept", [-4, 400, 352, 348, 100])
def test_notices_a_truncated_uncompressed_file(tmp_path, kept, as_float):
    path = tmp_path / "scan.nii"
    nibabel.Nifti1Image(a_volume(), np.eye(4)).to_filename(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="truncated or corrupt"):
        read_volume(str(path), as_float=as_float)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nii.gz", b"", r"empty file \(0 bytes\)"),
        ("a.png", b"", r"empty file \(0 bytes\)"),
        ("a.nii", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("a.nii.gz", b"plain" * 200, "not gzip-compressed"),
        ("a.nii", gzip.compress(b"any" * 200, mtime=0), "gzip-compressed file named .nii"),
        ("a.nii", b"plain" * 200, "no NIfTI header"),
        ("a.png", b"plain" * 200, "no image"),
        ("a.nrrd", b"plain" * 200, "no image"),
        ("a.mha", b"plain" * 200, "no image"),
        ("a.dcm", b"plain" * 200, "no readable DICOM file"),
    ],
)
def test_names_what_is_no_image(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_volume(str(tmp_path / name))
    assert raised.value.where == str(tmp_path / name)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (np.complex64, "complex voxels"),
        (np.complex128, "complex voxels"),
        (np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), "RGB voxels"),
    ],
)
def test_refuses_voxels_that_are_no_real_numbers(tmp_path, dtype, message):
    nibabel.Nifti1Image(np.zeros((4, 4, 4), dtype), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=message):
        read_volume(str(tmp_path / "a.nii.gz"))


def save_with_header(path, **fields):
    """Write a file whose header has these fields. nibabel would put them right if it wrote the file."""
    content = nibabel.Nifti1Image(a_volume(), np.eye(4)).to_bytes()
    header = nibabel.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + content[348:])
    return str(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pixdim": (1, 1, 0, 1, 0, 0, 0, 0)}, "spacing of 1 x 0 x 1 mm"),
        ({"pixdim": (1, 1, 1, np.nan, 0, 0, 0, 0)}, "spacing of 1 x 1 x nan mm"),
        ({"pixdim": (1, np.inf, 1, 1, 0, 0, 0, 0)}, "spacing of inf x 1 x 1 mm"),
        ({f"srow_{axis}": (0, 0, 0, 0) for axis in "xyz"}, "an sform that is zero, .* and no sound qform"),
        ({"srow_z": (0, 0, 0, 0)}, "an sform that is not finite or maps the volume to a plane"),
        ({"srow_y": (0, np.nan, 0, 0)}, "an sform that is not finite or maps the volume to a plane"),
        ({"srow_z": (0, 0, 1, np.nan)}, "not finite or maps the volume to a plane"),
        ({"srow_y": (0, 1, 1, 0), "srow_z": (0, 0, 0, 0)}, "maps the volume to a plane"),
    ],
)
def test_refuses_an_unusable_geometry(tmp_path, fields, message):
    path = save_with_header(tmp_path / "a.nii", sform_code=1, **fields)
    with pytest.raises(InputError, match=message) as raised:
        read_volume(path)
    assert raised.value.where == path


def test_an_affine_of_the_header_that_is_not_in_use_does_not_matter(tmp_path):
    path = save_with_header(tmp_path / "a.nii", sform_code=0, qform_code=1, srow_z=(0, 0, 0, 0))
    np.testing.assert_array_equal(read_volume(path).affine, np.eye(4))


@pytest.mark.parametrize("seconds", [0, 8], ids=["no time", "seconds"])
@pytest.mark.parametrize(
    ("unit", "found"),
    [(0, None), (1, "a spacing in metres (1 x 1 x 1)"), (2, None), (3, "a spacing in micrometres (1 x 1 x 1)")],
)
def test_takes_mm_alone(tmp_path, unit, seconds, found):
    path = save_with_header(tmp_path / "a.nii", xyzt_units=unit + seconds)
    if found is None:
        read_volume(path)
    else:
        with pytest.raises(InputError) as raised:
            read_volume(path)
        assert (raised.value.found, raised.value.expected) == (found, "mm")


@pytest.mark.parametrize(
    ("spacing", "shape", "allowed"),
    [
        ((0.01, 0.01, 100), (4, 5, 6), True),  # neither number is exact in float32
        ((0.0099, 1, 1), (4, 5, 6), False),
        ((1, 100.1, 1), (4, 5, 6), False),
        ((0.001, 0.001, 0.003), (4, 5, 6), False),  # metres
        ((1, 1, 3000), (4, 5, 6), False),  # micrometres along one axis
        ((1, 1, 3000), (4, 5, 1), True),  # one slice: how thick is no matter
        ((0.5, 0.5, 0.001), (4, 5, 1), True),
        ((0.5, 0.001), (4, 5), False),
        ((1, 1, 1, 3000), (4, 5, 6, 2), True),  # the fourth axis is not in space
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_refuses_a_spacing_that_no_scan_has(tmp_path, spacing, shape, allowed, turned):
    angle = 0.3 if turned else 0
    rotation = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([*spacing, 1][:3])
    image = nibabel.Nifti1Image(a_volume(shape), affine)
    image.header.set_zooms(spacing)
    image.to_filename(tmp_path / "a.nii")
    if allowed:
        read_volume(str(tmp_path / "a.nii"))
    else:
        with pytest.raises(InputError, match=r"expected a spacing of 0\.01 to 100 mm") as raised:
            read_volume(str(tmp_path / "a.nii"))
        assert f"a spacing of {' x '.join(f'{size:g}' for size in spacing)}" in raised.value.found


@pytest.mark.parametrize(
    "fields",
    [
        {"pixdim": (1, 0.001, 1, 1, 0, 0, 0, 0)},  # which MONAI may prefer to the affine of the sform
        {"srow_x": (0.001, 0, 0, 0)},
    ],
)
def test_refuses_an_absurd_spacing_in_either_of_the_headers_places(tmp_path, fields):
    path = save_with_header(tmp_path / "a.nii", sform_code=1, **fields)
    with pytest.raises(InputError, match=r"spacing of 0\.001 x 1 x 1 mm"):
        read_volume(path)


def test_a_negative_spacing_in_the_header_is_a_length(tmp_path):
    path = save_with_header(tmp_path / "a.nii", sform_code=1, pixdim=(1, -1, 1, 1, 0, 0, 0, 0))
    np.testing.assert_array_equal(read_volume(path).affine, np.eye(4))


@pytest.mark.parametrize(
    ("path", "name", "nifti"),
    [
        ("in/a.nii.gz", "a", True),
        ("a.b.NII.GZ", "a.b", True),
        ("a.nii", "a", True),
        ("a.nrrd", "a", False),
        ("a.mha.gz", "a", False),
        ("CT.5.dcm", "CT.5", False),
        ("cell.PNG", "cell", False),
        ("1.2.840.113", "1.2.840.113", False),
        ("folder/series/", "series", False),
        ("scans.json", "scans.json", False),
        ("archive.tar.gz", "archive.tar.gz", False),
    ],
)
def test_names_a_scan_without_its_known_ending(path, name, nifti):
    assert (scan_name(path), is_nifti(path)) == (name, nifti)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", True), (b"version 1", False), (b"", False)],
)
def test_knows_a_git_lfs_pointer(tmp_path, content, expected):
    (tmp_path / "a").write_bytes(content)
    assert is_lfs_pointer(tmp_path / "a") == expected


@pytest.mark.parametrize("header", ["a.mhd", "a.nhdr", "a.hdr"])
def test_a_header_without_its_voxels_is_told_by_their_name(tmp_path, header):
    image = sitk.GetImageFromArray(np.random.default_rng(0).random((5, 6, 7)))
    sitk.WriteImage(image, str(tmp_path / header))
    read_volume(str(tmp_path / header))
    (voxels,) = (path for path in tmp_path.iterdir() if path.name != header)
    voxels.unlink()
    with pytest.raises(InputError, match=f"without its voxels: no {voxels.name} next to it") as raised:
        read_volume(str(tmp_path / header))
    assert raised.value.kind == "missing"


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "found"),
    [
        ("a.mha", (5, 6, 7), np.int8, "voxels of type 8-bit signed integer"),
        ("a.nrrd", (5, 6, 7), np.int64, "voxels of type 64-bit signed integer"),
        ("a.mha", (5, 6, 7, 3), np.uint8, "3 numbers per voxel (vector of 8-bit unsigned integer)"),
        ("a.nrrd", (5, 6, 7, 2), np.int16, "2 numbers per voxel (vector of 16-bit signed integer)"),
        ("a.nrrd", (5, 6, 7, 6), np.float32, "6 numbers per voxel (vector of 32-bit float)"),
        ("a.nrrd", (5, 6, 7, 3), np.float32, None),
        ("a.mha", (5, 6, 7), np.uint16, None),
    ],
)
def test_types_that_itk_does_not_read_in_python_are_told(tmp_path, name, shape, dtype, found):
    voxels = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(voxels, isVector=len(shape) > 3), str(tmp_path / name))
    if found is None:
        read = read_volume(str(tmp_path / name)).voxels
        np.testing.assert_array_equal(read, voxels.transpose(2, 1, 0, *range(3, len(shape))))
    else:
        with pytest.raises(InputError) as raised:
            read_volume(str(tmp_path / name))
        assert (raised.value.found, raised.value.kind) == (found, "voxel-type")


@pytest.mark.parametrize(
    ("folder", "found"),
    [("a.nii.gz", "a folder named like a file"), ("a.png", "a folder named like a file"), ("a", "without DICOM files")],
)
def test_a_folder_that_is_no_series_is_told(tmp_path, folder, found):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "notes.txt").touch()
    with pytest.raises(InputError, match=found) as raised:
        read_volume(str(tmp_path / folder))
    assert raised.value.kind == "not-an-image"


def test_the_voxels_of_a_pair_without_their_header_are_told(tmp_path):
    (tmp_path / "a.img").write_bytes(b"voxels")
    with pytest.raises(InputError, match=r"voxels without their header: no a\.hdr next to it") as raised:
        read_volume(str(tmp_path / "a.img"))
    assert raised.value.kind == "missing"
