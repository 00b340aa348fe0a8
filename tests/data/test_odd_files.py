"""Every command on every odd file: right voxels in the right place, a named refusal, or a note.

The files are those of the modules in `tests/data/odd/`: each has a list `ODD`. The sound partner of a file, its label
map or its image, is NIfTI with the place that the file was meant to have; that of a picture is PNG or TIFF like itself.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline.comparison.command import compare
from pipeline.comparison.request import Request as CompareRequest
from pipeline.data.check import check_cases
from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.findings import SEVERITIES
from pipeline.data.images.door import read_header, read_volume
from pipeline.data.images.endings import is_picture, is_tiff, scan_name
from pipeline.data.images.header import Header
from pipeline.prediction import with_network
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.predictor import Predictor

from ..prediction.conftest import tiny_bundle, tiny_flat_bundle
from .odd import Made, Odd, odd_files

__all__ = ["tiny_bundle", "tiny_flat_bundle"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

Result = TypeVar("Result")
CASES = odd_files()
# About the label map that is made for the scan, and about a dataset of one case.
OTHERS = ("label-volume", "label-islands", "label-missing", "label-unused", "labels-not-consecutive")


@dataclass
class Case:
    """An odd file that was made, and its sound partner."""

    odd: Odd
    made: Made
    folder: Path

    @property
    def is_readable(self) -> bool:
        """Whether there are voxels to read; a label map with JPEG's compression has some, and is refused."""
        return self.odd.outcome != "refused" or self.odd.kind == "label-lossy"

    @cached_property
    def header(self) -> Header:
        return read_header(self.made.path)

    @property
    def dims(self) -> int:
        if is_picture(self.made.path) and self.is_readable:
            return self.header.axes
        return 3 if self.made.voxels is None else min(3, self.made.voxels.ndim)

    @property
    def channels(self) -> int:
        return 1 if self.made.voxels is None else int(np.prod(self.made.voxels.shape[self.dims :], dtype=int))

    @property
    def shape(self) -> tuple[int, ...]:
        if self.made.voxels is not None:
            return self.made.voxels.shape[: self.dims]
        if is_picture(self.made.path) and self.is_readable:
            return self.header.shape[: self.dims]
        return (12, 11, 10)[: self.dims]

    @property
    def values(self) -> list[int]:
        """The label values: of the odd label map, or of the sound one."""
        if self.odd.role == "label" and self.made.voxels is not None:
            return sorted({0, *np.unique(np.rint(self.made.voxels)).astype(int).tolist()})
        return [0, 1, 2]

    def partner(self) -> Path:
        """Write the label map of an image, or the image of a label map, and return its path."""
        ending = ".tif" if is_tiff(self.made.path) else ".png" if is_picture(self.made.path) else ".nii.gz"
        file = self.folder / "partner" / f"scan{ending}"
        if self.odd.role == "image":
            voxels = np.zeros(self.shape, np.uint8)
            half = self.shape[0] // 2
            voxels[:half], voxels[half : self.shape[0] - 1] = 1, 2
        else:
            voxels = np.random.default_rng(1).normal(100, 20, self.shape).astype(np.int16)
        return self._save(file, voxels)

    def twin(self) -> Path:
        """Write a label map with the true values, and return its path."""
        voxels = np.zeros(self.shape, np.uint8) if self.made.voxels is None else np.rint(self.made.voxels)
        ending = ".tif" if is_tiff(self.made.path) else ".nii.gz"
        return self._save(self.folder / "twin" / f"{scan_name(self.made.path)}{ending}", voxels.astype(np.uint8))

    def _save(self, file: Path, voxels: np.ndarray) -> Path:
        file.parent.mkdir(exist_ok=True)
        if file.suffix == ".png":
            Image.fromarray(voxels.T.astype(np.uint8)).save(file)
            return file
        if file.suffix == ".tif":
            self._save_tiff(file, voxels.T)
            return file
        affine = np.eye(4) if self.made.affine is None else self.made.affine
        image = nib.Nifti1Image(voxels, affine)
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=1)
        image.to_filename(file)
        return file

    def _save_tiff(self, file: Path, pages: np.ndarray) -> None:
        """Write pages with the spacing and the unit that the odd file has, as OME metadata."""
        if not self.is_readable or self.header.unit == "px":
            tifffile.imwrite(file, pages, photometric="minisblack", metadata=None)
            return
        sizes = dict(zip("XYZ", self.header.spacing, strict=False))
        described = {f"PhysicalSize{axis}": size for axis, size in sizes.items()}
        described |= {f"PhysicalSize{axis}Unit": self.header.unit for axis in sizes}
        axes = "ZYX"[-pages.ndim :]
        tifffile.imwrite(file, pages, photometric="minisblack", ome=True, metadata={"axes": axes, **described})

    @property
    def item(self) -> dict[str, Any]:
        pair = (self.made.path, self.partner())
        image, label = pair if self.odd.role == "image" else reversed(pair)
        return {"image": str(image), "label": str(label), "fold": 0}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (tmp_path / "scans").mkdir()
    return Case(request.param, request.param.make(tmp_path / "scans"), tmp_path)


@pytest.fixture(scope="module")
def predictors() -> dict[str, Predictor]:
    """Predictors by bundle: loading one takes longer than all that is tested here."""
    return {}


@pytest.fixture
def one_load(predictors: dict[str, Predictor], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(bundle: Path, **options: Any) -> Predictor:
        if str(bundle) not in predictors:
            predictors[str(bundle)] = Predictor(bundle, **options)
        return predictors[str(bundle)]

    monkeypatch.setattr(with_network, "Predictor", load)


def test_every_family_has_files_with_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert names
    assert sorted(names) == sorted(set(names))


@pytest.mark.slow
@pytest.mark.usefixtures("one_load")
def test_every_command_gives_the_expected_outcome(case: Case, tiny_bundle: Path, tiny_flat_bundle: Path) -> None:
    assert (case.odd.kind in SEVERITIES) == (case.odd.outcome != "right")
    _read(case)
    _check(case)
    _gate(case)
    if case.odd.role == "label":
        _compare(case)
    elif case.channels == 1:
        _predict(case, tiny_flat_bundle if case.dims == 2 else tiny_bundle)


def _read(case: Case) -> None:
    """Read the file alone; what only a check finds, such as a constant image, is refused there."""
    volume = _call(case, lambda: read_volume(str(case.made.path)))
    if volume is None:
        return
    assert case.odd.outcome != "refused" or case.made.voxels is None
    if case.made.voxels is not None:
        assert volume.voxels.shape == case.made.voxels.shape
        np.testing.assert_allclose(np.asarray(volume.voxels, float), case.made.voxels, rtol=1e-5, atol=1e-6)
    if case.made.affine is not None:
        np.testing.assert_allclose(volume.affine, case.made.affine, atol=1e-4)


def _check(case: Case) -> None:
    file = case.folder / "list.json"
    labels = {str(value): f"label_{value}" if value else "background" for value in case.values}
    channels = {str(number): "MRI" for number in range(case.channels)}
    described = {"name": "Odd", "modality": channels, "labels": labels}
    file.write_text(json.dumps({**described, "training": [case.item]}))
    findings = check_dataset(file, progress=False, workers=1)["findings"]
    kinds = {each["kind"] for each in findings if each["kind"] not in OTHERS}
    assert kinds == ({case.odd.kind} if case.odd.kind else set()), json.dumps(findings, indent=1)
    for each in findings:
        if each["kind"] == case.odd.kind:
            _require_words(case, each["kind"], _sentence(each))
            assert (each["severity"] == "problem") == (case.odd.outcome == "refused")


def _gate(case: Case) -> None:
    def check() -> bool:
        check_cases(
            [case.item], labels=case.values, channels=case.channels, spatial_dims=case.dims, workers=1, progress=False
        )
        return True

    assert bool(_call(case, check)) == (case.odd.outcome != "refused")


def _predict(case: Case, bundle: Path) -> None:
    output = case.folder / "predicted"
    request = Request(bundle, [case.made.path], output, device="cpu", runtime="pytorch", progress=False)
    summary = _call(case, lambda: predict_files(request))
    result = None if summary is None else summary.results[0]
    written = {file.name for file in output.rglob("*") if file.is_file() and not file.name.endswith((".json", ".lock"))}
    if result is None or case.odd.outcome == "refused":
        assert case.odd.outcome == "refused"
        assert result is None or result.status == "failed"
        assert result is None or result.traceback is None, result.traceback
        assert result is None or case.odd.words in str(result.error), result.error
        assert not [name for name in written if "_seg" in name or name.startswith(".")], written
        return
    assert result.error is None
    assert result.status == "done"
    if case.odd.outcome == "note":
        assert any(case.odd.words in note for note in result.notes), result.notes
    label = read_volume(result.outputs[0])
    assert label.voxels.shape[: case.dims] == case.shape
    if case.made.affine is not None:
        np.testing.assert_allclose(label.affine, case.made.affine, atol=1e-4)


def _compare(case: Case) -> None:
    twin = case.twin()
    folders = [case.made.path.parent, twin.parent]
    for number, (reference, predicted) in enumerate([folders, folders[::-1]]):
        output = case.folder / f"compared{number}"
        labels = tuple((f"label_{value}", value) for value in case.values if value)
        request = CompareRequest(
            reference, [f"odd={predicted}"], output, labels=labels, jobs=1, resamples=100, progress=False
        )
        summary = _call(case, partial(compare, request))
        assert (summary is None) == (case.odd.outcome == "refused")
        if summary is None:
            assert not list(output.rglob("*"))
            continue
        for row in _rows(output / "cases.csv"):
            assert float(row["dice"]) == 1, row


def _call(case: Case, work: Callable[[], Result]) -> Result | None:
    """Return the result of some work, or None if it refuses the file as expected."""
    try:
        return work()
    except InputError as error:
        refusal = error
    assert case.odd.outcome == "refused", str(refusal)
    _require_words(case, refusal.kind, str(refusal))
    return None


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _sentence(finding: Mapping[str, Any]) -> str:
    return f"found {finding['found']}; expected {finding['expected']}. What to do: {finding['remedy']}."


def _require_words(case: Case, kind: str, text: str) -> None:
    assert kind == case.odd.kind, text
    assert case.odd.words in text, text
