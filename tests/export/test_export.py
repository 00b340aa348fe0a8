from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from monai.bundle import ConfigParser

from pipeline.bundle.render import write_rendered
from pipeline.data.errors import InputError
from pipeline.data.int8_file import find_int8, write_int8
from pipeline.export.archive import CHECKSUMS, list_files, write_large_files
from pipeline.export.export import export_bundle
from pipeline.prediction.loaded_bundle import load_bundle

BUNDLES = Path(__file__).resolve().parents[2] / "bundles"
_QUICK = ("ts", "pt2", "onnx", "zip")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of a bundle without weights."""
    return shutil.copytree(
        BUNDLES / "synthetic_shapes", tmp_path / "bundles" / "synthetic_shapes", ignore=shutil.ignore_patterns("runs")
    )


@pytest.fixture
def weights(bundle: Path, tmp_path: Path) -> Path:
    """Weights of its network, drawn at random."""
    file = tmp_path / "weights.pt"
    torch.save(_network(bundle).state_dict(), file)
    return file


def _network(folder: Path) -> torch.nn.Module:
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser.config["bundle_root"] = str(folder)
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    return network.eval()


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_folder_has_what_a_bundle_must_have(bundle, weights, tmp_path):
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    names = {name for name, _ in list_files(made.folder)}
    assert {f"configs/{name}.json" for name in ("metadata", "train", "evaluate", "inference")} <= names
    assert {f"configs/{name}.json" for name in ("multi_gpu_train", "multi_gpu_evaluate", "inference_trt")} <= names
    assert {"LICENSE", "models/model.pt", "docs/README.md", "configs/logging.conf"} <= names
    assert not any("plan.yaml" in name or name.startswith("runs/") for name in names)
    assert _left(tmp_path / "out") == ["synthetic_shapes"]


def test_predict_reads_its_parts(bundle, weights, tmp_path):
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    parts = load_bundle(made.folder, device="cpu")
    # By the metadata: an exported config has no names of labels.
    assert parts.labels == {"background": 0, "ellipsoid": 1, "shell": 2, "tube": 3}
    assert (parts.precision, len(parts.clean.transforms)) == ("float32", 0)
    with pytest.raises(InputError, match="found no mirror axes"):
        load_bundle(made.folder, tta=True)


@pytest.mark.slow
def test_hard_selected_channels_are_pruned_and_the_output_stays(bundle, tmp_path):
    plan = bundle / "plan.yaml"
    plan.write_text(plan.read_text().replace("skip: sat\n", "skip: sat_hard\n"))
    write_rendered(bundle)
    network = _network(bundle)
    weights = network.state_dict()
    for name, weight in weights.items():
        if name.endswith("select.weight"):
            weight[1::2] = 0.01  # below the threshold of 0.05
    torch.save(weights, tmp_path / "weights.pt")
    made = export_bundle(bundle, tmp_path / "out", checkpoint=tmp_path / "weights.pt", without=_QUICK)
    assert made.left_out == {0: (8, 16), 1: (16, 32)}
    smaller = torch.load(made.folder / "models" / "model.pt", weights_only=True)
    assert smaller["decoder.1.skip.attend.conv.weight"].shape[1] == 8
    # The exported config builds the smaller network with the exported code.
    exported = _network(made.folder)
    assert type(exported).__module__.startswith("synthetic_shapes_")
    exported.load_state_dict(smaller)
    window = torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(exported(window), network(window), rtol=0, atol=1e-5)
    assert "8 of 16 at level 0, 16 of 32 at level 1" in (made.folder / "docs" / "README.md").read_text()


@pytest.mark.slow
def test_the_int8_form_goes_along_on_wish(bundle, weights, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"weights\.int8\.json: found no such file"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK, int8=True)
    assert _left(tmp_path / "out") == []

    def save(path: Path) -> None:
        path.write_text("<net/>")
        path.with_suffix(".bin").write_bytes(b"numbers")

    write_int8(weights, save, {"window": [1, 32, 32, 32]})
    if find_spec("openvino") is not None:
        with pytest.raises(InputError, match=r"weights\.int8\.xml: found a network that OpenVINO cannot read"):
            export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK, int8=True)
    monkeypatch.setattr("pipeline.export.network.OpenVINONetwork", lambda *_, **__: None)
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK, int8=True)
    assert find_int8(made.folder / "models" / "model.pt", shape=(1, 32, 32, 32)).read_text() == "<net/>"
    assert "`model.int8.xml` with its `.bin` is the network in int8" in (made.folder / "docs" / "README.md").read_text()
    listed = (made.folder / CHECKSUMS).read_text()
    assert all(f"models/model.int8.{ending}" in listed for ending in ("xml", "bin", "json"))
    plain = export_bundle(bundle, tmp_path / "plain", checkpoint=weights, without=_QUICK)
    assert not list(plain.folder.rglob("*int8*"))
    assert "int8" not in (plain.folder / "docs" / "README.md").read_text()


def test_bundles_without_weights_say_how_to_get_them(bundle, tmp_path):
    with pytest.raises(InputError, match=r"no such file, and no training.*train first.*--checkpoint FILE"):
        export_bundle(bundle, tmp_path / "out", without=_QUICK)
    assert _left(tmp_path / "out") == []


def test_weights_of_another_network_are_refused(bundle, tmp_path):
    with pytest.raises(InputError, match=r"model\.pt"):
        export_bundle(
            bundle, tmp_path / "out", checkpoint=BUNDLES / "hippocampus_mri" / "models" / "model.pt", without=_QUICK
        )
    assert _left(tmp_path / "out") == []


def test_configs_that_are_not_the_plans_are_refused(bundle, weights, tmp_path):
    config = bundle / "configs" / "train.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match=r"differ from plan\.yaml: configs/train\.json.*lightskip render"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)


@pytest.mark.slow
def test_an_earlier_export_stays_unless_it_may_go(bundle, weights, tmp_path):
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    made_at = (made.folder / "LICENSE").stat().st_ino
    with pytest.raises(InputError, match="--overwrite"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    assert (made.folder / "LICENSE").stat().st_ino == made_at
    # Of another folder than the one that takes its place.
    (tmp_path / "out" / "synthetic_shapes_v0.1.0.zip").touch()
    export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK, overwrite=True)
    assert (made.folder / "LICENSE").stat().st_ino != made_at
    assert _left(tmp_path / "out") == ["synthetic_shapes"]


def test_a_failure_leaves_nothing(bundle, weights, tmp_path, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device", "model.pt")

    monkeypatch.setattr("pipeline.export.contents.write_checksums", fails)
    with pytest.raises(OSError, match="No space left"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    assert _left(tmp_path / "out") == []


@pytest.mark.export
def test_a_form_that_pytorch_cannot_write_is_told(bundle, weights, tmp_path):
    (bundle / "my_skips.py").write_text(_UNSCRIPTABLE)
    plan = bundle / "plan.yaml"
    plan.write_text(plan.read_text().replace("skip: sat\n", "skip: {skip: looking}\nimports: [my_skips]\n"))
    write_rendered(bundle)
    sys.path.insert(0, str(bundle))
    try:
        torch.save(_network(bundle).state_dict(), tmp_path / "own.pt")
    finally:
        sys.path.remove(str(bundle))
    with pytest.raises(
        InputError, match=r"models/model\.ts: found PyTorch cannot write it: \S+Error: \w.*--without ts"
    ):
        export_bundle(bundle, tmp_path / "out", checkpoint=tmp_path / "own.pt", without=["pt2", "onnx", "zip"])
    assert _left(tmp_path / "out") == []


_UNSCRIPTABLE = """
from pipeline.networks import Skip, SkipConnection


@Skip.register("looking")
class Looking(SkipConnection):
    def __init__(self, spatial_dims, encoder_channels, decoder_channels):
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)

    def transfer(self, kept, decoder):
        return kept * getattr(self, "no" + "thing", 1)
"""


@pytest.mark.slow
def test_a_failure_leaves_an_earlier_export_as_it_was(bundle, weights, tmp_path, monkeypatch):
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    before = {name: path.read_bytes() for name, path in list_files(made.folder)}
    moved = []

    def fails(self: Path, target: Path) -> Path:
        if self.name == "synthetic_shapes" and target == made.folder and not moved:
            moved.append(self)
            raise OSError(5, "Input/output error", str(self))
        return replace(self, target)

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="Input/output") as error:
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK, overwrite=True)
    assert error.value.filename == str(tmp_path / "out")
    assert {name: path.read_bytes() for name, path in list_files(made.folder)} == before
    assert _left(tmp_path / "out") == ["synthetic_shapes"]


def test_weights_that_are_no_numbers_are_refused(bundle, weights, tmp_path):
    broken = torch.load(weights, weights_only=True)
    broken["head.bias"][0] = float("nan")
    torch.save(broken, weights)
    with pytest.raises(InputError, match=r"found weights that are not finite .*, first in head\.bias"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)


def test_an_unknown_part_is_told(bundle, weights, tmp_path):
    with pytest.raises(InputError, match="without: found onxx; expected one of ts, pt2, onnx"):
        export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=["onxx"])


def test_the_exported_code_leaves_no_trace_in_this_process(bundle, weights, tmp_path):
    before, path = set(sys.modules), list(sys.path)
    export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    assert not [name for name in set(sys.modules) - before if name.startswith("synthetic_shapes_")]
    assert sys.path == path


def test_names_of_the_datasets_files_can_be_left_out(tmp_path):
    folder = BUNDLES / "hippocampus_mri"
    made = export_bundle(folder, tmp_path, without=[*_QUICK, "datalist"])
    texts = [path.read_text() for _, path in list_files(made.folder) if path.suffix in (".json", ".csv", ".md", ".txt")]
    named = [text for text in texts if "hippocampus_0" in text or "hippocampus_1" in text]
    assert named == []
    assert not (made.folder / "configs" / "datalist.json").exists()
    metadata = json.loads((made.folder / "configs" / "metadata.json").read_text())
    # Of the shipped weights; measured on the 42 cases of fold 0, docs/results/summary.json of the bundle.
    assert metadata["eval_metrics"]["mean_dice"] == 0.8949


@pytest.mark.export
def test_the_same_input_gives_the_same_bytes(hippocampus, tmp_path):
    # Another process, folder, locale, time zone and order of hashes, and a copy of the bundle elsewhere.
    copy = shutil.copytree(
        BUNDLES / "hippocampus_mri", tmp_path / "copy" / "hippocampus_mri", ignore=shutil.ignore_patterns("runs")
    )
    shutil.copytree(BUNDLES.parent / "data_manifests", tmp_path / "data_manifests")
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipeline", "export", str(copy), "-o", "again"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    again = tmp_path / "again"
    for name, path in list_files(hippocampus.folder):
        assert (again / "hippocampus_mri" / name).read_bytes() == path.read_bytes(), name
    assert hippocampus.archive is not None
    assert (again / hippocampus.archive.name).read_bytes() == hippocampus.archive.read_bytes()


@pytest.mark.export
def test_the_zip_is_the_folder(hippocampus):
    assert hippocampus.archive is not None
    with zipfile.ZipFile(hippocampus.archive) as archive:
        assert archive.testzip() is None
        inside = {name: archive.read(name) for name in archive.namelist()}
    outside = {f"hippocampus_mri/{name}": path.read_bytes() for name, path in list_files(hippocampus.folder)}
    assert inside == outside


@pytest.mark.export
def test_checksums_are_those_of_the_files(hippocampus):
    lines = (hippocampus.folder / CHECKSUMS).read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines if not line.startswith("#"))}
    # sha256sum takes those that a person fills in for comments.
    filled_in = {line.split("  ", 1)[1] for line in lines if line.startswith("# ")}
    assert filled_in == {"docs/README.md", "docs/data_license.txt"}
    actual = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in list_files(hippocampus.folder)
        if name not in {CHECKSUMS, *filled_in}
    }
    assert listed == actual
    # Nothing exceeds 25 MB, so there is nothing to download.
    assert not (hippocampus.folder / "large_files.yml").exists()


def test_large_files_are_listed_with_their_checksums(bundle, weights, tmp_path, monkeypatch):
    # The shipped networks are smaller than what the zoo calls large.
    write_small = partial(write_large_files, max_bytes=100_000)
    monkeypatch.setattr("pipeline.export.contents.write_large_files", write_small)
    made = export_bundle(bundle, tmp_path / "out", checkpoint=weights, without=_QUICK)
    (entry,) = yaml.safe_load((made.folder / "large_files.yml").read_text())["large_files"]
    digest = hashlib.sha256((made.folder / "models" / "model.pt").read_bytes()).hexdigest()
    assert (entry["path"], entry["hash_type"], entry["hash_val"]) == ("models/model.pt", "sha256", digest)
    assert any("large_files.yml" in note for note in made.notes)
