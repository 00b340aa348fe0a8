"""The network's other forms. Made by a process of their own, so these are slow: `make test-export`."""

from __future__ import annotations

import json
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata

from pipeline.data.errors import InputError
from pipeline.export.compare import MAX_DIFFERENCE, load_form
from pipeline.export.export import ExportResult
from pipeline.export.formats import FORMATS, write_formats
from pipeline.export.norms import make_norms_exact
from pipeline.inference.runtimes import import_openvino
from pipeline.inference.signal_stack import keep_signal_stack

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def network(hippocampus: ExportResult) -> torch.nn.Module:
    """Ours, not the exported code, with the shipped weights."""
    bundle = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri"
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    return network.eval()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1, 40, 56, 40), (3, 1, 16, 8, 24), (2, 1, 64, 16, 48)])
def test_takes_every_batch_and_size_and_gives_the_same_logits(hippocampus, network, name, shape):
    window = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits, expected = load_form(hippocampus.folder / "models" / name)(window), network(window)
    assert float((logits - expected).abs().max()) < MAX_DIFFERENCE


@pytest.mark.real
def test_label_maps_of_real_scans_are_the_same(hippocampus, network, real_data):
    parser = ConfigParser()
    parser.read_config(str(hippocampus.folder / "configs" / "inference.json"))
    parser.config.update({"bundle_root": str(hippocampus.folder), "device": "cpu"})
    prepare, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
    forms = [load_form(hippocampus.folder / "models" / name) for name in FORMATS]
    for scan in sorted((real_data / "hippocampus" / "imagesTr").glob("*.nii.gz"))[:5]:
        image = prepare({"image": str(scan)})["image"].as_tensor()[None]
        with torch.inference_mode():
            expected = inferer(image, network)
            for form in forms:
                logits = inferer(image, form)
                assert float((logits - expected).abs().max()) < MAX_DIFFERENCE
                assert torch.equal(logits.argmax(1), expected.argmax(1))


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
def test_openvino_reads_the_onnx(hippocampus, network):
    # Importing OpenVINO directly would start its telemetry.
    openvino = import_openvino()
    settings = {"INFERENCE_PRECISION_HINT": openvino.Type.f32}
    with keep_signal_stack():
        compiled = openvino.Core().compile_model(str(hippocampus.folder / "models" / "model.onnx"), "CPU", settings)
    window = torch.randn(2, 1, 40, 56, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(window)
    logits = torch.from_numpy(compiled({"image": window.numpy()})["pred"])
    assert float((logits - expected).abs().max()) < 10 * MAX_DIFFERENCE
    assert float((logits.argmax(1) != expected.argmax(1)).float().mean()) < 1e-5


def test_onnx_runtimes_own_normalisation_is_worse(tmp_path):
    """Why the exported one takes its means axis by axis; against double precision."""
    torch.manual_seed(0)
    layer = torch.nn.InstanceNorm3d(8, affine=True).eval()
    window = torch.randn(1, 8, 40, 56, 40) + 3
    expected = torch.nn.InstanceNorm3d(8).double()(window.double())
    worst = {}
    for name, network in (("own", layer), ("ours", make_norms_exact(layer))):
        made = torch.onnx.export(network, (window,), dynamo=True, verbose=False)
        assert made is not None
        made.save(tmp_path / f"{name}.onnx")
        worst[name] = float((load_form(tmp_path / f"{name}.onnx")(window).double() - expected).abs().max())
    assert worst["own"] > 3 * worst["ours"]


def test_onnx_says_what_it_is(hippocampus):
    model = onnx.load(hippocampus.folder / "models" / "model.onnx")
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["pred"]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["batch", 1, "8*x", "8*y", "8*z"]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    metadata = json.loads((hippocampus.folder / "configs" / "metadata.json").read_text())
    assert (properties["name"], properties["version"]) == (metadata["name"], metadata["version"])
    described = json.loads(properties["network_data_format"])
    assert described["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "anterior", "2": "posterior"}
    assert json.loads(properties["preprocessing"])["_target_"] == "Compose"


def test_torchscript_has_its_metadata_as_monai_reads_them(hippocampus):
    network, metadata, extra = load_net_with_metadata(
        str(hippocampus.folder / "models" / "model.ts"), more_extra_files=["inference.json"]
    )
    expected = json.loads((hippocampus.folder / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"] == expected["network_data_format"]
    assert json.loads(extra["inference.json"])["bundle_root"]
    assert network(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 3, 16, 16, 16)


def test_the_program_has_its_metadata(hippocampus):
    extra = {"metadata.json": ""}
    torch.export.load(hippocampus.folder / "models" / "model.pt2", extra_files=extra)
    assert json.loads(extra["metadata.json"])["version"] == "0.3.0"


def test_no_path_of_this_machine_is_in_them(hippocampus):
    folders = (Path.home(), Path(__file__).resolve().parents[2], hippocampus.folder.parent)
    here = [*(str(folder).encode() for folder in folders), b"site-packages"]
    for name in FORMATS:
        file = hippocampus.folder / "models" / name
        contents = [file.read_bytes()]
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents = [archive.read(member) for member in archive.namelist()]
        assert not [path for path in here if any(path in content for content in contents)], name


def test_what_is_stated_is_what_was_found(hippocampus):
    stated = json.loads((hippocampus.folder / "docs" / "formats.json").read_text())
    assert set(stated["largest_logit_difference_at_most"]) == set(FORMATS)
    for name, most in stated["largest_logit_difference_at_most"].items():
        assert hippocampus.differences[name] <= most <= MAX_DIFFERENCE


def test_a_missing_exporter_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"no package onnxscript.*lightskip\[export\]"):
        write_formats(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_name_looks_like_an_expression(hippocampus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(hippocampus.folder, "$(1 2)")
    assert write_formats(Path("$(1 2)"), ["model.ts"]).keys() == {"model.ts"}


def test_weights_are_those_of_the_bundle(hippocampus):
    source = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_mri" / "models" / "model.pt"
    assert (hippocampus.folder / "models" / "model.pt").read_bytes() == source.read_bytes()
    initialisers = onnx.load(hippocampus.folder / "models" / "model.onnx").graph.initializer
    largest = max(np.prod(entry.dims) for entry in initialisers)
    weights = torch.load(source, weights_only=True)
    assert largest == max(value.numel() for value in weights.values())
