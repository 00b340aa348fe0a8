"""`.hdr/.img` pairs are read like the same NIfTI image in one file."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImaged

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_volume
from pipeline.data.read_scan import read_scan
from pipeline.data.reader import LoadScand, load_scan, loads_float

VOXELS = np.random.default_rng(0).integers(-500, 2000, (7, 6, 5)).astype(np.int16)
SPACING = (1.5, 2.0, 3.0)


def affine_of(axes: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = (10, -20, 30)
    return affine


def turned() -> np.ndarray:
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return affine_of(rotation @ np.diag(SPACING))


def permuted() -> dict[str, np.ndarray]:
    """All 48 ways in which axes can run."""
    affines = {}
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            axes = np.zeros((3, 3))
            axes[list(order), range(3)] = np.multiply(signs, SPACING)
            affines[f"{order} {signs}"] = affine_of(axes)
    return affines


SHEARED = affine_of(np.diag(SPACING) @ [[1, 0.2, 0], [0, 1, 0.1], [0, 0, 1]])
AFFINES = {**permuted(), "oblique": turned(), "sheared": SHEARED}


def image(kind: Any, affine: np.ndarray, *, qform: int, sform: int, dtype: Any = np.int16, order: str = "<") -> Any:
    stored = np.dtype(dtype).newbyteorder(order)
    header = kind.header_class(endianness=order)
    header.set_data_dtype(stored)
    made = kind(VOXELS.astype(stored), affine, header)
    made.set_sform(affine if sform else None, code=sform)
    made.set_qform(affine if qform else None, code=qform)
    # Where they differ from the affine's, MONAI prefers them in either kind of file.
    made.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    return made


def loaded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    scan = LoadScand(keys="image")({"image": str(path)})["image"]
    return scan.numpy(), np.asarray(scan.affine)


def assert_same_as_one_file(folder: Path, make: Callable[[bool], Any]) -> None:
    """Compare a pair, read by MONAI with the reader and by the check, with nibabel's reading of one file."""
    make(True).to_filename(folder / "pair.hdr")
    make(False).to_filename(folder / "one.nii")
    one = nib.load(folder / "one.nii")
    for name in ("pair.hdr", "pair.img"):
        checked = read_volume(str(folder / name))
        for voxels, affine in (loaded(folder / name), (checked.voxels, checked.affine)):
            np.testing.assert_allclose(voxels, np.asanyarray(one.dataobj), rtol=1e-6)
            np.testing.assert_allclose(affine, one.affine, atol=1e-4)


@pytest.mark.parametrize("name", AFFINES)
def test_a_pair_lies_where_the_same_image_in_one_file_lies(tmp_path: Path, name: str) -> None:
    def make(pair: bool) -> Any:
        return image(nib.Nifti1Pair if pair else nib.Nifti1Image, AFFINES[name], qform=1, sform=1)

    assert_same_as_one_file(tmp_path, make)


@pytest.mark.parametrize("nifti", [1, 2])
@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize(
    ("dtype", "order", "scaling"),
    [
        (np.int16, "<", None),
        (np.int16, ">", (0.5, -10)),
        (np.int8, "<", None),
        (np.int64, ">", None),
        (np.float64, "<", None),
    ],
)
def test_forms_and_types_make_no_difference(
    tmp_path: Path, nifti: int, qform: int, sform: int, dtype: Any, order: str, scaling: tuple[float, float] | None
) -> None:
    kinds = {1: (nib.Nifti1Image, nib.Nifti1Pair), 2: (nib.Nifti2Image, nib.Nifti2Pair)}[nifti]

    def make(pair: bool) -> Any:
        made = image(kinds[pair], turned(), qform=qform, sform=sform, dtype=dtype, order=order)
        if scaling is not None:
            made.header.set_slope_inter(*scaling)
        return made

    assert_same_as_one_file(tmp_path, make)


def test_negative_voxel_sizes_are_lengths(tmp_path: Path) -> None:
    image(nib.Nifti1Pair, turned(), qform=1, sform=1).to_filename(tmp_path / "pair.hdr")
    header = nib.Nifti1Header((tmp_path / "pair.hdr").read_bytes()[:348], check=False)
    header["pixdim"][1:4] *= -1
    (tmp_path / "pair.hdr").write_bytes(header.binaryblock + bytes(4))
    _, affine = loaded(tmp_path / "pair.hdr")
    np.testing.assert_allclose(affine, turned(), atol=1e-4)
    # MONAI alone mirrors it; where a later one does not, the reader can go.
    alone = LoadImaged(keys="image")({"image": str(tmp_path / "pair.hdr")})["image"].affine
    np.testing.assert_allclose(alone[:3, :3], -turned()[:3, :3], atol=1e-4)


@pytest.mark.parametrize("kind", [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage])
def test_analyze_is_refused(tmp_path: Path, kind: Any) -> None:
    kind(VOXELS, None).to_filename(tmp_path / "a.img")
    for read in (read_volume, lambda path: loaded(Path(path))):
        for name in ("a.hdr", "a.img"):
            with pytest.raises(InputError, match=r"an Analyze 7\.5 file"):
                read(str(tmp_path / name))


def test_other_formats_are_read_as_monai_reads_them(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(tmp_path / "a.mha"))
    image(nib.Nifti1Image, turned(), qform=1, sform=1).to_filename(tmp_path / "a.nii.gz")
    for name in ("a.mha", "a.nii.gz"):
        expected = LoadImaged(keys="image")({"image": str(tmp_path / name)})["image"]
        voxels, affine = loaded(tmp_path / name)
        np.testing.assert_array_equal(voxels, expected.numpy())
        np.testing.assert_array_equal(affine, expected.affine)


def test_pairs_are_the_channels_of_a_scan(tmp_path: Path) -> None:
    for name in "ab":
        image(nib.Nifti1Pair, turned(), qform=0, sform=1).to_filename(tmp_path / f"{name}.hdr")
    files = [str(tmp_path / "a.hdr"), str(tmp_path / "b.img")]
    scan = LoadScand(keys="image", ensure_channel_first=True)({"image": files})["image"]
    assert scan.shape == (2, 7, 6, 5)


def test_a_promise_that_the_voxels_file_does_not_keep_is_told(tmp_path: Path) -> None:
    image(nib.Nifti1Pair, turned(), qform=1, sform=1).to_filename(tmp_path / "a.hdr")
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:-2])
    with pytest.raises(InputError, match="truncated or corrupt") as raised:
        read_volume(str(tmp_path / "a.hdr"))
    assert raised.value.kind == "truncated"


def same(one: Any, other: Any) -> None:
    """Compare two metadata entries."""
    assert type(one) is type(other)
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def written_as_nifti(folder: Path, case: str) -> Path:
    affine, options = turned(), {"qform": 1, "sform": 1}
    if case == "big-endian":
        made = image(nib.Nifti1Image, affine, dtype=np.float32, order=">", **options)
    elif case in ("bytes", "integers"):
        made = image(nib.Nifti1Image, affine, dtype=np.uint8 if case == "bytes" else np.int32, **options)
    elif case == "scaled":
        made = image(nib.Nifti1Image, affine, **options)
        made.header.set_slope_inter(0.25, -100)
    elif case == "channels":
        made = nib.Nifti1Image(np.random.default_rng(0).random((5, 4, 3, 2), np.float32), affine)
    elif case == "odd pixdim":
        # MONAI goes by the qform.
        made = image(nib.Nifti1Image, affine, **options)
        made.set_sform(affine @ np.diag([2, 2, 2, 1]), code=1)
    elif case == "NIfTI-2":
        made = image(nib.Nifti2Image, affine, qform=0, sform=1)
    else:
        made = image(nib.Nifti1Image, affine, qform=0, sform=0)
    made.to_filename(folder / "a.nii.gz")
    return folder / "a.nii.gz"


def written_by_itk(folder: Path, case: str) -> Path:
    voxels = np.random.default_rng(0).integers(0, 200, (3, 4, 5)).astype(np.int16)
    if case == "a.png":
        sitk.WriteImage(sitk.GetImageFromArray(voxels[0].astype(np.uint8)), str(folder / case))
    elif case == "colour.png":
        picture = sitk.GetImageFromArray(np.stack(voxels, axis=-1).astype(np.uint8), isVector=True)
        sitk.WriteImage(picture, str(folder / case))
    else:
        vector = case.startswith("vector")
        made = sitk.GetImageFromArray(np.stack([voxels] * 2, axis=-1).astype(np.float32) if vector else voxels)
        made.SetSpacing((0.5, 2, 3))
        made.SetOrigin((10, -20, 30))
        sitk.WriteImage(made, str(folder / case))
    return folder / case


NIFTI = ["big-endian", "bytes", "scaled", "integers", "channels", "odd pixdim", "NIfTI-2", "no form"]
# TIFF is not among them: its types, layouts and spacing are more than MONAI's reader finds, see `images/test_tiff.py`.
OTHERS = ["a.nrrd", "a.nhdr", "a.mha", "vector.mha", "vector.nrrd", "a.png", "colour.png"]


@pytest.mark.parametrize("case", [*NIFTI, *OTHERS])
def test_array_affine_and_metadata_are_those_of_monai(tmp_path: Path, case: str) -> None:
    path = written_as_nifti(tmp_path, case) if case in NIFTI else written_by_itk(tmp_path, case)
    ours, monais = (
        kind(keys="image", ensure_channel_first=True)({"image": str(path)})["image"] for kind in (LoadScand, LoadImaged)
    )
    assert ours.dtype == monais.dtype
    assert ours.stride() == monais.stride()
    np.testing.assert_array_equal(ours.numpy(), monais.numpy())
    np.testing.assert_array_equal(ours.affine, monais.affine)
    assert ours.meta.keys() == monais.meta.keys()
    for key, value in monais.meta.items():
        same(ours.meta[key], value)


@pytest.mark.parametrize("dtype", [None, np.int16, np.float64])
def test_another_type_of_the_loader_is_kept(tmp_path: Path, dtype: Any) -> None:
    path = written_as_nifti(tmp_path, "no form")
    ours, monais = (
        kind(keys="image", dtype=dtype, ensure_channel_first=True)({"image": str(path)})["image"]
        for kind in (LoadScand, LoadImaged)
    )
    assert ours.dtype == monais.dtype
    np.testing.assert_array_equal(ours.numpy(), monais.numpy())


@pytest.mark.parametrize("dtype", [None, np.float32, np.int16])
@pytest.mark.parametrize("case", ["scaled", "no form", "bytes"])
def test_volumes_that_were_read_are_loaded_as_from_the_file(tmp_path: Path, case: str, dtype: Any) -> None:
    path = str(written_as_nifti(tmp_path, case))
    loader = LoadScand(keys="image", dtype=dtype, ensure_channel_first=True)
    loaded = load_scan(loader, [path], read_scan([path], channels=1, spatial_dims=3, as_float=loads_float(loader)))
    expected = loader({"image": path})["image"]
    assert loaded.dtype == expected.dtype
    assert loads_float(loader) == (dtype == np.float32)
    np.testing.assert_array_equal(loaded.numpy(), expected.numpy())


def test_channels_of_several_formats_are_one_scan(tmp_path: Path) -> None:
    affine = np.diag([-1.0, -1, 1, 1])
    nib.Nifti1Image(VOXELS, affine).to_filename(tmp_path / "a.nii.gz")
    nib.MGHImage(VOXELS + 1, affine).to_filename(tmp_path / "b.mgz")
    sitk.WriteImage(sitk.GetImageFromArray((VOXELS + 2).T), str(tmp_path / "c.mha"))
    files = [str(tmp_path / name) for name in ("a.nii.gz", "b.mgz", "c.mha")]
    scan = LoadScand(keys="image", ensure_channel_first=True)({"image": files})["image"]
    np.testing.assert_array_equal(scan.numpy(), [VOXELS, VOXELS + 1, VOXELS + 2])
    np.testing.assert_allclose(scan.affine, affine, atol=1e-6)
