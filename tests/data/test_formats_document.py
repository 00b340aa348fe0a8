"""Every row of the tables of odd files in docs/formats.md says what LightSkip and other readers do with that file."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from pipeline.data.images.door import read_volume
from pipeline.data.images.endings import is_picture
from pipeline.data.images.header import Volume

from .odd import odd_files

pytestmark = pytest.mark.filterwarnings("ignore")

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
CASES = {case.name: case for case in odd_files()}
PACKAGES = {
    "SimpleITK": "simpleitk",
    "nibabel": "nibabel",
    "TorchIO": "torchio",
    "tifffile": "tifffile",
    "Pillow": "pillow",
}
MM = {"mm": 1.0, "µm": 1e-3, "nm": 1e-6, "px": 1.0}  # of LightSkip's units; a reader's 1 mm of a pixel is no difference
Answer = tuple[np.ndarray, np.ndarray | None]


def rows() -> list[dict[str, str]]:
    """Return the rows of the tables of odd files, by the words in the table's head."""
    found, head = [], [""]
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            head = [""]
        elif head == [""]:
            head = cells
        elif head[0] == "odd file" and not cells[0].startswith("---"):
            found.append(dict(zip(head, cells, strict=True)))
    return found


ROWS = rows()


def read_with_simpleitk(path: str) -> Answer:
    # Of a folder the reader takes the first series, as its documentation does.
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(path) if Path(path).is_dir() else path
    image = sitk.ReadImage(files)
    axes = image.GetDimension()
    inner = np.reshape(image.GetDirection(), (axes, axes)) @ np.diag(image.GetSpacing())
    affine = np.eye(4)
    affine[:axes, :axes], affine[:axes, 3] = inner[:3, :3], image.GetOrigin()[:3]
    array = sitk.GetArrayFromImage(image).T
    array = array if image.GetNumberOfComponentsPerPixel() == 1 else np.moveaxis(array, 0, -1)
    return array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def read_with_nibabel(path: str) -> Answer:
    image = nib.load(path)
    return np.asanyarray(image.dataobj), image.affine


def read_with_torchio(path: str) -> Answer:
    torchio = pytest.importorskip("torchio")
    image = torchio.ScalarImage(path)
    voxels = image.data.numpy()
    return (voxels[0] if len(voxels) == 1 else np.moveaxis(voxels, 0, -1)), image.affine


def read_with_tifffile(path: str) -> Answer:
    return from_rows(tifffile.imread(path)), None


def read_with_pillow(path: str) -> Answer:
    with Image.open(path) as image:
        return from_rows(np.asarray(image)), None


def from_rows(pixels: np.ndarray) -> np.ndarray:
    """Return (x, y, …) of pixels that a reader has as (row, column, colour) or (page, row, column)."""
    return np.swapaxes(pixels, 0, 1) if pixels.shape[-1] in (2, 3, 4) else pixels.T


READERS = {
    "SimpleITK": read_with_simpleitk,
    "nibabel": read_with_nibabel,
    "TorchIO": read_with_torchio,
    "tifffile": read_with_tifffile,
    "Pillow": read_with_pillow,
}


def answer(read: Callable[[str], Answer], path: str, ours: Volume | None) -> str:
    """Return a reader's answer in the document's words; `ours` is None if LightSkip refuses the file."""
    try:
        voxels, affine = read(path)
    except Exception:  # each reader has its own
        return "refused"
    if ours is None:
        return "read" if affine is None else f"read, {in_words(np.linalg.norm(affine[:3, :3], axis=0))}"
    if voxels.ndim > 2 and ours.header.axes == 2 and voxels.shape[2] == 1:
        voxels = voxels[:, :, 0]
    if voxels.shape != ours.voxels.shape:
        return f"other shape, {' x '.join(map(str, voxels.shape))}"
    if not np.allclose(voxels, ours.voxels):
        return "other values"
    return "same" if affine is None else compare_place(path, affine, ours)


def compare_place(path: str, affine: np.ndarray, ours: Volume) -> str:
    if not is_picture(path):
        return "same" if np.allclose(affine, ours.affine, atol=1e-3) else "other place"
    # A picture has no place but its spacing.
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[: ours.header.axes]
    right = np.linalg.norm(ours.affine[:3, :3], axis=0)[: ours.header.axes] * MM[ours.header.unit]
    return "same" if np.allclose(spacing, right, rtol=1e-3) else f"other spacing, {in_words(spacing)}"


def in_words(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing) + " mm"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["odd file"].strip("`"))
def test_the_row_says_what_the_readers_do(row: dict[str, str], tmp_path: Path) -> None:
    case = CASES[row["odd file"].strip("`")]
    words = {"right": "right", "note": f"right, `{case.kind}`", "refused": f"refused, `{case.kind}`"}
    assert row["LightSkip"] == words[case.outcome]
    (tmp_path / "scans").mkdir()
    path = str(case.make(tmp_path / "scans").path)
    ours = None if case.outcome == "refused" else read_volume(path)
    for reader, read in READERS.items():
        if reader in row:
            assert row[reader] == answer(read, path, ours), reader


def test_every_kind_that_a_family_has_is_in_a_row() -> None:
    def kinds(names: Iterable[str]) -> set[tuple[str, str]]:
        return {(name.partition("-")[0], CASES[name].kind) for name in names}

    assert kinds(row["odd file"].strip("`") for row in ROWS) == kinds(CASES)


def test_the_versions_are_those_that_were_measured() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for reader, package in PACKAGES.items():
        stated = re.search(rf"{reader}(?: is)? (\d+\.\d+)", text)
        assert stated is not None
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        assert version.startswith(stated[1]), f"{reader} {version}: measure the tables again"
