"""On a grid that leans, as with a tilted gantry, every table reports one size of a label: by hand."""

import csv
import io

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from pipeline.data.structures import measure_structures
from pipeline.evaluation.case_report import CaseReport
from pipeline.evaluation.cleaning_cases import survey_cases
from pipeline.labelmaps.clean import CleanLabelMapd
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.statistics import measure_labels, write_table
from pipeline.report import preview

LABELS = {"background": 0, "liver": 1}
# 2 x 3 mm in the slice, slices 4 mm apart, each moved by 3 mm against the one below: the third edge is 5 mm long.
LEANING = np.array([[2.0, 0, 3, -10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])
VOXELS = 4 * 5 * 6
ML = VOXELS * 2 * 3 * 4 / 1000  # 2.88; the product of the spacings, 2 x 3 x 5, would give 3.6


@pytest.fixture
def label_map():
    voxels = np.zeros((10, 11, 12), np.uint8)
    voxels[3:7, 3:8, 3:9] = 1
    return voxels


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_cases_csv_and_statistics_csv_agree(label_map, tmp_path):
    path = str(tmp_path / "case.nii.gz")
    nib.save(nib.Nifti1Image(label_map, LEANING), path)
    load = Compose([LoadImaged(["image", "label"]), EnsureChannelFirstd(["image", "label"])])
    item = load({"image": path, "label": path})
    engine = Engine(lambda _engine, batch: [{"pred": batch[0]["label"]}])
    CaseReport(tmp_path, LABELS).attach(engine)
    engine.run([[item]])
    (row,) = rows_of(tmp_path / "cases.csv")
    assert (float(row["reference_size"]), row["size_unit"]) == (pytest.approx(ML), "ml")
    assert float(row["prediction_size"]) == pytest.approx(ML)
    statistics = measure_labels(label_map, None, LEANING, make_label_table(LABELS))
    write_table({"case": statistics}, tmp_path / "statistics.csv")
    (row,) = rows_of(tmp_path / "statistics.csv")
    assert float(row["volume_ml"]) == pytest.approx(ML)


def test_check_survey_and_cleaning_agree(label_map):
    assert measure_structures(label_map, LEANING, background=0)["1"]["ml"] == pytest.approx(ML)
    surveyed = survey_cases(lambda: [(label_map, label_map, LEANING)], LABELS)
    assert (surveyed.unit, surveyed.voxel, surveyed.smallest[1]) == ("ml", pytest.approx(0.024), pytest.approx(ML))
    stored = MetaTensor(torch.from_numpy(label_map[None]), affine=torch.from_numpy(LEANING))
    for minimum, kept in ((ML - 0.01, VOXELS), (ML + 0.01, 0)):
        cleaned = CleanLabelMapd("pred", minimum_ml={1: minimum})({"pred": stored})["pred"]
        assert int(cleaned.sum()) == kept


def test_the_preview_agrees(label_map, monkeypatch):
    shown = []
    rows = preview.make_legend
    monkeypatch.setattr(preview, "make_legend", lambda table, sizes: shown.append(sizes) or rows(table, sizes))
    preview.draw_preview(np.zeros(label_map.shape), label_map, LEANING, make_label_table(LABELS), title="a")
    assert shown == [["2.88 ml"]]
