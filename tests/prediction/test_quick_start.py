"""`lightskip predict` without PyTorch and MONAI, for what needs no network: mistakes, and scans that are finished."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.prediction import with_network
from pipeline.prediction.request import Request

# Runs commands in turn; prints for each its status, its messages, and the heavy packages that are imported by then.
PROGRAM = """
import contextlib, io, json, sys
from pipeline.cli import main
heavy = {"torch", "monai", "scipy.ndimage", "scipy.optimize", "pandas", "itk", "openvino"}
heavy |= {"scipy.stats", "skimage.morphology", "matplotlib", "torch.distributed.fsdp", "tifffile"}
found = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    found.append([status, out.getvalue(), err.getvalue(), sorted(heavy & sys.modules.keys())])
print(json.dumps(found))
"""
SHAPE = (20, 18, 14)
# The words after the bundle, and words of the message.
MISTAKES = {
    "no such scan": ("nowhere.nii.gz -o OUT", "nowhere.nii.gz: found no such file"),
    "no scan": ("empty -o OUT", "an empty folder"),
    "damaged scan": ("damaged.nii.gz -o OUT", "damaged.nii.gz: found "),
    "mistyped setting": ("scan.nii.gz -o OUT --set precisoin=float32", "the nearest are precision"),
    "prediction's own setting": ("scan.nii.gz -o OUT --set device=cpu", "--set device: found a key"),
    "no such runtime": ("scan.nii.gz -o OUT --runtime nonsense", "expected one of auto, pytorch, openvino"),
    "no such device": ("scan.nii.gz -o OUT --device gpu0", "--device: found gpu0"),
    "no threads": ("scan.nii.gz -o OUT --threads 0", "--threads: found 0"),
    "no such weights": ("scan.nii.gz -o OUT --checkpoint x.pt", "x.pt: found no such file"),
    "output is a file": ("scan.nii.gz -o damaged.nii.gz", "damaged.nii.gz: found an existing file without a record"),
}


class Done(NamedTuple):
    status: int
    printed: str
    said: str
    heavy: list[str]


def run(commands: Mapping[str, list[str]], folder: Path) -> dict[str, Done]:
    """Run `lightskip` with these words in one process, whose folder is the given one."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(commands.values()))],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, (Done(*one) for one in json.loads(done.stdout)), strict=True))


def save(file: Path, seed: int = 0) -> None:
    voxels = np.random.default_rng(seed).normal(100, 40, SHAPE).astype(np.float32)
    nib.Nifti1Image(voxels, np.eye(4)).to_filename(file)


@pytest.fixture(scope="module")
def mistakes(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Done]]:
    folder = tmp_path_factory.mktemp("mistakes")
    save(folder / "scan.nii.gz")
    (folder / "damaged.nii.gz").write_bytes(b"no image")
    (folder / "empty").mkdir()
    bare = shutil.copytree(tiny_bundle, folder / "bare")
    (bare / "models" / "model.pt").unlink()
    commands = {name: ["predict", str(tiny_bundle), *words.split()] for name, (words, _) in MISTAKES.items()}
    commands["no weights"] = ["predict", str(bare), "scan.nii.gz", "-o", "OUT"]
    commands["no bundle"] = ["predict", "nowhere", "scan.nii.gz", "-o", "OUT"]
    return folder, run(commands, folder)


@pytest.mark.parametrize("name", [*MISTAKES, "no weights", "no bundle"])
def test_a_mistake_is_reported_without_pytorch_and_monai(name: str, mistakes: tuple[Path, dict[str, Done]]) -> None:
    folder, found = mistakes
    more = {"no weights": "models/model.pt: found no such file", "no bundle": "nowhere: found no such folder"}
    message = MISTAKES[name][1] if name in MISTAKES else more[name]
    done = found[name]
    assert done.status == 2
    assert message in done.said
    assert done.heavy == []
    assert (folder / "damaged.nii.gz").read_bytes() == b"no image"
    assert not list((folder / "OUT").glob("*.nii.gz"))


class Finished(NamedTuple):
    """What two starts wrote; of the second also its messages."""

    first: dict[str, Any]
    second: dict[str, Any]
    files: tuple[dict[str, bytes], dict[str, bytes]]
    done: Done


@pytest.fixture(scope="module")
def finished(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "in").mkdir()
    for seed, name in enumerate("ab"):
        save(folder / "in" / f"{name}.nii.gz", seed)
    out = folder / "out"
    words = ["predict", str(tiny_bundle), str(folder / "in"), "-o", str(out), "--statistics", "--uncertainty"]
    assert main([*words, "--device", "cpu"]) == 0

    def read() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}

    before, first = read(), json.loads((out / "report.json").read_text())
    for name in ("statistics.csv", "labels.ctbl", "labels.txt"):
        # They are written anew at every start.
        (out / name).unlink()
    (done,) = run({"again": words}, folder).values()
    return Finished(first, json.loads((out / "report.json").read_text()), (before, read()), done)


def test_a_finished_folder_is_reported_without_pytorch_and_monai(finished: Finished) -> None:
    done = finished.done
    assert (done.status, done.said) == (0, "")
    assert done.printed.startswith("0 of 2 segmented, 2 finished earlier in ")
    # Statistics need a part of SciPy.
    assert set(done.heavy) <= {"scipy.ndimage"}


def test_the_files_of_a_finished_folder_stay_as_they_were(finished: Finished) -> None:
    before, after = finished.files
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {"report.json"}


def test_the_report_of_a_finished_folder_has_what_the_first_one_had(finished: Finished) -> None:
    first, second = finished.first, finished.second
    assert second.keys() == first.keys()
    # Nothing was computed, so there is no device, and no reason for a runtime.
    assert (second["device"], second["runtime_reason"]) == (None, "no scan was segmented")
    changing = {"started", "seconds", "peak_memory_bytes", "memory_budget_bytes", "device", "threads", "scans"}
    same = second.keys() - changing - {"runtime_reason"}
    assert {key: second[key] for key in same} == {key: first[key] for key in same}
    assert [(scan["name"], scan["status"]) for scan in second["scans"]] == [("a", "skipped"), ("b", "skipped")]
    for one, other in zip(first["scans"], second["scans"], strict=True):
        assert {key: one[key] for key in ("files", "outputs", "uncertainty")} == {
            key: other[key] for key in ("files", "outputs", "uncertainty")
        }
    assert second["peak_memory_bytes"] > 0


def test_a_report_of_failed_scans_has_all_keys_as_well(finished: Finished, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no image")
    assert main(["predict", str(tiny_bundle), str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out")]) == 2
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report.keys() == finished.first.keys()
    # Nobody has chosen them yet.
    assert (report["precision"], report["runtime"]) == (None, None)


def test_the_network_is_loaded_only_if_a_scan_needs_it(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.nii.gz")
    words = ["predict", str(tiny_bundle), str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out")]
    assert main(words) == 0
    asked = []

    def segment(request: Request, *_: Any, **__: Any) -> Any:
        asked.append(request)
        return SimpleNamespace(status=0, first=False)

    monkeypatch.setattr(with_network, "segment_files", segment)
    for more, count in (([], 0), (["--statistics"], 1), (["--overwrite"], 2), ([], 2)):
        assert main([*words, *more]) == 0
        assert len(asked) == count
    # Another process waits for this one's result.
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(words) == 0
    assert len(asked) == 3


def test_a_second_start_with_an_exported_bundle_keeps_the_names_of_labels(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    config = bundle / "configs" / "inference.json"
    # An exported config has no labels: they are in the metadata.
    labels = json.loads(config.read_text())["labels"]
    content = json.loads(config.read_text().replace('"@labels"', json.dumps(labels)))
    del content["labels"]
    config.write_text(json.dumps(content))
    save(tmp_path / "a.nii.gz")
    tables = []
    for _ in range(2):
        assert main(["predict", str(bundle), str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out")]) == 0
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        tables.append((report["labels"], (tmp_path / "out" / "labels.ctbl").read_text()))
    assert report["scans"][0]["status"] == "skipped"
    assert tables[0][0] == {"core": 1, "rim": 2}
    assert tables[1] == tables[0]


@pytest.mark.slow
def test_one_scan_imports_no_package_that_it_does_not_use(tiny_bundle: Path, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "scan.nii.gz")
    words = ["predict", str(tiny_bundle), "scan.nii.gz", "-o", "seg.nii.gz", "--device", "cpu"]
    done = run({"one": words}, tmp_path)["one"]
    assert (done.status, done.said) == (0, "")
    assert done.heavy == ["monai", "torch"]
