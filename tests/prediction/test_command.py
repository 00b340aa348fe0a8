"""`lightskip predict` as a careless user has it: what is there afterwards, what is said, and the exit status."""

import csv
import gzip
import json
import math
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch

from pipeline.cli import main
from pipeline.prediction import run as run_module
from pipeline.prediction import settings as settings_module
from pipeline.prediction.predictor import Predictor

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SHAPE = (20, 18, 14)
AFFINE = np.array([[-1.0, 0, 0, 10], [0, 1, 0, -9], [0, 0, 1, -7], [0, 0, 0, 1]])
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
SEED = np.random.default_rng(3).normal(100, 40, SHAPE).astype(np.float32)


class Done(NamedTuple):
    """What a start came to."""

    status: int
    printed: str
    said: str


Start = Callable[..., Done]


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """Puts back what a command changes in its process."""
    threads = torch.get_num_threads()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    torch.set_num_threads(threads)


@pytest.fixture
def start(tiny_bundle: Path, capfd: pytest.CaptureFixture[str]) -> Start:
    """Runs `lightskip predict` with the bundle in this process."""

    def run(*words: str | Path, bundle: Path = tiny_bundle) -> Done:
        capfd.readouterr()
        try:
            status = main(["predict", str(bundle), *map(str, words)])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        return Done(status, captured.out, captured.err)

    return run


def save(file: Path, voxels: np.ndarray = SEED, affine: np.ndarray = AFFINE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    image.to_filename(file)
    return file


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder with two scans, a and b."""
    save(tmp_path / "in" / "a.nii.gz")
    save(tmp_path / "in" / "b.nii.gz", SEED[:, :, ::-1])
    return tmp_path / "in"


def files(folder: Path) -> list[str]:
    """All files below a folder, hidden ones included, but for the records."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != ".predicted")


TABLES = ["labels.ctbl", "labels.txt", "report.json"]


def report(folder: Path) -> dict[str, Any]:
    def refuse(word: str) -> Any:
        pytest.fail(f"{word} is no JSON")

    content: dict[str, Any] = json.loads((folder / "report.json").read_text(), parse_constant=refuse)
    return content


def statuses(folder: Path) -> dict[str, str]:
    return {scan["name"]: scan["status"] for scan in report(folder)["scans"]}


# --- bad scans among good ones ----------------------------------------------------------------------------------------


def with_value(value: float) -> np.ndarray:
    voxels = SEED.copy()
    voxels[1, 2, 3] = value
    return voxels


def zero_spacing(file: Path) -> None:
    raw = bytearray(gzip.decompress(save(file).read_bytes()))
    raw[80:92], raw[280:328] = bytes(12), bytes(48)  # pixdim and sform
    file.write_bytes(gzip.compress(bytes(raw)))


def dicom(folder: Path, places: list[float], *, uid: str = "1.2.3", turned: int | None = None) -> None:
    """Write a CT series, a slice of 20 x 18 voxels of 1 mm at each place (mm)."""
    pydicom = pytest.importorskip("pydicom")
    folder.mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(places):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{uid}.{number + 1}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data = pydicom.dataset.FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        for key, value in {
            "SOPClassUID": meta.MediaStorageSOPClassUID,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "SeriesInstanceUID": uid,
            "StudyInstanceUID": "1.2",
            "FrameOfReferenceUID": "1.2.9",
            "Modality": "CT",
            **dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "PatientSex"), ""),
            **dict.fromkeys(("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"), ""),
            "InstanceNumber": number + 1,
            "ImageOrientationPatient": [0, 1, 0, 1, 0, 0] if number == turned else [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [0, 0, place],
            "PixelSpacing": [1, 1],
            "SliceThickness": 1,
            "Rows": SHAPE[1],
            "Columns": SHAPE[0],
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
            "PixelData": SEED[:, :, number].T.astype("<i2").tobytes(),
        }.items():
            setattr(data, key, value)
        data.save_as(folder / f"IM{uid.replace('.', '_')}_{number}")


SLICES = [float(number) for number in range(12)]
# How each is made, and words of what is said of it.
BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "words.nii": (lambda file: file.write_text("no image " * 100), ""),
    "text.nii.gz": (lambda file: file.write_text("no image " * 100), "gzip"),
    "cut.nii.gz": (lambda file: file.write_bytes(save(file).read_bytes()[:9000]), "truncated"),
    "empty.nii.gz": (lambda file: file.write_bytes(b""), "mpty file"),
    "pointer.nii.gz": (lambda file: file.write_bytes(LFS_POINTER), ""),
    "several.nii.gz": (lambda file: save(file, np.stack([SEED, SEED], axis=-1)), "4 axes, shape (20, 18, 14, 2)"),
    "plane.nii.gz": (lambda file: save(file, SEED[..., 0]), "2 axes"),
    "nan.nii.gz": (lambda file: save(file, with_value(np.nan)), "1 of 5040 voxels NaN"),
    "infinite.nii.gz": (lambda file: save(file, with_value(np.inf)), "1 of 5040 voxels infinite"),
    "constant.nii.gz": (lambda file: save(file, np.full(SHAPE, 7, np.float32)), "the same value, 7"),
    "complex.nii.gz": (lambda file: save(file, SEED.astype(np.complex64)), "complex"),
    "spacing0.nii.gz": (zero_spacing, "an sform that is zero"),
    "micrometres.nii.gz": (lambda file: save(file, SEED, np.diag([0.001, 0.001, 0.001, 1])), "0.001 x 0.001 x 0.001"),
    "metres.nii.gz": (lambda file: save(file, SEED, np.diag([1e3, 1e3, 1e3, 1])), ""),
    "gap": (lambda folder: dicom(folder, SLICES[:5] + SLICES[6:]), "1 to 2 mm apart"),
    "two": (lambda folder: [dicom(folder, SLICES, uid=uid) for uid in ("1.2.3", "1.2.4")], "2 DICOM series"),
    "mixed": (lambda folder: dicom(folder, SLICES, turned=4), "differ in orientation"),
    "missing.nii.gz": (lambda _: None, "no such file"),
}
GOOD: dict[str, Callable[[Path], Any]] = {
    "a.nii.gz": save,
    "thin.nii.gz": lambda file: save(file, SEED[..., :1]),
    "small.nii.gz": lambda file: save(file, SEED[:5, :6, :7]),
    "series": lambda folder: dicom(folder, SLICES),
    "z.nii.gz": save,
}


@pytest.fixture(scope="module")
def mixture(
    warm_start: Callable[..., "subprocess.CompletedProcess[str]"],
    tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Done]:
    """What one start made of good and bad scans, and the process that it was."""
    folder = tmp_path_factory.mktemp("mixture")
    (folder / "in").mkdir()
    for name, make in {**GOOD, **{name: make for name, (make, _) in BAD.items()}}.items():
        make(folder / "in" / name)
    words = [str(folder / "in" / name) for name in sorted([*BAD, *GOOD])]
    wanted = ["--probabilities", "--uncertainty", "--statistics", "--preview"]
    done = warm_start("-m", "pipeline", "predict", tiny_bundle, *words, "-o", folder / "out", *wanted)
    return folder, Done(done.returncode, done.stdout, done.stderr)


def name_of(file: str) -> str:
    """The name of a scan; of one that is not there all of it."""
    return file if file.startswith("missing") else file.removesuffix(".gz").removesuffix(".nii")


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_a_bad_scan_is_told_and_leaves_nothing(name: str, mixture: tuple[Path, Done]) -> None:
    folder, done = mixture
    words = BAD[name][1]
    (line,) = [line for line in done.said.splitlines() if line.startswith("error: ") and f"/in/{name}:" in line]
    assert words in line
    assert all(part in line for part in (": found ", "; expected ", ". What to do: "))
    assert statuses(folder / "out")[name_of(name)] == "failed"
    assert not [file for file in files(folder / "out") if file.startswith(f"{name_of(name)}_")]


def test_the_other_scans_are_segmented(mixture: tuple[Path, Done]) -> None:
    folder, done = mixture
    assert done.status == 1
    assert done.printed.startswith(f"{len(GOOD)} of {len(GOOD) + len(BAD)} segmented, {len(BAD)} failed in ")
    assert "Traceback" not in done.said
    endings = ("entropy.nii.gz", "preview.png", "prob.nii.gz", "seg.nii.gz", "statistics.json")
    made = [f"{name_of(name)}_{ending}" for name in GOOD for ending in endings]
    assert files(folder / "out") == sorted([*made, *TABLES, "statistics.csv"])
    for name in GOOD:
        labels = nib.load(folder / "out" / f"{name_of(name)}_seg.nii.gz")
        assert labels.get_fdata().max() <= 2
        if name != "series":
            scan = nib.load(folder / "in" / name)
            assert labels.shape == scan.shape
            np.testing.assert_array_equal(labels.affine, scan.affine)


def test_a_thin_scan_comes_with_a_note(mixture: tuple[Path, Done]) -> None:
    assert "note: thin: one voxel thick along axis 2" in mixture[1].said


def test_the_same_scan_gives_the_same_file(mixture: tuple[Path, Done]) -> None:
    # The one before and the one after all that failed.
    first, last = (nib.load(mixture[0] / "out" / f"{name}_prob.nii.gz").get_fdata() for name in "az")
    np.testing.assert_array_equal(first, last)
    np.testing.assert_allclose(first.sum(axis=-1), 1, atol=1e-5)


def test_the_report_tells_how_it_went(mixture: tuple[Path, Done], tiny_bundle: Path) -> None:
    content = report(mixture[0] / "out")
    assert content["versions"]["torch"] == torch.__version__
    assert {"python", "lightskip", "monai", "numpy"} <= content["versions"].keys()
    assert content["threads"] >= 1
    assert content["seconds"] > 0
    assert content["peak_memory_bytes"] > 1e8
    assert content["interrupted"] is False
    assert content["checkpoints"] == [str(tiny_bundle / "models" / "model.pt")]
    assert [scan["name"] for scan in content["scans"]] == [name_of(name) for name in sorted([*BAD, *GOOD])]
    for scan in content["scans"]:
        if scan["status"] == "done":
            assert set(scan["seconds"]) == {"preparing", "network", "windows", "writing"}
            assert all(Path(file).is_file() for file in scan["outputs"])
            assert scan["uncertainty"] is None or 0 <= scan["uncertainty"] <= 1
        else:
            assert scan["error"]
            assert "outputs" not in scan or scan["outputs"] == []


def test_the_table_has_the_measures_of_all(mixture: tuple[Path, Done]) -> None:
    with (mixture[0] / "out" / "statistics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    labels = nib.load(mixture[0] / "out" / "a_seg.nii.gz").get_fdata()
    (row,) = [row for row in rows if "a" in row.values() and row["label"] == "1"]
    assert int(row["voxels"]) == int((labels == 1).sum())
    # A voxel is 1 cubic millimetre.
    assert math.isclose(float(row["volume_ml"]), int(row["voxels"]) / 1000, rel_tol=1e-4)


def test_the_label_files_are_there(mixture: tuple[Path, Done]) -> None:
    table = (mixture[0] / "out" / "labels.ctbl").read_text().splitlines()
    assert [line.split()[:2] for line in table[1:]] == [["0", "background"], ["1", "core"], ["2", "rim"]]
    assert '"rim"' in (mixture[0] / "out" / "labels.txt").read_text()


# --- starting again ---------------------------------------------------------------------------------------------------


def test_a_second_start_skips_what_is_finished(start: Start, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(scans, "-o", out, "--uncertainty").status == 0
    before = {file: (out / file).stat().st_mtime_ns for file in files(out) if file != "report.json"}
    uncertainty = [scan["uncertainty"] for scan in report(out)["scans"]]
    again = start(scans, "-o", out, "--uncertainty", "--threads", "2")
    assert (again.status, again.said) == (0, "")
    assert again.printed.startswith("0 of 2 segmented, 2 finished earlier in ")
    assert statuses(out) == {"a": "skipped", "b": "skipped"}
    assert [scan["uncertainty"] for scan in report(out)["scans"]] == uncertainty
    assert {
        file: (out / file).stat().st_mtime_ns for file in before if file.startswith(("a", "b"))
    }.items() <= before.items()


@pytest.mark.slow
def test_what_has_changed_is_done_again(start: Start, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    start(scans, "-o", out)
    save(scans / "b.nii.gz", SEED * 2)
    save(scans / "c.nii.gz")
    assert start(scans, "-o", out).status == 0
    assert statuses(out) == {"a": "skipped", "b": "done", "c": "done"}
    assert start(scans, "-o", out, "--statistics").status == 0
    assert set(statuses(out).values()) == {"done"}
    assert start(scans, "-o", out, "--overwrite").status == 0
    assert set(statuses(out).values()) == {"done"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["--fast"], ["--no-postprocessing"], ["--set", "inferer#sw_batch_size=2"], ["--tta"]]
)
def test_other_settings_are_refused_until_overwritten(
    words: list[str], start: Start, scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    start(scans, "-o", out)
    before = (out / "a_seg.nii.gz").read_bytes()
    refused = start(scans / "a.nii.gz", "-o", out, *words)
    assert refused.status == 2
    assert "an earlier file, made with " in refused.said
    assert "--overwrite" in refused.said
    assert (out / "a_seg.nii.gz").read_bytes() == before
    assert start(scans / "a.nii.gz", "-o", out, *words, "--overwrite").status == 0
    assert start(scans / "a.nii.gz", "-o", out, *words).printed.startswith("0 of 1 segmented, 1 finished earlier")


def test_another_bundle_is_refused(start: Start, scans: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    start(scans, "-o", out)
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    weights = torch.load(tmp_path / "bundle" / "models" / "model.pt", weights_only=True)
    torch.save({key: value * 1.01 for key, value in weights.items()}, tmp_path / "bundle" / "models" / "model.pt")
    assert "made with weights " in start(scans, "-o", out, bundle=tmp_path / "bundle").said
    config = tmp_path / "bundle" / "configs" / "inference.json"
    shutil.copy(tiny_bundle / "models" / "model.pt", tmp_path / "bundle" / "models" / "model.pt")
    config.write_text(json.dumps(json.loads(config.read_text()), indent=2))
    assert "made with config " in start(scans, "-o", out, bundle=tmp_path / "bundle").said


@pytest.mark.slow
@pytest.mark.parametrize("stranger", ["a_seg.nii.gz", "a_prob.nii.gz"])
def test_files_of_unknown_origin_stay(stranger: str, start: Start, scans: Path, tmp_path: Path) -> None:
    file = tmp_path / "out" / stranger
    file.parent.mkdir()
    file.write_bytes(b"mine")
    done = start(scans, "-o", file.parent, "--probabilities")
    assert done.status == 1
    assert f"{file}: found an existing file without a record" in done.said
    assert file.read_bytes() == b"mine"
    assert statuses(file.parent) == {"a": "failed", "b": "done"}
    assert start(scans, "-o", file.parent, "--probabilities", "--overwrite").status == 0
    assert file.read_bytes() != b"mine"


def test_a_report_of_unknown_origin_stays(start: Start, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("mine")
    done = start(scans, "-o", tmp_path)
    assert (done.status, (tmp_path / "report.json").read_text()) == (2, "mine")
    assert str(tmp_path / "report.json") in done.said
    assert files(tmp_path) == ["in/a.nii.gz", "in/b.nii.gz", "report.json"]


# --- one file ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_file_in_and_one_file_out(start: Start, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert start(scans / "a.nii.gz", "-o", out / "x.nii.gz").status == 0
    assert start(scans / "a.nii.gz", "-o", out / "x.nrrd", "--format", "nrrd").status == 0
    assert start(scans / "a.nii.gz", "-o", out / "y_seg.nii.gz", "--statistics", "--preview").status == 0
    assert files(out) == ["x.nii.gz", "x.nrrd", "y_preview.png", "y_seg.nii.gz", "y_statistics.json"]
    assert not (out / ".predicted").exists()


@pytest.mark.slow
def test_a_series_gives_a_dicom_segmentation(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    dicom(tmp_path / "ct", SLICES)
    done = start(tmp_path / "ct", "-o", tmp_path / "out" / "x.dcm", "--format", "dicom-seg")
    assert done.status == 0, done.said
    assert files(tmp_path / "out") == ["x.dcm"]
    assert pydicom.dcmread(tmp_path / "out" / "x.dcm").Modality == "SEG"


@pytest.mark.slow
def test_a_series_gives_a_structure_set(start: Start, tmp_path: Path) -> None:
    dicom(tmp_path / "ct", SLICES)
    done = start(tmp_path / "ct", "-o", tmp_path / "out", "--format", "rtstruct")
    assert done.status == 0, done.said
    made = pydicom.dcmread(tmp_path / "out" / "ct_rtstruct.dcm")
    assert [roi.ROIName for roi in made.StructureSetROISequence] == ["core", "rim"]
    assert all(len(outlined.ContourSequence) > 1 for outlined in made.ROIContourSequence)
    # It is no scan, and does not hide the series of its folder.
    again = start(tmp_path / "ct", "-o", tmp_path / "x_rtstruct.dcm", "--format", "rtstruct")
    assert again.status == 0, again.said
    assert pydicom.dcmread(tmp_path / "x_rtstruct.dcm").Modality == "RTSTRUCT"


def test_a_file_that_is_there_is_refused(start: Start, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").write_bytes(b"mine")
    done = start(scans / "a.nii.gz", "-o", tmp_path / "x.nii.gz")
    assert done.status == 2
    assert "--overwrite" in done.said
    assert (tmp_path / "x.nii.gz").read_bytes() == b"mine"
    assert start(scans / "a.nii.gz", "-o", tmp_path / "x.nii.gz", "--overwrite").status == 0
    assert nib.load(tmp_path / "x.nii.gz").shape == SHAPE


# --- nothing can be run -----------------------------------------------------------------------------------------------

A = "in/a.nii.gz"
# The words after the bundle, and words of the message.
NOTHING: dict[str, tuple[str, str]] = {
    "no input": ("-o out", "INPUT"),
    "missing": ("nowhere.nii.gz -o out", "nowhere.nii.gz: found no such file"),
    "empty folder": ("empty -o out", "an empty folder"),
    "no output": (A, "-o"),
    "output is a file": (f"{A} -o in/notes.txt", "in/notes.txt: found a file"),
    "output under a file": (f"{A} -o in/notes.txt/out", "cannot be written to (Not a directory)"),
    "output in a place of the system's": (f"{A} -o /proc/out", "/proc/out: found a folder that cannot be written"),
    "output is the scan": (f"{A} -o {A} --overwrite", "found a scan to segment"),
    "output is another scan": ("in/a.nii.gz in/a_seg.nii.gz -o in --overwrite", "found a scan to segment"),
    "one file for two": ("in/a.nii.gz in/b.nii.gz -o out/x.nii.gz", "one file for 2 scans"),
    "a format that is not written": (f"{A} -o out/x.mha", "ends in .nii.gz or .nii"),
    "another format": (f"{A} -o out/x.nrrd", "--format nii.gz"),
    "no such format": (f"{A} -o out --format tga", "invalid choice"),
    "mistyped setting": (f"{A} -o out --set precisoin=float32", "the nearest are precision"),
    "refused value of a setting": (f"{A} -o out --set inferer#mode=nonsense", "'nonsense' is not a valid BlendMode"),
    "setting without a value": (f"{A} -o out --set precision", "--set"),
    "memory without a unit": (f"{A} -o out --memory 5", "GiB"),
    "memory below everything": (f"{A} -o out --memory 1MB", f"{A}: --memory: found 0.001 GB; expected about "),
    "no threads": (f"{A} -o out --threads 0", "--threads: found 0"),
    "half a thread": (f"{A} -o out --threads 1.5", "invalid int value"),
    "too many threads": (f"{A} -o out --threads 1000000", "--threads: found 1000000"),
    "no such device": (f"{A} -o out --device gpu0", "--device: found gpu0"),
    "no GPU of that number": (f"{A} -o out --device cuda:99", "device 'cuda:99', which does not work here"),
    "no such fold": (f"{A} -o out --folds 7", "the weights of fold 7"),
    "folds and files": (f"{A} -o out --folds 0 --checkpoint x.pt", "--folds: found --checkpoint"),
    "no such weights": (f"{A} -o out --checkpoint x.pt", "x.pt: found no such file"),
    "weights that are none": (f"{A} -o out --checkpoint in/notes.txt", "in/notes.txt: found"),
    "no series for DICOM": (f"{A} -o out --format dicom-seg", "DICOM series"),
    "no series for a structure set": (f"{A} -o out --format rtstruct", "DICOM series"),
    "no name of a structure set": (f"{A} -o out/x.dcm --format rtstruct", "ends in _rtstruct.dcm"),
    "the name of a structure set": (f"{A} -o out/x_rtstruct.dcm --format dicom-seg", "--format dicom-seg"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_run(name: str, start: Start, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (scans / "notes.txt").write_text("mine")
    save(scans / "a_seg.nii.gz")
    (tmp_path / "empty").mkdir()
    before = {file: (tmp_path / file).read_bytes() for file in files(tmp_path)}
    words, message = NOTHING[name]
    done = start(*words.split())
    assert done.status == 2
    assert message in done.said
    assert "Traceback" not in done.said
    after = {file: (tmp_path / file).read_bytes() for file in files(tmp_path) if Path(file).name not in TABLES}
    assert after == before


def test_no_bundle(start: Start, scans: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    for folder, message in {
        tmp_path / "nowhere": "no such folder",
        scans: "no configs/inference.json",
        scans / "a.nii.gz": "found a file",
    }.items():
        done = start(scans, "-o", tmp_path / "out", bundle=folder)
        assert (done.status, message in done.said) == (2, True), done.said
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "bundle" / "models" / "model.pt").unlink()
    done = start(scans, "-o", tmp_path / "out", bundle=tmp_path / "bundle")
    assert done.status == 2
    assert "models/model.pt: found no such file" in done.said
    assert not (tmp_path / "out").exists()


def test_mirroring_needs_a_bundle_that_was_trained_with_it(
    start: Start, scans: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    config = tmp_path / "bundle" / "configs" / "inference.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"mirror_axes": []}))
    done = start(scans, "-o", tmp_path / "out", "--tta", bundle=tmp_path / "bundle")
    assert done.status == 2
    assert "--tta: found no mirror axes" in done.said


# --- a full disk, and an end from outside -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["--probabilities"], ["--preview", "--statistics"]])
def test_a_full_disk_leaves_no_part_of_a_file(words: list[str], start: Start, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Voxels of one label compress too well to fill anything: the limit is below any label map.
    save(scans / "b.nii.gz", SEED)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    start(scans / "a.nii.gz", "-o", out)
    kept = (out / "a_seg.nii.gz").read_bytes()
    shutil.rmtree(out)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) - 1, hard))
    try:
        done = start(scans / "a.nii.gz", "-o", out / "x.nii.gz", *words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.status == 2
    assert "found file too large" in done.said
    assert str(out / "x") in done.said
    assert "free space on its disk" in done.said
    assert files(out) == []


def at_second(method: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The same, but the process gets a signal in its second call."""
    calls: list[None] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return method(*args, **kwargs)

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "threads", "number"),
    [
        (moment, threads, number)
        for moment, numbers in {
            "reading": (signal.SIGINT, signal.SIGTERM),
            "network": (signal.SIGTERM, signal.SIGINT),
            "writing": (signal.SIGINT, signal.SIGTERM),
        }.items()
        for threads, number in zip(("1", "2"), numbers, strict=True)
    ],
)
def test_an_interrupt_stops_cleanly_and_the_next_start_goes_on(
    moment: str,
    threads: str,
    number: signal.Signals,
    start: Start,
    scans: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in "cd":
        save(scans / f"{name}.nii.gz")
    out = tmp_path / "out"
    owner, method = {
        "reading": (Predictor, "prepare"),
        "network": (Predictor, "segment"),
        "writing": (run_module, "write_outputs"),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, at_second(getattr(owner, method), number))
        done = start(scans, "-o", out, "--probabilities", "--threads", threads)
    assert done.status == 130
    assert done.said.strip().endswith("interrupted")
    assert "Traceback" not in done.said
    kept = [file for file in files(out) if file not in TABLES]
    assert len(kept) % 2 == 0
    assert len(kept) < 8
    assert {file.split("_")[1] for file in kept} <= {"seg.nii.gz", "prob.nii.gz"}
    content = report(out)
    assert content["interrupted"] is True
    assert [scan["name"] for scan in content["scans"]] == [file[0] for file in kept if "_seg" in file]
    again = start(scans, "-o", out, "--probabilities", "--threads", threads)
    assert again.status == 0
    assert f"{len(kept) // 2} finished earlier" in again.printed or not kept
    assert report(out)["interrupted"] is False
    assert len(files(out)) == 8 + len(TABLES)


def test_a_shell_s_wish_to_ignore_ctrl_c_is_respected(start: Start, scans: Path, tmp_path: Path) -> None:
    # As for what is started in the background, or by nohup.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert start(scans / "a.nii.gz", "-o", tmp_path / "out").status == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


# --- processes of their own -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_write_what_one_writes(start: Start, scans: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (scans / "bad.nii.gz").write_bytes(b"")
    save(scans / "c.nii.gz", SEED * 2)
    # One process has other windows to compute than two, and may choose another runtime for them.
    words = ["--probabilities", "--statistics", "--threads", "1", "--runtime", "pytorch"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert start(scans, "-o", one, *words).status == 1
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "pipeline", "predict", str(tiny_bundle), str(scans), "-o", str(two), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("segmented, 1 failed in ") == 1
    assert (done.stdout + done.stderr).count("error: ") == 1
    assert files(two) == files(one)
    for file in files(one):
        if file != "report.json":
            assert (two / file).read_bytes() == (one / file).read_bytes(), file
    alone, together = report(one), report(two)
    assert together["processes"] == 2
    assert statuses(two) == statuses(one)
    changing = {"started", "seconds", "peak_memory_bytes", "memory_budget_bytes", "processes", "scans"}
    assert {key: together[key] for key in together.keys() - changing} == {
        key: alone[key] for key in alone.keys() - changing
    }


@pytest.mark.slow
def test_a_terminal_shows_one_line_and_messages_above_it(scans: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (scans / "bad.nii.gz").write_bytes(b"")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, "-m", "pipeline", "predict", str(tiny_bundle), str(scans), "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed: Linux has no end of file here
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(timeout=300) == 1
    text = shown.decode()
    assert "100%" in text
    assert " left" in text
    # What stands in each line at the end: nothing of the bar is in the lines of the messages.
    final = [line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n")]
    assert any(line.startswith("error: ") and "bad.nii.gz" in line for line in final)
    assert any(line.startswith("2 of 3 segmented, 1 failed in ") for line in final)
    # How often it is drawn depends on the machine; what is left of it is one full bar, below the messages.
    bars = [number for number, line in enumerate(final) if " left" in line]
    assert len(bars) == 1
    assert "100%" in final[bars[0]]
    assert all(number < bars[0] for number, line in enumerate(final) if line.startswith("error: "))


def test_threads_are_counted_for_all_that_compute(start: Start, scans: Path, tmp_path: Path) -> None:
    for count in ("2", "1"):
        assert start(scans / "a.nii.gz", "-o", tmp_path / count, "--threads", count).status == 0
        assert report(tmp_path / count)["threads"] == int(count) == torch.get_num_threads()
        # NumPy and ITK count theirs by these when they are imported, which in a process of its own comes after this.
        assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == count


def test_a_log_file_has_no_bar(start: Start, scans: Path, tmp_path: Path) -> None:
    done = start(scans, "-o", tmp_path / "out")
    assert done.said == ""
    assert done.printed.count("\n") == 1


def test_a_folder_where_all_failed_is_taken_up_again(start: Start, scans: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert start(tmp_path / "none.nii.gz", "-o", tmp_path / "out").status == 2
        assert report(tmp_path / "out")["scans"][0]["status"] == "failed"
    assert start(scans / "a.nii.gz", "-o", tmp_path / "out").status == 0


# --- runtimes ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
def test_the_report_tells_the_runtime(start: Start, scans: Path, tmp_path: Path) -> None:
    for name in ("pytorch", "openvino"):
        done = start(scans / "a.nii.gz", "-o", tmp_path / name, "--runtime", name, "--memory", "4GB")
        assert (done.status, done.said) == (0, "")
    with_pytorch, found = report(tmp_path / "pytorch"), report(tmp_path / "openvino")
    assert (with_pytorch["runtime"], found["runtime"]) == ("pytorch", "openvino")
    assert with_pytorch["conversion_seconds"] == 0 < found["conversion_seconds"]
    assert "openvino" not in with_pytorch["versions"]
    assert found["versions"]["openvino"] == version("openvino")
    maps = [nib.load(tmp_path / name / "a_seg.nii.gz").get_fdata() for name in ("pytorch", "openvino")]
    # Where two labels are as likely as each other, rounding may decide.
    assert (maps[0] != maps[1]).mean() < 0.001


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
def test_a_folder_is_continued_with_the_runtime_that_began_it(start: Start, scans: Path, tmp_path: Path) -> None:
    # Two runtimes round differently, so one folder has label maps of only one.
    for name in ("openvino", "pytorch"):
        out = tmp_path / name
        assert start(scans / "a.nii.gz", "-o", out, "--runtime", name).status == 0
        assert start(scans, "-o", out).status == 0
        assert statuses(out) == {"a": "skipped", "b": "done"}
        assert (report(out)["runtime"], report(out)["runtime_reason"]) == (name, "the output folder was begun with it")
        # All are finished now: nothing is measured, and the report still has the runtime.
        assert start(scans, "-o", out).printed.startswith("0 of 2 segmented, 2 finished earlier in ")
        assert report(out)["runtime"] == name
    done = start(scans, "-o", tmp_path / "openvino", "--runtime", "pytorch")
    assert done.status == 2
    assert done.said.count("runtime openvino (now pytorch)") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--runtime", "onnxruntime"), "one of auto, pytorch, openvino"),
        (("--runtime", "openvino"), "pip install 'lightskip[runtime]'"),
        (("--runtime", "openvino", "--device", "cuda"), "leave one of the two out"),
    ],
)
def test_a_runtime_that_cannot_be_is_told_before_anything_is_read(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    monkeypatch.setattr(settings_module, "find_spec", lambda _: object() if "cuda" in words else None)
    # There is no such scan: that would be told after.
    done = start(tmp_path / "none.nii.gz", "-o", tmp_path / "out", *words)
    assert done.status == 2
    assert done.printed == ""
    assert done.said.startswith("error: --runtime")
    assert told in done.said
    assert not (tmp_path / "out").exists()
