"""`lightskip quantize` on a bundle with a network that segments bright shapes, from its cases to its files."""

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.utils import set_determinism

from pipeline.bundle.render import write_rendered
from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.data.int8_file import find_int8, read_int8_record
from pipeline.inference import nncf_int8
from pipeline.prediction import quantize, quantized
from pipeline.prediction.predictor import Predictor
from pipeline.prediction.quantize import quantize_bundle
from pipeline.prediction.quantized import LabelFall, Quantized, compare_dice, quantized_text

needs_nncf = pytest.mark.skipif(
    not all(find_spec(name) for name in ("openvino", "nncf")), reason="needs nncf: pip install '.[quantize]'"
)
SHAPE = (20, 18, 16)
PLAN = """\
name: phantom
title: Shapes
version: 0.1.0
changelog: {0.1.0: first version}
task: Segmentation of shapes
description: A V-Net.
intended_use: Tests.
authors: Someone
copyright: Copyright (c) Someone
data: {manifest: dataset.json, source: drawn, licence: CC0-1.0, modality: MRI, channels: [intensity]}
labels: {background: 0, ball: 1, cube: 2}
orientation: RAS
spacing: [1, 1, 1.5]
normalisation: zscore
network:
  channels: [8, 16]
  convs_per_level: [1, 1]
  decoder_convs_per_level: [1]
  kernel_size: 3
  norm: [instance, {affine: true}]
  act: leakyrelu
patch: [16, 16, 16]
window: [16, 16, 16]
batch: 2
mirror_axes: [0]
skip: concat
training:
  {epochs: 3, val_interval: 1, learning_rate: 1e-3, weight_decay: 0, warmup_epochs: 0, early_stop_patience: 2, seed: 0}
"""


def write_case(folder: Path, name: str, rng: np.random.Generator) -> dict[str, str]:
    """Write a scan of noise with a bright ball and a brighter cube, and its label map."""
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    labels = np.zeros(SHAPE, np.uint8)
    labels[((places - rng.uniform(6, 9, 3)) ** 2).sum(-1) < 14] = 1
    labels[13:18, 11 + rng.integers(0, 3) :, 9:14] = 2
    scan = (200 * labels + rng.normal(0, 20, SHAPE)).astype(np.float32)
    affine = np.diag([1.0, 1.0, 1.5, 1.0])
    item = {"image": f"{name}.nii.gz", "label": f"{name}_label.nii.gz"}
    nib.save(nib.Nifti1Image(scan, affine), folder / item["image"])
    nib.save(nib.Nifti1Image(labels, affine), folder / item["label"])
    return item


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network was trained on its scans for some steps."""
    folder = tmp_path_factory.mktemp("quantize")
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    items = [write_case(folder / "data", f"case_{n}", rng) | {"fold": int(n > 3)} for n in range(8)]
    bundle = folder / "phantom"
    bundle.mkdir()
    (bundle / "dataset.json").write_text(json.dumps({"training": items}))
    (bundle / "plan.yaml").write_text(PLAN)
    write_rendered(bundle)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def")
    (bundle / "models").mkdir()
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
    predictor = Predictor(bundle, runtime="pytorch", device="cpu", settings={"precision": "float32"})
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(60):
        item = items[step % len(items)]
        image = predictor.prepare(folder / "data" / item["image"]).image[None, :, :16, :16, :16]
        label = np.asarray(nib.load(folder / "data" / item["label"]).dataobj)[None, :16, :16, :16]
        loss = torch.nn.functional.cross_entropy(network(image), torch.from_numpy(label).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(network.state_dict(), bundle / "models" / "model.pt")
    return bundle


@pytest.fixture
def bundle(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained bundle, without an int8 form. So small a network may lose more Dice than a real one."""
    monkeypatch.setattr(quantized, "MAX_FALL", 0.1)
    for file in trained.glob("models/*.int8.*"):
        file.unlink()
    return trained


def run(bundle: Path, *more: str) -> int:
    return main(["quantize", str(bundle), "--dataset_dir", str(bundle.parent / "data"), *more])


@pytest.mark.slow
@needs_nncf
def test_the_network_is_kept_with_what_it_costs_and_predict_takes_it(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bundle) == 0
    told = capsys.readouterr().out
    record = read_int8_record(bundle / "models" / "model.pt")
    assert (record["fold"], record["cases"], record["window"]) == (0, 4, [1, 16, 16, 16])
    assert record["calibration"]["cases"] == 4
    assert record["versions"]["openvino"]
    assert set(record["seconds_per_window"]) == {"float32", "int8"}
    for label in ("ball", "cube"):
        row = record["dice"][label]
        assert row["float32"] > 0.5
        assert row["fall"] == pytest.approx(row["float32"] - row["int8"], abs=2e-6)
        assert abs(row["fall"]) <= 0.1
        assert row["interval_95"][0] <= row["fall"] + 1e-6
        assert f"{label:5}   {row['float32']:.4f}" in told
    assert f"next: lightskip predict {bundle} SCANS -o OUT --runtime int8" in told

    scan = bundle.parent / "data" / "case_0.nii.gz"
    found = {}
    for runtime in ("pytorch", "int8"):
        assert main(["predict", str(bundle), str(scan), "-o", str(tmp_path / runtime), "--runtime", runtime]) == 0
        found[runtime] = np.asarray(nib.load(tmp_path / runtime / "case_0_seg.nii.gz").dataobj)
    assert np.mean(found["int8"] != found["pytorch"]) < 0.01
    report = json.loads((tmp_path / "int8" / "report.json").read_text())
    assert (report["runtime"], report["precision"], report["runtime_reason"]) == ("int8", "int8", "as requested")
    assert report["int8"] == [{key: record[key] for key in ("files", "dice", "versions")}]
    # The folder keeps its runtime.
    more = bundle.parent / "data" / "case_1.nii.gz"
    assert main(["predict", str(bundle), str(scan), str(more), "-o", str(tmp_path / "int8")]) == 0
    report = json.loads((tmp_path / "int8" / "report.json").read_text())
    assert (report["runtime"], report["runtime_reason"]) == ("int8", "the output folder was begun with it")


@pytest.mark.slow
@needs_nncf
@pytest.mark.filterwarnings("ignore")
def test_the_dice_is_that_of_an_evaluation(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a run changes in its process.
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert run(bundle) == 0
    record = read_int8_record(bundle / "models" / "model.pt")
    data = str(bundle.parent / "data")
    # MONAI's logging would close pytest's own.
    more = ["--runtime", "int8", "--device", "cpu", "--logging_file", "False"]
    try:
        assert main(["evaluate", str(bundle), "--dataset_dir", data, *more]) == 0
    finally:
        set_determinism(seed=None)
    (summary,) = bundle.glob("evaluation/*/cases.csv")
    rows = [line.split(",") for line in summary.read_text().splitlines()]
    for label in ("ball", "cube"):
        dice = [float(row[rows[0].index("dice")]) for row in rows[1:] if row[rows[0].index("label")] == label]
        assert np.mean(dice) == pytest.approx(record["dice"][label]["int8"], abs=2e-3)


@pytest.mark.slow
@needs_nncf
def test_what_costs_too_much_is_measured_and_not_kept(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quantized, "MAX_FALL", 0.001)
    measure = quantize._measure

    def worse(*given):
        dice = measure(*given)
        return {"float32": dice["float32"], "int8": dice["float32"] - [[0.0, 0.0011]]}

    monkeypatch.setattr(quantize, "_measure", worse)
    assert run(bundle) == 1
    assert "not kept: cube falls by 0.0011; expected at most 0.001" in capsys.readouterr().out
    assert not list(bundle.glob("models/*.int8.*"))


@pytest.mark.slow
@needs_nncf
def test_a_dry_run_and_fewer_cases(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bundle, "--dry-run", "--cases", "2", "--fold", "1") == 0
    told = capsys.readouterr().out
    assert "Dice of 4 cases of fold 1; calibrated on" in told
    assert "windows of 2 cases of the other folds" in told
    assert "dry run: nothing was written" in told
    assert not list(bundle.glob("models/*.int8.*"))


def test_regions_are_measured_in_a_bundle_with_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Loaded:
        network: Any = None

    reference = np.array([[0, 1, 2, 3], [4, 1, 0, 0]], np.uint8)  # 4 is ignored
    predicted = np.array([[0, 1, 1, 2], [3, 0, 0, 0]], np.uint8)
    predictor = SimpleNamespace(bundle=Loaded(), prepare=lambda scan: scan)
    predictor.segment = lambda _: SimpleNamespace(labels=predictor.bundle.network)
    plan = SimpleNamespace(
        labels={"background": 0, "a": 1, "b": 2, "c": 3},
        label_values=None,
        ignored_values=[255],
        regions={"all": ["a", "b", "c"], "inner": ["b", "c"]},
    )
    monkeypatch.setattr(quantize, "read_reference", lambda *_, **__: (reference, np.eye(4)))
    cases = [{"image": "x", "label": "y"}, {"image": "x", "label": "y", "annotated": ["inner"]}]
    dice = quantize._measure(predictor, {"float32": predicted}, cases, plan)["float32"]  # type: ignore[dict-item, arg-type]
    # All: 4 voxels, 3 predicted in them; the inner ones are 2 and 1.
    np.testing.assert_allclose(dice, [[6 / 7, 2 / 3], [np.nan, 2 / 3]])


def test_numbers_of_a_comparison_by_hand() -> None:
    before = np.array([[0.9, np.nan], [0.8, np.nan], [0.7, np.nan]])
    after = np.array([[0.9, np.nan], [0.75, np.nan], [0.72, np.nan]])
    ball, cube = compare_dice({"float32": before, "int8": after}, ["ball", "cube"])
    assert (ball.float32, ball.int8, ball.cases) == (pytest.approx(0.8), pytest.approx(0.79), 3)
    assert ball.fall == pytest.approx(0.01)
    assert ball.interval is not None
    assert ball.interval[0] < 0.01 < ball.interval[1]
    assert (cube.cases, cube.interval) == (0, None)


def found(*falls: float, files: tuple[Path, ...] = ()) -> Quantized:
    labels = tuple(LabelFall(f"label_{n}", 0.9, 0.9 - fall, None, 1) for n, fall in enumerate(falls))
    return Quantized(labels, {"float32": 0.05, "int8": 0.02}, 2, 0, 1, (30, 40), "", files)


@pytest.mark.parametrize(
    ("falls", "good"), [((0.0009,), True), ((0.0009, 0.0011), False), ((-0.2,), True), ((), False)]
)
def test_the_worst_label_decides(falls: tuple[float, ...], good: bool) -> None:
    assert found(*falls).is_good is good


def test_one_case_has_no_interval() -> None:
    told = quantized_text(found(0.0005), Path("b"))
    assert "label_0   0.9000  0.8995  +0.0005 (one case: none)" in told
    assert "a window takes 20 ms instead of 50 in OpenVINO (0.40, 2 threads)" in told


@pytest.mark.parametrize(("count", "wanted", "places"), [(5, 3, [0, 2, 4]), (2, 30, [0, 1]), (4, 1, [0])])
def test_cases_are_spread(count: int, wanted: int, places: list[int]) -> None:
    assert quantize._spread(count, wanted) == places


@pytest.mark.slow
def test_wrong_input_is_one_message(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec("nncf"):
        assert run(bundle, "--cases", "0") == 2
        assert "--cases: found 0; expected 1 or more" in capsys.readouterr().err
    assert main(["predict", str(bundle), str(bundle.parent / "data"), "-o", "x", "--runtime", "int8"]) == 2
    assert "model.int8.json: found no such file; expected the int8 form of model.pt" in capsys.readouterr().err
    monkeypatch.setattr(nncf_int8, "find_spec", lambda _: None)
    assert run(bundle) == 2
    assert "pip install 'lightskip[quantize]'" in capsys.readouterr().err
    with pytest.raises(InputError, match="no package openvino and no nncf"):
        quantize_bundle(bundle)


@pytest.mark.slow
@needs_nncf
def test_a_prediction_refuses_a_form_of_other_weights(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(bundle) == 0
    weights = bundle / "models" / "model.pt"
    before = weights.read_bytes()
    try:
        changed = {name: 2 * value for name, value in torch.load(weights, weights_only=True).items()}
        torch.save(changed, weights)
        with pytest.raises(InputError, match="other weights"):
            find_int8(weights)
        assert main(["predict", str(bundle), str(bundle.parent / "data"), "-o", "x", "--runtime", "int8"]) == 2
        assert "an int8 network of other weights than those in model.pt now" in capsys.readouterr().err
        assert not Path("x").exists()
    finally:
        weights.write_bytes(before)
