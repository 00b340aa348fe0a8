"""A dataset in numbers, against nibabel's canonical orientation and numpy on the voxels themselves."""

from collections.abc import Callable
from typing import Any

import nibabel
import numpy as np
import pytest

from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.data.errors import InputError

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "ASL", "SRP", "IPL"])
def test_axes_are_those_of_the_scan_turned_to_ras(codes: str, make_report: Make) -> None:
    shape, spacing = (7, 11, 13), (0.5, 0.9, 4.0)
    turn = nibabel.orientations.axcodes2ornt(codes)
    affine = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(turn):
        affine[int(world), axis] = sign * spacing[axis]
    affine[3, 3] = 1
    image = nibabel.Nifti1Image(np.zeros(shape, np.int16), affine)
    assert "".join(nibabel.aff2axcodes(affine)) == codes
    canonical = nibabel.as_closest_canonical(image)
    made = make_fingerprint(make_report(shape=shape, spacing=spacing, orientation=codes))
    assert made.shapes.tolist() == [list(canonical.shape)] * 10
    assert made.spacings == pytest.approx(np.tile(canonical.header.get_zooms(), (10, 1)))
    assert made.dims == 3


def test_pictures_have_the_axes_of_their_files(make_report: Make) -> None:
    made = make_fingerprint(make_report(shape=(30, 20), spacing=(1.0, 2.0)))
    assert made.dims == 2
    assert made.shapes[0].tolist() == [30, 20]
    # 3 % of 600 pixels of 2 mm².
    assert made.structures[0].size == pytest.approx(18 * 2)


def test_percentiles_are_those_of_all_cases_voxels(make_report: Make) -> None:
    random = np.random.default_rng(0)
    report = make_report(cases=12)
    voxels = []
    for case in report["cases"]:
        # Tissue of another mean in each case, a few voxels of bone and of air in every one.
        own = random.normal(random.uniform(-50, 90), random.uniform(10, 40), 40_000)
        own[:160], own[160:300] = random.uniform(400, 1500, 160), random.uniform(-1000, -300, 140)
        voxels.append(own)
        case["foreground"][0] |= {
            "mean": own.mean(),
            "std": own.std(),
            "quantiles": np.quantile(own, np.linspace(0, 1, 201)).tolist(),
        }
    made = make_fingerprint(report)
    together = np.concatenate(voxels)
    assert made.quantiles is not None
    assert made.quantiles.shape == (1, 201)
    assert made.quantiles[0, [20, 100, 180]] == pytest.approx(np.quantile(together, [0.1, 0.5, 0.9]), abs=1)
    # Of a spread of 2500 HU.
    assert made.quantiles[0, [1, 199]] == pytest.approx(np.quantile(together, [0.005, 0.995]), abs=25)
    assert made.quantiles[0, [0, 200]] == pytest.approx([together.min(), together.max()])
    assert made.mean == pytest.approx([together.mean()])
    assert made.std == pytest.approx([together.std()])


def test_each_case_weighs_the_same_however_large_its_structures_are(make_report: Make) -> None:
    report = make_report(cases=2, folds=2)
    for case, level, voxels in zip(report["cases"], (0.0, 100.0), (10, 1_000_000), strict=True):
        case["foreground"][0] |= {"voxels": voxels, "mean": level, "std": 0.0, "quantiles": [level] * 201}
    made = make_fingerprint(report)
    assert made.mean == [50]
    assert made.std == [50]


def test_medians_over_cases_by_hand(make_report: Make) -> None:
    report = make_report(cases=3, folds=3, shape=(10, 10, 10), labels={"background": 0, "organ": 4, "rare": 9})
    for case, voxels, zeros in zip(report["cases"], (10, 20, 60), (0.1, 0.5, 0.6), strict=True):
        case["classes"]["organ"] |= {"voxels": voxels, "ml": voxels / 1000}
        case["intensity"][0] |= {"zeros": zeros, "min": -zeros}
        del case["classes"]["rare"]
    report["cases"][0]["classes"]["rare"] = {"voxels": 5, "ml": 0.005, "centroid": [1.0, 2.0, 3.0]}
    made = make_fingerprint(report)
    organ, rare = made.structures
    assert (organ.value, organ.cases, organ.size, organ.share) == (4, 3, 0.02, 0.02)
    assert (rare.value, rare.cases, rare.size, rare.share) == (9, 1, 0.005, 0.005)
    assert rare.centroids["case_0"].tolist() == [1, 2, 3]
    assert made.foreground == 0.02
    assert made.zeros == [0.5]
    assert made.lowest == [-0.5]


def test_folds_are_counted_among_cases_that_can_be_used(make_report: Make) -> None:
    report = make_report(cases=7, folds=3)
    report["cases"][0]["shape"] = None
    report["cases"].append(report["cases"][1] | {"part": "test", "label": None, "fold": None})
    made = make_fingerprint(report)
    # Folds 0, 1, 2 had 3, 2, 2 cases.
    assert (made.cases, made.folds, made.largest_fold) == (6, 3, 2)


@pytest.mark.parametrize(
    "broken",
    [
        {"shape": None},
        {"intensity": []},
        {"spacing": [1.0, 0.0, 1.0]},
        {"spacing": [1.0, float("nan"), 1.0]},
        {"spacing": [1.0, float("inf"), 1.0]},
        # nibabel's codes of an affine that flattens an axis.
        {"orientation": "RNoneS"},
    ],
)
def test_a_case_with_a_broken_header_does_not_count(broken: dict[str, Any], make_report: Make) -> None:
    report = make_report(cases=6)
    report["cases"][2] |= broken
    made = make_fingerprint(report)
    assert made.cases == 5
    assert np.isfinite(made.spacings).all()


def test_a_label_map_that_cannot_be_read_does_not_count_as_empty(make_report: Make) -> None:
    report = make_report(cases=6)
    for number in (2, 3):
        report["cases"][number] |= {"classes": {}, "foreground": []}
    truncated = report["cases"][2]["label"]
    report["findings"] = [
        {"kind": "truncated", "severity": "problem", "case": "case_2", "file": truncated},
        {"kind": "label-empty", "severity": "warning", "case": "case_3", "file": report["cases"][3]["label"]},
    ]
    assert make_fingerprint(report).cases == 5


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda report: report["cases"][1].update(shape=None), "1 usable training cases"),
        (lambda report: report.update(labels={"background": 0}), "0 labels"),
        (lambda report: [case.update(classes={}, foreground=[]) for case in report["cases"]], "no labelled voxel"),
        (lambda report: report["cases"][0].update(fold=None), "without a fold"),
        (lambda report: [case.update(fold=3) for case in report["cases"]], "all cases in one fold"),
        (lambda report: report.update(labels={"background": 0, "$x": 1}), r"'\$x'"),
        (lambda report: report.update(channels=["_target_"]), "'_target_'"),
    ],
)
def test_what_no_network_can_be_planned_for_is_an_error(
    change: Callable[[dict[str, Any]], Any], found: str, make_report: Make
) -> None:
    report = make_report(cases=2, folds=2)
    change(report)
    with pytest.raises(InputError, match=found):
        make_fingerprint(report)
