"""OME-Zarr and NIfTI-Zarr stores, written here file by file: metadata by hand, chunks as plain bytes."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.check_grid import find_header_problems
from pipeline.data.errors import InputError
from pipeline.data.images.door import open_image, read_header, read_volume
from pipeline.data.images.files import image_files, parts_of
from pipeline.data.reader import LoadScand

pytest.importorskip("zarr")

# (z, y, x), as stores have it; voxels of x are next to each other.
STORED = np.random.default_rng(0).integers(-100, 2000, (3, 4, 5)).astype("<i2")
VOXELS = STORED.transpose(2, 1, 0)
AXES = tuple({"name": name, "type": "space", "unit": "millimeter"} for name in "zyx")
STEPS = ({"type": "scale", "scale": [3.0, 2.0, 1.5]}, {"type": "translation", "translation": [30.0, 20.0, 10.0]})
LPS_AFFINE = np.array([[-1.5, 0, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1]])


def multiscales(axes: Sequence[Mapping[str, Any]], steps: Sequence[Any], **more: Any) -> list[dict[str, Any]]:
    return [{"axes": list(axes), "datasets": [{"path": "0", "coordinateTransformations": list(steps)}], **more}]


def write_array(folder: Path, voxels: np.ndarray, version: int) -> None:
    """Write an array as one uncompressed chunk."""
    folder.mkdir()
    if version == 2:
        described = {"zarr_format": 2, "shape": voxels.shape, "chunks": voxels.shape, "dtype": voxels.dtype.str}
        described |= {"compressor": None, "fill_value": 0, "order": "C", "filters": None}
        (folder / ".zarray").write_text(json.dumps(described))
        (folder / ".".join("0" * voxels.ndim)).write_bytes(voxels.tobytes())
        return
    described = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": voxels.shape,
        "data_type": voxels.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": voxels.shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    (folder / "zarr.json").write_text(json.dumps(described))
    chunk = folder.joinpath("c", *"0" * voxels.ndim)
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(voxels.tobytes())


def write_store(
    folder: Path,
    voxels: np.ndarray = STORED,
    *,
    version: int = 2,
    axes: Sequence[Mapping[str, Any]] = AXES,
    steps: Sequence[Any] = STEPS,
    **more: Any,
) -> str:
    folder.mkdir()
    content = multiscales(axes, steps, **more)
    if version == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps({"multiscales": content}))
    else:
        attributes = {"ome": {"version": "0.5", "multiscales": content}}
        described = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (folder / "zarr.json").write_text(json.dumps(described))
    write_array(folder / "0", voxels, version)
    return str(folder)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.zarr"])
def test_axes_scale_and_translation_give_the_place(tmp_path: Path, name: str, version: int) -> None:
    path = write_store(tmp_path / name, version=version)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    np.testing.assert_allclose(volume.affine, LPS_AFFINE)
    assert (volume.header.spacing, volume.stored, volume.header.has_orientation) == ((1.5, 2.0, 3.0), "int16", False)
    assert [one.kind for one in find_header_problems(path, volume, VOXELS.shape)] == ["form-missing"]
    with open_image(path) as image:
        np.testing.assert_array_equal(image.slab(1, 3), VOXELS[:, :, 1:3])


@pytest.mark.parametrize("key", ["orientation", "anatomicalOrientation"])
def test_the_axes_orientation_counts(tmp_path: Path, key: str) -> None:
    # x runs from head to feet, y to the right, z to the front.
    ways = {"z": "posterior-to-anterior", "y": "left-to-right", "x": "superior-to-inferior"}
    axes = [axis | {key: {"type": "anatomical", "value": ways[axis["name"]]}} for axis in AXES]
    volume = read_volume(write_store(tmp_path / "a.ome.zarr", axes=axes))
    expected = np.array([[0, 2, 0, 20], [0, 0, 3, 30], [-1.5, 0, 0, -10], [0, 0, 0, 1]])
    np.testing.assert_allclose(volume.affine, expected)
    assert volume.header.has_orientation
    assert list(find_header_problems("a", volume, VOXELS.shape)) == []


@pytest.mark.parametrize(
    ("unit", "factor"), [("micrometer", 1e-3), ("centimeter", 10.0), ("meter", 1e3), (None, 1.0), ("millimeter", 1.0)]
)
def test_units_become_mm(tmp_path: Path, unit: str | None, factor: float) -> None:
    axes = [{"name": axis["name"], "type": "space", **({"unit": unit} if unit else {})} for axis in AXES]
    steps = [
        {"type": "scale", "scale": (np.array([3.0, 2.0, 1.5]) / factor).tolist()},
        {"type": "translation", "translation": (np.array([30.0, 20.0, 10.0]) / factor).tolist()},
    ]
    header = read_header(write_store(tmp_path / "a.zarr", axes=axes, steps=steps))
    np.testing.assert_allclose(header.affine, LPS_AFFINE)


def test_the_image_s_transformations_follow_the_level_s(tmp_path: Path) -> None:
    more = [{"type": "scale", "scale": [1, 1, 2]}, {"type": "translation", "translation": [0, 0, 0.5]}]
    header = read_header(write_store(tmp_path / "a.zarr", coordinateTransformations=more))
    # (1.5 i + 10) * 2 + 0.5, and x to the left.
    np.testing.assert_allclose(header.affine[0], [-3, 0, 0, -20.5])


@pytest.mark.parametrize("version", [2, 3])
def test_channels_come_last_and_one_point_of_time_goes(tmp_path: Path, version: int) -> None:
    stored = np.random.default_rng(1).random((1, 2, 3, 4, 5)).astype("<f4")
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}, *AXES]
    path = write_store(
        tmp_path / "a.ome.zarr", stored, version=version, axes=axes, steps=[{"type": "scale", "scale": [1, 1, 3, 2, 1]}]
    )
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, stored[0].transpose(3, 2, 1, 0))
    scan = LoadScand(keys="image", ensure_channel_first=True)({"image": path})["image"]
    np.testing.assert_array_equal(scan.numpy(), stored[0].transpose(0, 3, 2, 1))
    np.testing.assert_allclose(scan.affine, np.diag([-1.0, -2, 3, 1]))


def test_what_is_no_single_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.zarr").mkdir()
    times = np.zeros((2, 3, 4, 5), "<f4")
    axes = [{"name": "t", "type": "time"}, *AXES]
    cases = {
        "no group": (str(tmp_path / "empty.zarr"), "no group"),
        "times": (write_store(tmp_path / "t.zarr", times, axes=axes, steps=()), "2 points of time"),
        "unit": (write_store(tmp_path / "u.zarr", axes=[*AXES[:2], AXES[2] | {"unit": "parsec"}]), "in parsec"),
        "axes": (write_store(tmp_path / "x.zarr", axes=[*AXES[:2], {"name": "w"}]), r"w \(unknown\)"),
        "affine": (write_store(tmp_path / "f.zarr", steps=[{"type": "affine"}]), "of type 'affine'"),
    }
    for path, found in cases.values():
        with pytest.raises(InputError, match=found) as raised:
            read_volume(path)
        assert raised.value.where == path


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_store(tmp_path / "a.ome.zarr")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'lightskip\[zarr\]'"):
        read_volume(path)


def test_a_truncated_chunk_is_noticed(tmp_path: Path) -> None:
    path = write_store(tmp_path / "a.ome.zarr")
    chunk = tmp_path / "a.ome.zarr" / "0" / "0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated or corrupt"):
        read_volume(path)


def test_a_store_is_one_image_of_its_folder(tmp_path: Path) -> None:
    write_store(tmp_path / "b.ome.zarr")
    write_store(tmp_path / "a.nii.zarr")
    (tmp_path / "c.zarr").write_text("a file")
    assert [path.name for path in image_files(tmp_path)] == ["a.nii.zarr", "b.ome.zarr"]
    names = {path.relative_to(tmp_path / "b.ome.zarr").as_posix() for path in parts_of(tmp_path / "b.ome.zarr")}
    assert names == {".zattrs", ".zgroup", "0/.zarray", "0/0.0.0"}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", [nib.Nifti1Header, nib.Nifti2Header])
def test_the_nifti_header_of_a_store_counts(tmp_path: Path, kind: Any, version: int) -> None:
    affine = np.array([[0, -2, 0, 7], [1.5, 0, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1.0]])
    header = kind()
    header.set_data_shape(VOXELS.shape)
    header.set_data_dtype(np.int16)
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_slope_inter(0.5, -10)
    path = write_store(tmp_path / "a.nii.zarr", version=version)
    write_array(tmp_path / "a.nii.zarr" / "nifti", np.frombuffer(header.binaryblock, np.uint8), version)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.voxels, VOXELS * 0.5 - 10)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert volume.header.has_orientation
    scan = LoadScand(keys="image", ensure_channel_first=True)({"image": path})["image"]
    np.testing.assert_allclose(scan.numpy()[0], VOXELS * 0.5 - 10)
    np.testing.assert_allclose(scan.affine, affine, atol=1e-6)


def test_a_nifti_header_of_another_image_is_refused(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((9, 9, 9))
    path = write_store(tmp_path / "a.nii.zarr")
    write_array(tmp_path / "a.nii.zarr" / "nifti", np.frombuffer(header.binaryblock, np.uint8), 2)
    with pytest.raises(InputError, match=r"a NIfTI header of shape \(9, 9, 9\) with an array of shape \(5, 4, 3\)"):
        read_header(path)
