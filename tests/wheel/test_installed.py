"""A new user's way with the installed wheel, in an empty folder. The sample's scans are synthetic."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytestmark = pytest.mark.wheel
ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def package(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed package."""
    done = run("python", "-c", "import pipeline; print(pipeline.__file__)", cwd=tmp_path_factory.mktemp("empty"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).parent


def checksums(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module", autouse=True)
def nothing_is_written_into_the_package(package: Path) -> Iterator[None]:
    before = checksums(package)
    yield
    assert checksums(package) == before


@pytest.fixture(scope="module")
def lightskip(run: Run) -> Callable[..., str]:
    """Run `lightskip`, which must succeed, and return what it printed."""

    def start(*words: object, cwd: Path) -> str:
        done = run("lightskip", *words, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return start


@pytest.fixture(scope="module")
def sample(lightskip: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, but for the sample."""
    folder = tmp_path_factory.mktemp("user")
    lightskip("sample", "data", "--cases", "5", "--scans", "1", cwd=folder)
    return folder


def test_the_package_comes_from_the_wheel(package: Path, installed: Path) -> None:
    assert package.is_relative_to(installed)
    assert not package.is_relative_to(ROOT)


def test_from_a_sample_to_a_bundle(lightskip: Callable[..., str], sample: Path) -> None:
    lightskip("datalist", "data", "-o", "sample.json", cwd=sample)
    assert "Fit for training" in lightskip("check", "sample.json", cwd=sample)
    # The page's styles and templates are in the wheel.
    assert "</style>" in (sample / "sample_check" / "check.html").read_text()
    lightskip("plan", "sample.json", "--name", "small", "--hours", "0.02", "--memory", "2GB", cwd=sample)
    assert (sample / "bundles" / "small" / "configs" / "train.json").is_file()
    lightskip("train", "small", "--dry-run", cwd=sample)


def test_a_shipped_bundle_segments_a_scan_by_its_name(lightskip: Callable[..., str], sample: Path) -> None:
    scan = sample / "data" / "imagesTs" / "scan_000.nii.gz"
    lightskip("predict", "hippocampus_mri", scan, "-o", "seg.nii.gz", cwd=sample)
    found, given = nibabel.load(sample / "seg.nii.gz"), nibabel.load(scan)
    assert found.shape == given.shape
    assert np.array_equal(found.affine, given.affine)
    assert set(np.unique(found.dataobj)) <= {0, 1, 2}


def test_jobs_start_without_the_command_on_the_path(run: Run, sample: Path) -> None:
    pytest.importorskip("snakemake", reason="Snakemake is not installed: pip install 'lightskip[study]'")
    words = ("cohort", "hippocampus_mri", "data/imagesTs", "-o", "cohort", "--threads", "1")
    done = run("python", "-P", "-m", "pipeline", *words, cwd=sample)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 segmented" in done.stdout
    assert (sample / "cohort" / "scan_000_seg.nii.gz").is_file()


def test_python_takes_the_name_too(run: Run, sample: Path) -> None:
    code = (
        "import pipeline; found = pipeline.predict('hippocampus_mri', 'data/imagesTs/scan_000.nii.gz', "
        "runtime='pytorch'); print(found.labels.shape); "
        "print(pipeline.Predictor('hippocampus_mri', runtime='pytorch').bundle.name)"
    )
    done = run("python", "-W", "ignore", "-c", code, cwd=sample)
    assert done.returncode == 0, done.stderr
    shape = nibabel.load(sample / "data" / "imagesTs" / "scan_000.nii.gz").shape
    assert done.stdout.splitlines() == [str(shape), "Hippocampus head and body in T1 MRI"]


def test_the_shipped_weights_segment_real_scans(lightskip: Callable[..., str], real_data: Path, tmp_path: Path) -> None:
    data = real_data / "hippocampus"
    case = json.loads((data / "dataset.json").read_text())["training"][0]
    label = data / case["label"]
    lightskip("predict", "hippocampus_mri", data / case["image"], "-o", "seg.nii.gz", cwd=tmp_path)
    found, reference = (np.asarray(nibabel.load(file).dataobj) for file in (tmp_path / "seg.nii.gz", label))
    for value in (1, 2):
        both = np.sum((found == value) & (reference == value))
        assert 2 * both / (np.sum(found == value) + np.sum(reference == value)) > 0.75


def test_bundles_are_listed_for_programs(lightskip: Callable[..., str], package: Path, tmp_path: Path) -> None:
    bundles = {one["name"]: one for one in json.loads(lightskip("bundles", "--json", cwd=tmp_path))["bundles"]}
    assert bundles.keys() == {"em_membrane", "hippocampus_mri", "left_right", "synthetic_shapes"}
    shipped = bundles["hippocampus_mri"]
    assert (shipped["source"], shipped["folder"]) == ("shipped", str(package / "bundles" / "hippocampus_mri"))
    assert (shipped["modality"], shipped["licence"]) == ("MRI", "CC-BY-SA-4.0")


def test_a_copy_can_be_trained_and_the_original_cannot(run: Run, lightskip: Callable[..., str], tmp_path: Path) -> None:
    refused = run("lightskip", "train", "left_right", cwd=tmp_path)
    assert refused.returncode == 2
    assert "lightskip bundles copy left_right" in refused.stderr
    lightskip("bundles", "copy", "left_right", cwd=tmp_path)
    assert lightskip("render", "--check", "left_right", cwd=tmp_path) == ""
    assert "left_right/configs/train.json" in lightskip("train", "left_right", "--dry-run", cwd=tmp_path)


MISSING = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as if it were not installed
sys.argv = ["lightskip", *sys.argv[2:]]
from pipeline.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("packages", "words", "extra"),
    [
        ("openvino", "predict hippocampus_mri SCAN -o a.nii.gz --runtime openvino", "runtime"),
        ("openvino", "predict hippocampus_mri SCAN -o a.nii.gz --runtime int8", "runtime"),
        ("highdicom", "predict hippocampus_mri SCAN -o a.dcm --format dicom-seg", "dicom"),
        ("nncf", "quantize hippocampus_mri --dry-run", "quantize"),
        ("matplotlib", "picture SCAN -o a.png", "report"),
        ("onnx,onnxscript,onnxruntime", "export hippocampus_mri -o a --without ts pt2 zip", "export"),
    ],
    ids=lambda value: value.split()[0] if " " in value else value,
)
def test_a_missing_extra_is_one_message(run: Run, sample: Path, packages: str, words: str, extra: str) -> None:
    given = words.replace("SCAN", "data/imagesTs/scan_000.nii.gz").split()
    done = run("python", "-W", "ignore", "-c", MISSING, packages, *given, cwd=sample)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert f"pip install 'lightskip[{extra}]'" in errors[0]
    assert "Traceback" not in done.stderr
    assert not list(sample.glob("a*"))
