"""Pictures through nnU-Net's layout, check, predict, compare and report: colours, label maps as PNG, pixels as unit."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from monai.data import MetaTensor
from PIL import Image

from pipeline.cli import main
from pipeline.data.check_dataset import check_dataset
from pipeline.data.errors import InputError
from pipeline.data.folder_scans import find_folder_scans
from pipeline.data.images.door import read_header
from pipeline.data.input_scans import find_named_scans
from pipeline.data.layouts.nnunet import find_nnunet
from pipeline.data.make_datalist import make_datalist, write_json
from pipeline.evaluation.case_report import CaseReport
from pipeline.evaluation.metrics import measure_case
from pipeline.labelmaps.png import write_png
from pipeline.labelmaps.save import save_label_map
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.predictor import Predictor

RANDOM = np.random.default_rng(5)
LABELS = {"background": 0, "cell": 1}


def label(shift: int = 0) -> np.ndarray:
    """Rows, columns: taller than wide, and in one corner."""
    found = np.zeros((24, 18), np.uint8)
    found[2:12, 3 + shift : 9 + shift] = 1
    return found


def nnunet(folder: Path, *, grey: bool = False, ending: str = "png") -> Path:
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in "abcd":
        pixels = RANDOM.integers(0, 255, (24, 18) if grey else (24, 18, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "imagesTr" / f"{case}_0000.png")
        Image.fromarray(label()).save(folder / "labelsTr" / f"{case}.{ending}")
    names = {"0": "R", "1": "G", "2": "B"}
    content = {"channel_names": names, "labels": LABELS, "numTraining": 4, "file_ending": ".png"}
    if ending != "png":
        del content["file_ending"]
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_colours_in_nnunets_layout_are_channels_of_one_file(tmp_path):
    folder = nnunet(tmp_path / "Dataset001_Cells")
    assert [len(item.images) for item in find_nnunet(folder).training] == [1] * 4
    file = tmp_path / "datalist.json"
    write_json(make_datalist(find_nnunet(folder), folds=2), file)
    report = check_dataset(file, dataset_dir=folder, progress=False)
    assert (report["channels"], report["summary"]["problems"], report["unit"]) == (["R", "G", "B"], 0, "px")
    assert [case["name"] for case in report["cases"]] == list("abcd")


def test_grey_pictures_with_three_names_lack_channels(tmp_path):
    with pytest.raises(InputError, match="copy the missing files"):
        find_nnunet(nnunet(tmp_path, grey=True))


def test_predict_takes_the_same_pictures(tmp_path):
    folder = nnunet(tmp_path) / "imagesTr"
    assert [(len(scan.files), scan.problem) for scan in find_folder_scans(folder, channels=3)] == [(1, None)] * 4
    [one] = find_named_scans([folder / "a_0000.png"], channels=3)
    assert (one.files, one.problem) == ((str(folder / "a_0000.png"),), None)


def test_jpeg_label_maps_are_refused_with_one_finding(tmp_path):
    folder = nnunet(tmp_path / "data", ending="jpg")
    file = tmp_path / "datalist.json"
    write_json(make_datalist(find_nnunet(folder), folds=2), file)
    report = check_dataset(file, dataset_dir=folder, progress=False)
    assert [finding["kind"] for finding in report["findings"] if finding["severity"] == "problem"] == [
        "label-lossy"
    ] * 4


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_label_map_as_png_has_the_pixels_of_the_picture(tmp_path, tiny_flat_bundle, ending):
    rows = np.arange(24)[:, None] * 8 + np.arange(18) * 3
    Image.fromarray(rows.astype(np.uint8)).save(tmp_path / f"scan.{ending}")
    wanted = Wanted(format="png", statistics=True)
    request = Request(tiny_flat_bundle, [tmp_path / f"scan.{ending}"], tmp_path / "out", wanted, device="cpu")
    [result] = predict_files(request).results
    written = np.asarray(Image.open(tmp_path / "out" / "scan_seg.png"))
    expected = Predictor(tiny_flat_bundle, device="cpu")(tmp_path / f"scan.{ending}").labels
    assert (result.status, written.shape) == ("done", (24, 18))
    np.testing.assert_array_equal(written, expected.T)
    content = json.loads((tmp_path / "out" / "scan_statistics.json").read_text())
    assert content["units"]["area_px2"] == "px2"
    assert all("mm" not in key for row in content["labels"] for key in row)
    assert content["labels"][0]["area_px2"] == (written == content["labels"][0]["label"]).sum()


def test_png_of_a_stack_is_refused_before_the_network_runs(tmp_path, tiny_bundle):
    tifffile.imwrite(tmp_path / "scan.tif", np.zeros((20, 20, 20), np.uint8), photometric="minisblack")
    request = Request(tiny_bundle, [tmp_path / "scan.tif"], tmp_path / "out", Wanted(format="png"), device="cpu")
    [result] = predict_files(request).results
    assert result.status == "failed"
    assert "a stack of pictures" in result.error


def test_labels_above_255_take_16_bits(tmp_path):
    labels = np.array([[0, 300], [65535, 1], [2, 3]])
    write_png(labels, tmp_path / "one.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "one.png")), labels.T)
    with pytest.raises(InputError, match="65535"):
        write_png(labels + 1, tmp_path / "two.png")


def test_distances_of_pictures_are_in_pixels():
    options = {"spacing": (1.0, 1.0), "labels": LABELS}
    [mm] = measure_case(label(2), label(), **options)
    [px] = measure_case(label(2), label(), **options, unit="px")
    assert (px["hd95_px"], px["size_unit"], px["reference_size"]) == (mm["hd95_mm"], "px2", 60)
    assert not any(key.endswith("_mm") for key in px)
    np.testing.assert_allclose(
        [px[key.replace("_mm", "_px")] for key in mm if key.endswith("_mm")],
        [mm[key] for key in mm if key.endswith("_mm")],
    )


def test_the_report_of_an_evaluation_finds_the_unit_of_its_references(tmp_path):
    Image.fromarray(label()).save(tmp_path / "label.png")
    report = CaseReport(tmp_path, LABELS)
    assert (
        report._find_unit(MetaTensor(np.zeros((1, 2, 2)), meta={"filename_or_obj": str(tmp_path / "label.png")}))
        == "px"
    )
    with pytest.raises(InputError, match="lengths in mm"):
        report._find_unit(MetaTensor(np.zeros((1, 2, 2)), meta={"filename_or_obj": "label.nii.gz"}))


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [None, 0.5])
def test_compare_names_the_unit_everywhere(tmp_path, capsys, spacing):
    for folder, shift in (("ref", 0), ("one", 2)):
        (tmp_path / folder).mkdir()
        for case in "abc":
            options = {"resolution": (10 / spacing,) * 2, "resolutionunit": "CENTIMETER"} if spacing else {}
            tifffile.imwrite(tmp_path / folder / f"{case}.tif", label(shift), photometric="minisblack", **options)
    words = [str(tmp_path / "ref"), str(tmp_path / "one"), "-o", str(tmp_path / "out"), "--jobs", "1"]
    assert main(["compare", *words, "--labels", "cell=1", "--resamples", "200"]) == 0
    unit = "mm" if spacing else "px"
    shown = capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "summary.json").read_text())
    with (tmp_path / "out" / "cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[0][f"hd95_{unit}"]) == 2 * (spacing or 1)
    assert rows[0]["size_unit"] == f"{unit}2"
    assert f"tolerance_{unit}" in content
    units = {metric["name"]: metric["unit"] for metric in content["metrics"]}
    assert (units[f"hd95_{unit}"], units["volume_difference"]) == (unit, f"{unit}2")
    assert f"HD95 ({unit})" in shown
    assert main(["report", str(tmp_path / "out"), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert ("HD95, px" in page) is not bool(spacing)


@pytest.mark.parametrize(("unit", "expected"), [("um", "unknown"), ("mm", "mm")])
def test_a_label_map_in_micrometres_is_not_called_mm(tmp_path, unit, expected):
    scan = tmp_path / "scan.tif"
    options = {"imagej": True, "resolution": (4, 4), "metadata": {"unit": unit}}
    tifffile.imwrite(scan, label(), **options)
    save_label_map(label().T, tmp_path / "one.nii.gz", scan=str(scan), affine=read_header(scan).affine)
    header = nib.load(tmp_path / "one.nii.gz").header
    assert (header.get_xyzt_units()[0], float(header["pixdim"][1])) == (expected, 0.25)
