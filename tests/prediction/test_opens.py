"""How often a scan is opened and decoded on its way through a prediction."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import itk
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from pipeline.data.images import dicom
from pipeline.data.images.nifti import NiftiImage
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.outputs import Wanted

SHAPE = (20, 18, 16)
EVERYTHING = Wanted(probabilities=True, uncertainty=True, statistics=True, preview=True)
_watched: list[tuple[Path, Counter[str]]] = []


def _count(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watched and isinstance(arguments[0], str | os.PathLike):
        folder, opens = _watched[-1]
        path = Path(os.fspath(arguments[0]))
        if path.is_relative_to(folder):
            opens[path.name] += 1


# A hook of Python's cannot be taken away: it counts while something is watched.
sys.addaudithook(_count)


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Counter[str]]:
    """How often Python opened each file of the folder `scans`."""
    (tmp_path / "scans").mkdir()
    counter: Counter[str] = Counter()
    _watched.append((tmp_path / "scans", counter))
    yield counter
    _watched.pop()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often voxels were decoded, by the library that did it; and headers that other ways than the door read."""
    counter: Counter[str] = Counter()

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            found = function(*arguments, **options)
            # None are the voxels of a file that has to be read in the other way.
            counter[name] += found is not None
            return found

        return call

    monkeypatch.setattr(NiftiImage, "voxels", counted("nifti", NiftiImage.voxels))
    monkeypatch.setattr(NiftiImage, "float_voxels", counted("nifti", NiftiImage.float_voxels))
    monkeypatch.setattr(dicom, "read_values", counted("dicom", dicom.read_values))
    monkeypatch.setattr(itk, "imread", counted("itk", itk.imread))
    monkeypatch.setattr(nib, "load", counted("nibabel past the door", nib.load))
    return counter


@pytest.fixture
def threads() -> Iterator[None]:
    """Threads as they were before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(-100, 1000, SHAPE).astype(np.int16)


def write_scan(folder: Path, kind: str) -> Path:
    image = sitk.GetImageFromArray(voxels().T)
    if kind != "series":
        sitk.WriteImage(image, str(folder / f"a{kind}"))
        return folder / f"a{kind}"
    for number in range(SHAPE[2]):
        one = image[:, :, number : number + 1]
        tags = {"0008|0060": "CT", "0020|000e": "1.2.3.4", "0020|0032": f"0\\0\\{number}", "0020|0013": str(number)}
        tags["0020|0037"] = "1\\0\\0\\0\\1\\0"
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{number:02}.dcm"))
        writer.Execute(one)
    return folder


def predict(bundle: Path, scan: Path, output: Path, **asked: Any) -> None:
    request = Request(bundle, [scan], output, device="cpu", progress=False, **asked)
    summary = predict_files(request)
    assert {result.error for result in summary.results} == {None}


# The door opens a file once. Of NRRD it looks at the header itself, then ITK reads (not by Python's open).
# Each slice of a series is opened for its header, and for its pixels.
ONCE = {".nii.gz": "nifti", ".nii": "nifti", ".nrrd": "itk", "series": "dicom"}
# Before the network is loaded, a file's header is read, which says how many windows there will be. A series has one in
# every slice, and is not opened for that.
BEFORE = {".nii.gz": 1, ".nii": 1, ".nrrd": 1, "series": 0}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONCE)
def test_a_scan_is_opened_for_its_header_and_then_once_and_decoded_once(
    kind: str, tiny_bundle: Path, tmp_path: Path, opens: Counter[str], decodes: Counter[str]
) -> None:
    scan = write_scan(tmp_path / "scans", kind)
    opens.clear()
    predict(tiny_bundle, scan, tmp_path / "out")
    assert set(opens.values()) == {BEFORE[kind] + (2 if kind == "series" else 1)}
    assert decodes == {ONCE[kind]: 1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONCE)
def test_with_everything_asked_for_its_voxels_are_read_twice_at_most(
    kind: str, tiny_bundle: Path, tmp_path: Path, opens: Counter[str], decodes: Counter[str]
) -> None:
    # Its header for the windows; for the memory that it takes; header and voxels; once more for picture and statistics.
    scan = write_scan(tmp_path / "scans", kind)
    opens.clear()
    predict(tiny_bundle, scan, tmp_path / "out", wanted=EVERYTHING, memory=10**13)
    assert max(opens.values()) <= BEFORE[kind] + (5 if kind == "series" else 3)
    assert decodes == {ONCE[kind]: 2}


@pytest.mark.slow
def test_the_next_scan_of_a_folder_is_opened_five_times_at_most(
    tiny_bundle: Path, tmp_path: Path, opens: Counter[str], decodes: Counter[str], threads: None
) -> None:
    # Its header once more, while the one before is segmented: whether it may be read meanwhile.
    write_scan(tmp_path / "scans", ".nii.gz")
    (tmp_path / "scans" / "b.nii.gz").write_bytes((tmp_path / "scans" / "a.nii.gz").read_bytes())
    opens.clear()
    predict(tiny_bundle, tmp_path / "scans", tmp_path / "out", wanted=EVERYTHING, memory=10**13, threads=2)
    assert opens["a.nii.gz"] <= 4
    assert opens["b.nii.gz"] <= 5
    assert decodes == {"nifti": 4}


def test_a_scan_that_is_done_is_not_opened_at_all(tiny_bundle: Path, tmp_path: Path, opens: Counter[str]) -> None:
    scan = write_scan(tmp_path / "scans", ".nii.gz")
    predict(tiny_bundle, scan, tmp_path / "out")
    opens.clear()
    # Its size and time tell that it is the one of before.
    predict(tiny_bundle, scan, tmp_path / "out")
    assert not opens
