import csv
import json
import math
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.labelmaps.label_table import make_label_table
from pipeline.labelmaps.statistics import measure_labels, write_statistics, write_table

ONE = make_label_table({"background": 0, "liver": 1})
THREE = make_label_table({"background": 0, "liver": 1, "tumour": 2, "vessel": 5})


def rotation(*degrees):
    """Turns about the first, the second and the third axis, one after the other."""
    result = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn[[a, a, b, b], [a, b, a, b]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
        result = turn @ result
    return result


def affine(axes, origin=(0.0, 0.0, 0.0)):
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = axes, origin
    return whole


def ball(radius, spacing, shift=(0.1, 0.2, 0.3)):
    """Voxels whose centres are in a ball, with at least two voxels of background around it."""
    steps = [np.arange(-int(radius / s) - 3, int(radius / s) + 4) + d for s, d in zip(spacing, shift, strict=True)]
    squares = [(step * s) ** 2 for step, s in zip(steps, spacing, strict=True)]
    return (squares[0][:, None, None] + squares[1][:, None] + squares[2] <= radius**2).astype(np.uint8)


def brick(shape=(40, 50, 30), box=np.s_[5:35, 5:45, 5:25], dtype=np.uint8):
    labels = np.zeros(shape, dtype)
    labels[box] = 1
    return labels


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 2.5), (2, 0.5, 1)])
def test_a_box_has_the_volume_and_the_surface_of_its_edges(spacing):
    row = measure_labels(brick(), None, np.diag([*spacing, 1]), ONE)[0]
    a, b, c = np.array((30, 40, 20)) * spacing
    assert (row["label"], row["name"]) == (1, "liver")
    assert row["voxels"] == 24000
    assert row["volume_ml"] == pytest.approx(a * b * c / 1000)
    assert row["surface_cm2"] == pytest.approx(2 * (a * b + b * c + c * a) / 100, rel=0.025)
    assert row["bounding_box"] == {"first": [5, 5, 5], "last": [34, 44, 24]}
    assert row["touches_border"] is False
    assert row["intensity"] == []


@pytest.mark.parametrize("spacing", [(1, 1, 1), (1, 1, 2.5), (0.5, 2, 1), (3, 1, 1)])
@pytest.mark.parametrize("radius", [12, 20])
def test_the_surface_of_a_sphere_is_within_two_percent(spacing, radius):
    row = measure_labels(ball(radius, spacing), None, np.diag([*spacing, 1]), ONE)[0]
    assert row["surface_cm2"] == pytest.approx(4 * math.pi * radius**2 / 100, rel=0.02)
    assert row["volume_ml"] == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.01)


def test_a_sphere_keeps_its_surface_however_the_grid_is_turned_and_mirrored():
    labels = ball(12, (1, 1, 2.5))
    straight = measure_labels(labels, None, np.diag([1, 1, 2.5, 1]), ONE)[0]
    turned = affine(rotation(20, 30, 40) @ np.diag([-1, 1, 2.5]), (10, 20, 30))
    row = measure_labels(labels, None, turned, ONE)[0]
    assert row["surface_cm2"] == pytest.approx(straight["surface_cm2"], rel=1e-4)
    assert row["volume_ml"] == pytest.approx(straight["volume_ml"])


def test_a_sheared_box_is_a_slanted_one():
    # Each slice is 1 mm further along x: base and height, and so the volume, stay; two of the faces are longer.
    row = measure_labels(brick(), None, affine([[1, 0, 1], [0, 1, 0], [0, 0, 1]]), ONE)[0]
    assert row["volume_ml"] == pytest.approx(24.0)
    assert row["surface_cm2"] == pytest.approx(2 * (30 * 40 + 30 * 20 + 40 * 20 * math.sqrt(2)) / 100, rel=0.02)


def test_a_surface_in_many_bricks_is_the_same_as_in_one(monkeypatch):
    labels = ball(20, (1, 1, 1))
    whole = measure_labels(labels, None, np.eye(4), ONE)[0]["surface_cm2"]
    monkeypatch.setattr("pipeline.labelmaps.surface._BRICK", {3: 9})
    assert measure_labels(labels, None, np.eye(4), ONE)[0]["surface_cm2"] == pytest.approx(whole, rel=1e-5)


def test_a_label_at_the_border_is_closed_there_and_said_to_be_cut():
    labels = brick((30, 40, 20), np.s_[:, :, :])
    row = measure_labels(labels, None, np.eye(4), ONE)[0]
    assert row["touches_border"] is True
    inner = measure_labels(brick(), None, np.eye(4), ONE)[0]
    assert row["surface_cm2"] == pytest.approx(inner["surface_cm2"], rel=1e-5)


@pytest.mark.parametrize(
    ("box", "touches"),
    [(np.s_[1:9, 1:9, :], False), (np.s_[0:9, 1:9, :], True), (np.s_[1:9, 1:10, :], True)],
)
def test_the_only_slice_is_no_border(box, touches):
    row = measure_labels(brick((10, 10, 1), box), None, np.eye(4), ONE)[0]
    assert row["touches_border"] is touches


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (1, 9, 9)])
def test_thin_labels_have_a_surface(shape):
    row = measure_labels(np.ones(shape, np.uint8), None, np.eye(4), ONE)[0]
    a, b, c = shape
    assert 0.2 < row["surface_cm2"] * 100 / (2 * (a * b + b * c + c * a)) < 1.2


def test_the_centroid_goes_through_an_oblique_affine():
    axes = rotation(10, 25, -15) @ np.diag([-0.7, 1.2, 3])
    whole = affine(axes, (-30, 12, 7))
    labels = brick(box=np.s_[5:10, 6:8, 7:8])
    row = measure_labels(labels, None, whole, ONE)[0]
    assert row["centroid_mm"] == pytest.approx(nib.affines.apply_affine(whole, (7, 6.5, 7)).tolist())


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_labels_and_two_channels_agree_with_simpleitk(order):
    rng = np.random.default_rng(0)
    labels = np.asarray(rng.choice([0, 1, 2], size=(14, 12, 10)), np.uint8, order=order)
    channels = [np.asarray(rng.normal(1e3, 3, labels.shape), np.float64, order=order), rng.normal(size=labels.shape)]
    rows = measure_labels(labels, channels, np.diag([2, 3, 4, 1]), THREE, channels=["T1", "T2"])
    assert [row["voxels"] for row in rows[:2]] == [np.sum(labels == 1), np.sum(labels == 2)]
    for number, (name, channel) in enumerate(zip(["T1", "T2"], channels, strict=True)):
        measure = sitk.LabelStatisticsImageFilter()
        measure.Execute(sitk.GetImageFromArray(channel), sitk.GetImageFromArray(labels))
        for row in rows[:2]:
            n, intensity = row["voxels"], row["intensity"][number]
            assert intensity["channel"] == name
            assert intensity["mean"] == pytest.approx(measure.GetMean(row["label"]), rel=1e-10)
            assert intensity["sd"] == pytest.approx(measure.GetSigma(row["label"]) * math.sqrt((n - 1) / n), rel=1e-6)


def test_a_small_deviation_from_a_large_mean_is_not_lost():
    image = np.random.default_rng(0).normal(1e8, 1, brick().shape)
    intensity = measure_labels(brick(), image, np.eye(4), ONE)[0]["intensity"][0]
    assert intensity["sd"] == pytest.approx(np.std(image[brick() == 1]), rel=1e-6)


def test_channels_may_come_first_and_be_one():
    labels = brick()
    image = np.random.default_rng(0).integers(-1000, 1000, labels.shape).astype(np.int16)
    one = measure_labels(labels, image, np.eye(4), ONE)[0]["intensity"]
    assert one == measure_labels(labels, image[None], np.eye(4), ONE)[0]["intensity"]
    assert one[0]["mean"] == pytest.approx(image[labels == 1].mean())
    two = measure_labels(labels, np.stack([image, -image]), np.eye(4), ONE)[0]["intensity"]
    assert [channel["channel"] for channel in two] == ["0", "1"]
    assert two[1]["mean"] == pytest.approx(-one[0]["mean"])


def test_an_absent_label_has_no_voxels_and_no_measures():
    row = measure_labels(brick(), brick(), np.eye(4), THREE)[2]
    assert (row.pop("label"), row.pop("name"), row.pop("voxels")) == (5, "vessel", 0)
    assert row.pop("intensity") == [{"channel": "0", "mean": None, "sd": None}]
    assert set(row.values()) == {None}


def test_voxels_that_are_not_finite_do_not_count():
    labels = brick()
    image = np.full(labels.shape, 7.0)
    image[5, 5, 5], image[6, 6, 6], image[7, 7, 7] = np.nan, np.inf, -np.inf
    assert measure_labels(labels, image, np.eye(4), ONE)[0]["intensity"][0] == {"channel": "0", "mean": 7, "sd": 0}
    image[:] = np.nan
    assert measure_labels(labels, image, np.eye(4), ONE)[0]["intensity"][0]["mean"] is None


@pytest.mark.parametrize("spacing", [(1, 1), (0.5, 1.5)])
def test_in_two_dimensions_a_label_has_an_area_and_a_perimeter(spacing):
    labels = ball(15, (*spacing, 1))
    labels = labels[:, :, labels.shape[2] // 2]
    row = measure_labels(labels, None, np.diag([*spacing, 1, 1]), ONE)[0]
    assert row["area_mm2"] == pytest.approx(math.pi * 15**2, rel=0.02)
    assert row["perimeter_mm"] == pytest.approx(2 * math.pi * 15, rel=0.02)
    assert len(row["bounding_box"]["first"]) == 2
    assert "volume_ml" not in row


@pytest.mark.slow
def test_large_volumes_need_little_more_than_a_label_s_box():
    labels = np.zeros((200, 200, 200), np.uint8, order="F")
    labels[5:190, 5:190, 5:190] = 1
    image = labels.astype(np.int16)
    tracemalloc.start()
    measure_labels(labels, image, np.eye(4), ONE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * labels.size  # as floating point its box alone would be four times as large


@pytest.mark.parametrize(
    ("labels", "image", "grid", "words"),
    [
        (np.zeros((3, 3, 3)), None, np.eye(4), "integers"),
        (np.zeros((3, 3, 3), int), np.zeros((3, 3, 4)), np.eye(4), "expected .3, 3, 3."),
        (np.zeros((3, 3, 3), int), None, np.diag([1.0, 1, 0, 1]), "affine"),
        (np.zeros((3, 3, 3), int), None, np.full((4, 4), np.nan), "affine"),
    ],
)
def test_what_does_not_fit_is_refused(labels, image, grid, words):
    with pytest.raises(ValueError, match=words):
        measure_labels(labels, image, grid, ONE)


def test_the_json_of_a_scan_states_units_and_is_strict(tmp_path):
    rows = measure_labels(brick(), brick().astype(float) / 3, np.eye(4), THREE)
    write_statistics(rows, tmp_path / "out" / "a_statistics.json", scan="a")
    content = json.loads((tmp_path / "out" / "a_statistics.json").read_text(), parse_constant=pytest.fail)
    assert content["scan"] == "a"
    assert content["units"]["volume_ml"] == "ml"
    assert "area_mm2" not in content["units"]
    assert content["labels"][0]["intensity"][0]["mean"] == 0.333333
    assert content["labels"][2]["centroid_mm"] is None


def test_the_table_of_all_scans_is_the_same_from_rows_and_from_files(tmp_path):
    labels = brick()
    rows = measure_labels(labels, labels.astype(float) / 3, np.eye(4), THREE)
    empty = measure_labels(0 * labels, labels, np.eye(4), THREE)
    write_statistics(rows, tmp_path / "b.json", scan="b")
    write_table({"b": tmp_path / "b.json", "a": empty}, tmp_path / "one.csv")
    write_table({"a": empty, "b": rows}, tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    lines = list(csv.DictReader((tmp_path / "one.csv").read_text().splitlines()))
    assert [(line["scan"], line["name"], line["voxels"]) for line in lines] == [
        *(("a", name, "0") for name in ("liver", "tumour", "vessel")),
        ("b", "liver", "24000"),
        ("b", "tumour", "0"),
        ("b", "vessel", "0"),
    ]
    assert next(iter(lines[0])) == "scan"
    assert lines[0]["volume_ml"] == ""
    filled = lines[3]
    assert (filled["volume_ml"], filled["centroid_x_mm"], filled["last_voxel_y"]) == ("24", "19.5", "44")
    assert (filled["touches_border"], filled["intensity_mean_0"]) == ("false", "0.333333")


@pytest.mark.parametrize("text", ["", "{}", '{"labels": [1]}', '{"labels": [{"label": 1}]}', "[]"])
def test_a_file_without_statistics_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        write_table({"a": tmp_path / "a.json"}, tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing\.json"):
        write_table({"a": tmp_path / "missing.json"}, tmp_path / "all.csv")
