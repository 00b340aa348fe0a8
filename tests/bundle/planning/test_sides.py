"""Names and positions that distinguish left from right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.bundle.planning.choice import Choice
from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.bundle.planning.sides import choose_mirror_axes, find_sided_axes, find_sided_names

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "names",
    [
        ["left_kidney", "right_kidney"],
        ["left_kidney"],
        ["Left Lung", "Right Lung"],
        ["LEFT-LUNG", "RIGHT-LUNG"],
        ["kidneyLeft", "kidneyRight"],
        ["leftkidney", "rightkidney"],
        ["L_hippo", "R_hippo"],
        ["hippo L", "hippo R"],
        ["KidneyL", "KidneyR"],
        ["LKidney", "RKidney"],
        ["lh.cortex", "rh.cortex"],
        ["ctx-lh-insula", "ctx-rh-insula"],
        ["femur sinister", "femur dexter"],
    ],
)
def test_names_that_know_their_side(names: list[str]) -> None:
    assert find_sided_names(names) == names
    assert find_sided_names(["liver", *names, "spleen"]) == names


@pytest.mark.parametrize(
    "names",
    [
        ["leftover", "upright"],
        ["leftover", "tumour"],
        ["lateral ventricle", "third ventricle"],
        ["liver", "lung", "rib"],
        ["L"],
        ["vertebra_L1", "vertebra_L2"],
        ["Anterior", "Posterior"],
        ["bright spot", "cleft"],
        ["l_tumour", "r_cyst"],
    ],
)
def test_names_that_do_not(names: list[str]) -> None:
    assert find_sided_names(names) == []


def test_sided_names_keep_left_and_right_apart(make_report: Make) -> None:
    labels = {"background": 0, "left_kidney": 1, "right_kidney": 2, "liver": 3}
    chosen = choose_mirror_axes(make_fingerprint(make_report(labels=labels)))
    assert chosen.value == [1, 2]
    assert "left_kidney, right_kidney" in chosen.reason
    assert find_sided_axes(chosen, 3) == [0]
    picture = choose_mirror_axes(make_fingerprint(make_report(labels=labels, shape=(64, 64), spacing=(1, 1))))
    assert picture.value == []
    assert find_sided_axes(picture, 2) == []


def test_without_sides_all_axes_are_mirrored(make_report: Make) -> None:
    assert choose_mirror_axes(make_fingerprint(make_report())).value == [0, 1, 2]
    assert choose_mirror_axes(make_fingerprint(make_report(shape=(64, 64), spacing=(1, 1)))).value == [0, 1]
    assert find_sided_axes(Choice([0, 1, 2], ""), 3) == []


def choose_for_centroids(
    make_report: Make, offset: tuple[float, float, float], *, cases: int = 20, wrong: int = 0, size: float = 1.0
) -> Choice:
    """Two labels, the second this far (mm, RAS) from the first, in so many cases the other way round."""
    random = np.random.default_rng(0)
    report = make_report(cases=cases, labels={"background": 0, "one": 1, "two": 2})
    for number, case in enumerate(report["cases"]):
        middle = random.normal(0, 300, 3)
        apart = np.multiply(offset, -1 if number < wrong else 1)
        case["classes"]["one"]["centroid"] = middle.tolist()
        case["classes"]["two"]["centroid"] = (middle + apart).tolist()
        case["classes"]["two"]["ml"] *= size
    return choose_mirror_axes(make_fingerprint(report))


def test_twins_are_found_by_where_they_lie(make_report: Make) -> None:
    assert choose_for_centroids(make_report, (90, 10, 20)).value == [1, 2]
    assert choose_for_centroids(make_report, (-90, 10, 20)).value == [1, 2]
    # 19 of 20 cases are 95 %: one may be turned.
    assert choose_for_centroids(make_report, (90, 10, 20), wrong=1).value == [1, 2]
    assert "one and two" in choose_for_centroids(make_report, (90, 10, 20)).reason


@pytest.mark.parametrize(
    "case",
    [
        {"offset": (10, 90, 20)},
        {"offset": (10, 20, 90)},
        {"offset": (90, 60, 0)},
        {"offset": (90, 10, 20), "wrong": 10},
        {"offset": (90, 10, 20), "wrong": 2},
        {"offset": (90, 10, 20), "size": 1.6},
        {"offset": (90, 10, 20), "size": 0.5},
        {"offset": (90, 10, 20), "cases": 4},
    ],
)
def test_labels_that_are_no_twins(case: dict[str, Any], make_report: Make) -> None:
    assert choose_for_centroids(make_report, **case).value == [0, 1, 2]
