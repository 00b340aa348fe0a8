import csv
import json
import logging
import math

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from ignite.engine import Events
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.inferers import SimpleInferer
from monai.transforms import AsDiscreted, Compose, EnsureChannelFirstd, LoadImaged

from pipeline.data.errors import InputError
from pipeline.evaluation import case_report
from pipeline.evaluation.case_report import CaseReport
from pipeline.evaluation.metrics import measure_case
from pipeline.evaluation.present_dice import PresentDice

LABELS = {"background": 0, "anterior": 1, "posterior": 2}
SPACING = (0.5, 1.0, 2.0)
PROVENANCE = {"checkpoint": "best.pt"}


class Threshold(torch.nn.Module):
    """Two thresholds on the intensity, as three channels."""

    def forward(self, x):
        return torch.cat([x < 0.5, (x >= 0.5) & (x < 1.5), x >= 1.5], dim=1).float()


def volumes(seed):
    """Noisy intensities around the values of a label map: two nested boxes."""
    rng = np.random.default_rng(seed)
    label = np.zeros((12, 10, 8), dtype=np.uint8)
    label[2:9, 2:8, 2:6] = 1
    label[4:7, 3:6, 3:5] = 2
    return label + rng.normal(0, 0.3, label.shape).astype(np.float32), label


def write_cases(folder, names):
    affine = np.diag([*SPACING, 1.0])
    items = []
    for seed, name in enumerate(names):
        item = {}
        for key, volume in zip(("image", "label"), volumes(seed), strict=True):
            path = folder / key / name
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(volume, affine), path)
            item[key] = str(path)
        items.append(item)
    return items


LOAD = Compose([LoadImaged(["image", "label"]), EnsureChannelFirstd(["image", "label"])])


def evaluator(items, report, load=LOAD):
    engine = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items, load), batch_size=2),
        network=Threshold(),
        inferer=SimpleInferer(),
        postprocessing=AsDiscreted("pred", argmax=True),
        val_handlers=[report],
    )
    engine.logger.setLevel(logging.ERROR)
    return engine


def read_cases(folder):
    with (folder / "cases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_evaluator_writes_every_case_sorted_and_their_summary(tmp_path, caplog):
    items = write_cases(tmp_path, ["zebra.nii.gz", "ape.v2.nii", "bear.nii.gz"])
    report = CaseReport(tmp_path / "out" / "deep", LABELS, tolerance_mm=0.5, provenance=PROVENANCE)
    with caplog.at_level(logging.INFO, logger="pipeline.evaluation.case_report"):
        evaluator(items, report).run()

    rows = read_cases(tmp_path / "out" / "deep")
    assert [(row["case"], row["label"]) for row in rows] == [
        (case, label) for case in ("ape.v2", "bear", "zebra") for label in ("anterior", "posterior")
    ]
    for seed, case in enumerate(["zebra", "ape.v2", "bear"]):
        image, label = volumes(seed)
        predicted = (image >= 0.5).astype(int) + (image >= 1.5)
        expected = measure_case(predicted, label, spacing=SPACING, labels=LABELS, tolerance_mm=0.5)
        got = [row for row in rows if row["case"] == case]
        for row, wanted in zip(got, expected, strict=True):
            assert 0 < wanted["dice"] < 1
            for key, value in wanted.items():
                assert row[key] == (f"{value:.6f}" if isinstance(value, float) else value)

    summary = json.loads((tmp_path / "out" / "deep" / "summary.json").read_text())
    dice = [float(row["dice"]) for row in rows if row["label"] == "anterior"]
    assert summary["labels"]["anterior"]["dice"]["mean"] == pytest.approx(np.mean(dice), abs=1e-6)
    assert summary["cases"] == 3
    assert summary["tolerance_mm"] == 0.5
    assert summary["provenance"] == PROVENANCE
    assert summary["units"]["hd95_mm"] == "mm"
    assert summary["units"]["size"] == ["ml"]
    assert set(summary["versions"]) == {"monai", "torch"}

    _, header, *body = caplog.records[-1].getMessage().splitlines()
    assert "Dice" in header
    assert "HD95 (mm)" in header
    assert [line.split("  ")[0].strip() for line in body] == ["anterior", "posterior", "mean of labels"]
    assert f"{np.mean(dice):.3f} ± {np.std(dice, ddof=1):.3f}" in body[0]
    assert len({len(line) for line in (header, *body)}) == 1
    assert not list((tmp_path / "out" / "deep").glob(".*"))


def test_a_second_run_starts_anew_and_gives_the_same_bytes(tmp_path):
    engine = evaluator(write_cases(tmp_path, ["a.nii", "b.nii"]), CaseReport(tmp_path / "out", LABELS))
    engine.run()
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    engine.run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    assert set(first) == {"cases.csv", "summary.json"}


def test_ctrl_c_logs_no_error_without_text(tmp_path, caplog):
    engine = evaluator(write_cases(tmp_path, ["a.nii"]), CaseReport(tmp_path / "out", LABELS))

    def interrupt():
        raise KeyboardInterrupt

    engine.add_event_handler(Events.ITERATION_STARTED, interrupt)
    with caplog.at_level(logging.ERROR), pytest.raises(KeyboardInterrupt):
        engine.run()
    assert caplog.messages == []
    assert not (tmp_path / "out").exists()


def test_cases_of_one_file_name_are_told_apart_by_their_folders(tmp_path):
    items = write_cases(tmp_path, ["p1/ct.nii.gz", "p2/ct.nii.gz"])
    evaluator(items, CaseReport(tmp_path / "out", LABELS)).run()
    assert [row["case"] for row in read_cases(tmp_path / "out")] == ["p1_ct", "p1_ct", "p2_ct", "p2_ct"]


def test_cases_have_the_names_that_the_dataset_gives_them(tmp_path):
    """One fold shows fewer cases than the dataset has: what tells its cases apart would not be enough."""
    items = write_cases(tmp_path, ["p2/ct.nii.gz", "p2/mr_0000.nii.gz"])
    names = {items[0]["image"]: "p2_ct"}
    evaluator(items, CaseReport(tmp_path / "out", LABELS, names=names)).run()
    assert [row["case"] for row in read_cases(tmp_path / "out")] == ["mr", "mr", "p2_ct", "p2_ct"]


def test_tensors_without_a_file_are_numbered(tmp_path):
    items = [{"image": torch.rand(1, 6, 6, 6), "label": torch.ones(1, 6, 6, 6)} for _ in range(3)]
    evaluator(items, CaseReport(tmp_path / "out", LABELS), load=None).run()
    assert {row["case"] for row in read_cases(tmp_path / "out")} == {"case_0001", "case_0002", "case_0003"}


def test_distances_in_a_sheared_grid_are_those_in_the_world(tmp_path):
    affine = np.array([[0.5, 0, 0.8, 1], [0, 1, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1.0]])
    _, label = volumes(0)
    moved = np.roll(label, 1, axis=2)
    for name, volume in (("image", moved), ("label", label)):
        nib.save(nib.Nifti1Image(volume.astype(np.float32), affine), tmp_path / f"{name}.nii")
    report = CaseReport(tmp_path / "out", LABELS)
    evaluator([{name: str(tmp_path / f"{name}.nii") for name in ("image", "label")}], report).run()
    with (tmp_path / "out" / "cases.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    options = {"spacing": (0.5, 1, 2 * 1.16**0.5), "labels": LABELS}
    expected, plain = (measure_case(moved, label, affine=each, **options)[0] for each in (affine, None))
    for name in ("hd95_mm", "assd_mm", "assd_area_mm"):
        assert float(row[name]) == pytest.approx(expected[name], abs=1e-5)
    # A step along the third axis and one back along the first is (0.3, 0, 2), shorter than the third axis alone.
    assert expected["assd_mm"] < plain["assd_mm"] * 0.99
    assert float(row["reference_size"]) == pytest.approx((label == 1).sum() / 1000)


def test_an_absent_label_is_nan_in_the_table_and_null_in_the_summary(tmp_path):
    evaluator(write_cases(tmp_path, ["a.nii"]), CaseReport(tmp_path / "out", {**LABELS, "tumour": 3})).run()
    row = read_cases(tmp_path / "out")[-1]
    assert (row["label"], row["outcome"]) == ("tumour", "absent")
    assert math.isnan(float(row["dice"]))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["labels"]["tumour"]["dice"]["mean"] is None


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda pred: pred[:, :-1], ["a:", "(1, 11, 10, 8)", "(1, 12, 10, 8)"]),
        (lambda pred: torch.cat([pred, pred]), ["a:", "(2, 12, 10, 8)", "(1, 12, 10, 8)"]),
        (lambda pred: pred + 5, ["a:", "prediction", "[5, 6, 7]"]),
    ],
)
def test_a_wrong_prediction_is_an_error_that_names_the_case(tmp_path, damage, words):
    report = CaseReport(tmp_path / "out", LABELS)
    engine = evaluator(write_cases(tmp_path, ["a.nii"]), report)
    engine.state.output = [{"pred": damage(MetaTensor(volumes(0)[1][None]))}]
    engine.state.batch = [
        {
            "image": MetaTensor(volumes(0)[0][None], meta={"filename_or_obj": "x/a.nii"}),
            "label": MetaTensor(volumes(0)[1][None]),
        }
    ]
    with pytest.raises(ValueError, match=r".") as caught:
        engine.fire_event(Events.ITERATION_COMPLETED)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def evaluate_a_share(rank, folder):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    items = [{"image": f"{folder}/image/{n}.nii", "label": f"{folder}/label/{n}.nii"} for n in "abc"]
    # As a distributed sampler does, the second rank repeats the first case to have as many as the first rank.
    share = [items[0], items[2]] if rank == 0 else [items[1], items[0]]
    evaluator(share, CaseReport(folder / "out", LABELS)).run()
    # The validation's Dice, with a label that only the second rank has a case of.
    metric = PresentDice(3)
    for number in range(rank, 3, 2):
        metric(*(torch.tensor([[values]]) for values in VALIDATED[number]))
    (folder / f"dice_{rank}").write_text(str(metric.aggregate().item()))
    torch.distributed.destroy_process_group()


# Prediction and reference: Dice 1, 0.8 and 0 of the first label, 0.5 of the second, which two cases do not have.
VALIDATED = [([1, 0, 0], [1, 0, 0]), ([1, 1, 0, 2, 2, 2], [1, 1, 1, 2, 0, 0]), ([0, 0], [0, 1])]


@pytest.mark.slow
def test_two_ranks_write_one_report_with_every_case_once_and_agree_on_the_validation(tmp_path):
    write_cases(tmp_path, ["a.nii", "b.nii", "c.nii"])
    evaluator(
        [{key: str(tmp_path / key / f"{n}.nii") for key in ("image", "label")} for n in "abc"],
        CaseReport(tmp_path / "alone", LABELS),
    ).run()
    mp.spawn(evaluate_a_share, args=(tmp_path,), nprocs=2)
    for name in ("cases.csv", "summary.json"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "alone" / name).read_text()
    for rank in range(2):
        assert float((tmp_path / f"dice_{rank}").read_text()) == pytest.approx((0.6 + 0.5) / 2)


def test_regions_ignored_voxels_and_unannotated_labels(tmp_path, caplog):
    items = write_cases(tmp_path, ["ape.nii.gz", "bear.nii.gz"])
    ignored = 3
    wanted = []
    for number, item in enumerate(items):
        image = nib.load(item["label"])
        label = np.asarray(image.dataobj).copy()
        label[:, 5:] = ignored
        nib.save(nib.Nifti1Image(label, image.affine), item["label"])
        predicted = np.digitize(np.asarray(nib.load(item["image"]).dataobj), [0.5, 1.5])
        wanted += measure_case(
            np.where(label == ignored, 0, predicted),
            np.where(label == ignored, 0, label),
            spacing=SPACING,
            labels=LABELS,
            regions={"both": [1, 2], "posterior": [2]},
            annotated=["posterior"] if number else None,
        )
    report = CaseReport(
        tmp_path / "out",
        LABELS,
        regions={"both": [1, 2], "posterior": [2]},
        ignored=[ignored],
        annotated={items[1]["image"]: ("posterior",)},
    )
    with caplog.at_level(logging.INFO, logger="pipeline.evaluation.case_report"):
        evaluator(items, report).run()
    found = read_cases(tmp_path / "out")
    assert [(row["case"], row["label"]) for row in found] == [
        ("ape", "both"),
        ("ape", "posterior"),
        ("bear", "posterior"),
    ]
    for row, want in zip(found, wanted, strict=True):
        assert row["dice"] == f"{want['dice']:.6f}"
        assert row["hd95_mm"] == f"{want['hd95_mm']:.6f}"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["regions"] == {"both": ["anterior", "posterior"], "posterior": ["posterior"]}
    assert list(summary["labels"]) == ["both", "posterior"]
    assert summary["labels"]["both"]["counted"] == 1
    assert "1 of 2 cases were annotated in part" in " ".join(summary["notes"])
    assert "note: Ignored voxels" in caplog.text
    assert "both" in caplog.text


class Always(torch.nn.Module):
    """One label in every voxel."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def forward(self, x):
        return torch.nn.functional.one_hot(torch.full(x.shape, self.label)[:, 0].long(), 3).movedim(-1, 1).float()


def test_a_network_with_one_label_everywhere_is_noted(tmp_path):
    engine = evaluator(write_cases(tmp_path, ["a.nii", "b.nii"]), CaseReport(tmp_path / "out", LABELS))
    engine.network = Always(0)
    engine.run()
    (note,) = json.loads((tmp_path / "out" / "summary.json").read_text())["notes"]
    assert note.startswith(
        "the network gives every voxel of all 2 cases one label, background: the label maps are empty"
    )


def test_too_little_memory_is_one_message_with_the_case(tmp_path, caplog):
    engine = evaluator(write_cases(tmp_path, ["a.nii", "b.nii"]), CaseReport(tmp_path / "out", LABELS))

    class Small(torch.nn.Module):
        def forward(self, _):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    engine.network = Small()
    with pytest.raises(InputError, match=r"while evaluating \(cases a.nii, b.nii\): CUDA out .* smaller --window"):
        engine.run()
    assert not caplog.records


def test_rows_of_several_processes_travel_as_json(monkeypatch):
    sent = []

    def all_gather(text):
        sent.append(text)
        return [text, '{"b": []}']

    monkeypatch.setattr(case_report.idist, "get_world_size", lambda: 2)
    monkeypatch.setattr(case_report.idist, "all_gather", all_gather)
    rows = {"a": [{"dice": np.float64(0.5), "voxels": np.int64(3), "hd95_mm": None}]}
    assert case_report._gather(rows) == [rows, {"b": []}]
    assert type(sent[0]) is str
