"""TIFF: the reader gives MONAI's loader what the check sees, and damage anywhere is noticed."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header, read_volume
from pipeline.data.images.files import parts_of
from pipeline.data.reader import LoadScand

from ..odd import pictures, tiff

READ = [odd for odd in [*tiff.ODD, *pictures.ODD] if odd.outcome != "refused"]


@pytest.mark.parametrize("odd", READ, ids=repr)
def test_training_reads_what_the_check_reads(tmp_path, odd):
    made = odd.make(tmp_path)
    checked = read_volume(str(made.path))
    loaded = LoadScand(keys="image", ensure_channel_first=True)({"image": str(made.path)})["image"]
    expected = made.voxels if made.voxels.ndim == checked.header.axes else np.moveaxis(made.voxels, -1, 0)
    np.testing.assert_array_equal(checked.voxels, made.voxels)
    np.testing.assert_array_equal(loaded.numpy().squeeze(), expected.astype(np.float32).squeeze())
    axes = checked.header.axes
    np.testing.assert_allclose(checked.affine, made.affine)
    np.testing.assert_allclose(np.asarray(loaded.affine)[:axes, :axes], made.affine[:axes, :axes])


@pytest.mark.parametrize("odd", [odd for odd in READ if odd.name.startswith("tiff")], ids=repr)
def test_the_header_alone_has_the_shape_of_the_voxels(tmp_path, odd):
    made = odd.make(tmp_path)
    assert read_header(made.path).shape == made.voxels.shape


UNITS = {
    "tiff-imagej-um": "µm",
    "tiff-imagej-mm": "mm",
    "tiff-imagej-pixels": "px",
    "tiff-ome-um": "µm",
    "tiff-ome-nm": "nm",
    "tiff-nnunet-json": "mm",
    "tiff-tags-cm": "mm",
    "tiff-tags-print": "px",
    "tiff-tags-of-a-stack": "px",
    "tiff-tiles": "px",
    "picture-grey-as-colour": "px",
}


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_that_of_the_file(tmp_path, name):
    made = next(odd for odd in READ if odd.name == name).make(tmp_path)
    assert read_header(made.path).unit == UNITS[name]


def test_pages_that_go_round_in_a_circle_are_damage(tmp_path):
    file = tmp_path / "scan.tif"
    tifffile.imwrite(file, tiff.STACK, photometric="minisblack", metadata=None)
    content = bytearray(file.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    file.write_bytes(content)
    with pytest.raises(InputError, match="circle"):
        read_volume(str(file))


@pytest.mark.parametrize("kept", [4, 8, 60, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_stack_cut_anywhere_is_refused(tmp_path, kept, compression):
    file = tmp_path / "scan.tif"
    pages = np.random.default_rng(0).integers(0, 255, (5, 40, 40)).astype(np.uint8)
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", compression=compression, contiguous=False, metadata=None)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(InputError) as raised:
        read_volume(str(file))
    assert raised.value.kind in ("truncated", "not-an-image")


def test_the_spacing_file_is_a_part_of_the_image(tmp_path):
    made = next(odd for odd in READ if odd.name == "tiff-nnunet-json-of-channel").make(tmp_path)
    assert parts_of(made.path) == [made.path, tmp_path / "scan.json"]


def dataset(folder: Path, *, second: bool) -> Path:
    items = []
    for number in range(2):
        label = np.zeros((20, 30), np.uint8)
        label[5:15, 5 : 15 + number] = 1
        grey = np.random.default_rng(number).integers(0, 255, (20, 30)).astype(np.uint8)
        options = {"resolution": (50, 50), "resolutionunit": "CENTIMETER"} if number and second else {}
        for name, pixels in (("image", grey), ("label", label)):
            tifffile.imwrite(folder / f"{name}_{number}.tif", pixels, photometric="minisblack", **options)
        items.append(f'{{"image": "image_{number}.tif", "label": "label_{number}.tif", "fold": {number}}}')
    file = folder / "dataset.json"
    file.write_text(f'{{"labels": {{"background": 0, "cell": 1}}, "training": [{", ".join(items)}]}}')
    return file


def test_a_dataset_of_pictures_is_measured_in_pixels(tmp_path):
    report = check_dataset(dataset(tmp_path, second=False), progress=False)
    assert (report["unit"], report["summary"]["problems"]) == ("px", 0)
    assert report["cases"][0]["classes"]["cell"]["px2"] == 100


def test_a_dataset_of_several_units_is_refused(tmp_path):
    report = check_dataset(dataset(tmp_path, second=True), progress=False)
    found = [finding for finding in report["findings"] if finding["kind"] == "unit-mixed"]
    assert [(finding["case"], finding["severity"]) for finding in found] == [("image_1", "problem")]
