import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.cli import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIGHTSKIP_DATA", str(tmp_path / "data"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_bundles_lists_what_is_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles"]) == 0
    assert "hippocampus_mri 0.3.0 (shipped)" in capsys.readouterr().out
    assert main(["bundles", "--json"]) == 0
    bundles = {one["name"]: one for one in json.loads(capsys.readouterr().out)["bundles"]}
    assert bundles["hippocampus_mri"]["folder"] == str(ROOT / "bundles" / "hippocampus_mri")
    assert bundles["hippocampus_mri"]["spacing_mm"] == [1.0, 1.0, 1.0]


def test_a_copy_is_taken_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundles", "copy", "left_right"]) == 0
    assert capsys.readouterr().out == "copied: left_right\nnext: lightskip train left_right --dataset_dir DIR\n"
    assert main(["bundles", "copy", "left_right"]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert main(["render", "--check", "left_right"]) == 0
    assert main(["train", "left_right", "--dry-run"]) == 0
    assert "--config_file left_right/configs/train.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    ["predict", "evaluate", "train", "render", "postprocess", "quantize", "export -o x", "probe -o x", "bench"],
)
def test_every_verb_takes_names_and_names_the_nearest(capsys: pytest.CaptureFixture[str], words: str) -> None:
    verb, *options = words.split()
    scans = ["scan.nii.gz", "-o", "out"] if verb == "predict" else []
    assert main([verb, "hipocampus_mri", *options, *scans]) == 2
    error = capsys.readouterr().err
    assert "no bundle of this name" in error
    assert "did you mean hippocampus_mri?" in error


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("train X", "lightskip train writes into it"),
        ("train X --output_dir y", "lightskip train writes into it"),
        ("evaluate X", "--output_dir DIR"),
        ("render X", "lightskip render writes into it"),
        ("postprocess X", "lightskip postprocess writes into it"),
        ("quantize X", "lightskip quantize writes into it"),
    ],
)
def test_verbs_that_write_into_a_bundle_ask_for_a_copy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, answer: str
) -> None:
    # The checkout's bundles, as if they were in an installed package.
    monkeypatch.setattr("pipeline.bundle.at_hand.shipped._PACKAGE", ROOT)
    assert main(words.replace("X", "left_right").split()) == 2
    error = capsys.readouterr().err
    assert "lightskip bundles copy left_right" in error
    assert answer in error
    assert list(tmp_path.rglob("*")) == [tmp_path / "work"]


def test_import_makes_a_bundle_known_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as opened:
        opened.writestr("spleen/configs/metadata.json", json.dumps({"version": "0.1.0", "task": "Segmentation"}))
    assert main(["import", str(tmp_path / "download.zip"), "--yes"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["bundles", "--json"]) == 0
    found = [one for one in json.loads(capsys.readouterr().out)["bundles"] if one["name"] == "spleen"]
    assert [(one["source"], one["folder"]) for one in found] == [("imported", str(tmp_path / "work" / "spleen"))]


def test_it_imports_neither_torch_nor_monai() -> None:
    code = (
        "import sys; from pipeline.cli import main; main(['bundles', '--json']); "
        "sys.exit(bool({'torch', 'monai', 'SimpleITK', 'itk'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["bundles"]
