import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from pipeline.evaluation.choose_cleaning import choose_cleaning
from pipeline.evaluation.cleaning_cases import Case
from pipeline.evaluation.cleaning_choice import CleaningChoice, Trial, format_choice_json, format_choice_table
from pipeline.evaluation.metrics import measure_case
from pipeline.evaluation.summary import summarise
from pipeline.labelmaps.clean import clean_label_map

Map = NDArray[np.integer]
LABELS = {"background": 0, "organ": 1, "lesions": 2}
SPACING = (1.0, 2.0, 2.0)
AFFINE = np.diag([*SPACING, 1.0])


def volume() -> Map:
    """An organ of 400 voxels with two lesions of 8 in it."""
    reference = np.zeros((12, 12, 12), dtype=np.uint8)
    reference[1:9, 1:11, 1:6] = 1
    reference[2:4, 2:4, 2:4] = reference[6:8, 6:8, 2:4] = 2
    return reference


def speckled(number: int) -> tuple[Map, Map, tuple[float, ...]]:
    """A prediction of it with pieces of the organ elsewhere, more in every case."""
    reference = volume()
    prediction = reference.copy()
    prediction[11, : 2 + number % 6 : 2, 8] = 1
    return prediction, reference, AFFINE


choose = partial(choose_cleaning, labels=LABELS, clean=clean_label_map)


def trials(choice: CleaningChoice, label: str, step: str) -> list[Trial]:
    return [trial for trial in choice.trials if (trial.label, trial.step) == (label, step)]


def mean_dice(maps: list[tuple[Map, Map]]) -> dict[str, float]:
    rows = [
        row
        for prediction, reference in maps
        for row in measure_case(prediction, reference, spacing=SPACING, labels=LABELS)
    ]
    return {name: entry["dice"]["mean"] for name, entry in summarise(rows)["labels"].items()}


def test_keeps_what_helps_the_label_that_it_helps() -> None:
    cases = [speckled(number) for number in range(10)]
    choice = choose(cases)
    assert choice.steps == {"largest_component": ["organ"]}
    assert (choice.cases, choice.unit) == (10, "ml")
    (organ,) = trials(choice, "organ", "largest_component")
    before = mean_dice([(prediction, reference) for prediction, reference, _ in cases])
    after = mean_dice(
        [(clean_label_map(p, voxel_size=1.0, largest_component=[1]), reference) for p, reference, _ in cases]
    )
    assert (organ.dice_before, organ.dice_after) == pytest.approx((before["organ"], after["organ"]), abs=1e-6)
    assert (organ.better, organ.worse, organ.verdict) == (10, 0, "kept")
    assert organ.p <= 0.01
    # Of the lesions one would go, in all cases.
    (lesions,) = trials(choice, "lesions", "largest_component")
    assert lesions.dice_after == pytest.approx(2 * 8 / (8 + 16))
    assert (lesions.better, lesions.worse, lesions.p, lesions.verdict) == (0, 10, 1.0, "gains less than 0.0005")
    assert [(trial.label, trial.verdict, trial.dice_after) for trial in choice.together] == [("organ", "kept", 1.0)]


def test_every_label_and_step_is_in_the_table() -> None:
    choice = choose([speckled(number) for number in range(3)])
    expected = {(label, step) for label in ("organ", "lesions") for step in ("largest_component", "fill_holes")}
    assert {(trial.label, trial.step) for trial in choice.trials if trial.minimum is None} == expected
    # Half, a tenth and a fiftieth of 384 and of 16 voxels of 0.004 ml; of the lesions the last is below a voxel.
    organ, lesions = ([trial.minimum for trial in trials(choice, label, "minimum")] for label in ("organ", "lesions"))
    assert organ == pytest.approx([0.768, 0.154, 0.0307])
    assert lesions == pytest.approx([0.032, 0.0064])


def test_few_cases_keep_nothing_however_well_they_look() -> None:
    for number, kept in ((6, []), (7, ["organ"])):
        choice = choose([speckled(each) for each in range(number)])
        assert choice.largest_component == kept
        (trial,) = trials(choice, "organ", "largest_component")
        assert (trial.better, trial.worse, trial.dice_after) == (number, 0, 1.0)
        assert trial.p == pytest.approx(0.5**number)
        assert trial.verdict == ("kept" if kept else "may be chance")


def test_equal_differences_of_few_cases_are_no_evidence_either() -> None:
    choice = choose([speckled(0)] * 4)
    (trial,) = trials(choice, "organ", "largest_component")
    assert (trial.better, trial.p, trial.verdict) == (4, 0.5**4, "may be chance")
    assert choice.steps == {}


def test_a_gain_that_nobody_sees_is_not_kept() -> None:
    cases = []
    for _ in range(20):
        reference = np.zeros((40, 40), dtype=np.uint8)
        reference[1:39, 1:37] = 1
        prediction = reference.copy()
        prediction[20, 39] = 1
        cases.append((prediction, reference, np.eye(3)))
    small = choose_cleaning(cases, {"organ": 1}, clean_label_map)
    (trial,) = trials(small, "organ", "largest_component")
    assert trial.p < 1e-5
    assert trial.dice_after - trial.dice_before == pytest.approx(1 - 2 * 1368 / (1368 + 1369))
    assert (trial.verdict, small.steps) == ("gains less than 0.0005", {})
    seen = choose_cleaning(cases, {"organ": 1}, clean_label_map, smallest_gain=0.0003)
    assert seen.steps == {"largest_component": ["organ"]}


def test_the_best_of_several_minimums_is_kept_in_the_pictures_unit() -> None:
    # False components of 4 mm2, and true ones of 30 and 100: a tenth and a half of the smallest are tried.
    reference = np.zeros((20, 30), dtype=np.uint8)
    reference[0:10, 0:10] = reference[12:18, 12:17] = 1
    cases = []
    for number in range(12):
        prediction = reference.copy()
        prediction[2 : 4 + 2 * (number % 2), 20:22] = 1
        cases.append((prediction, reference, np.diag([0.5, 2.0, 1.0])))
    choice = choose_cleaning(cases, {"cell": 1}, clean_label_map)
    half, tenth, fiftieth = trials(choice, "cell", "minimum")
    assert [trial.minimum for trial in (half, tenth, fiftieth)] == [65, 13, 2.6]
    assert (half.worse, tenth.better, fiftieth.better) == (12, 12, 0)
    assert [trial.verdict for trial in (half, tenth, fiftieth)] == [
        "gains less than 0.0005",
        "kept",
        "changes nothing",
    ]
    assert choice.steps == {"minimum_mm2": {"cell": 13.0}}


def test_steps_are_tried_on_top_of_those_kept() -> None:
    cases = []
    for number in range(9):
        prediction, reference, _ = speckled(number)
        # A false lesion in the organ: where it goes there is a hole, which only then can be filled.
        prediction[5, 4, 2 + number % 3] = 2
        cases.append((prediction, reference, AFFINE))
    choice = choose(cases)
    assert choice.steps == {
        "largest_component": ["organ"],
        "minimum_ml": {"lesions": 0.0064},
        "fill_holes": ["organ"],
    }
    (filled,) = trials(choice, "organ", "fill_holes")
    assert (filled.better, filled.dice_after) == (9, 1.0)
    assert {trial.label: trial.dice_after for trial in choice.together} == {"organ": 1.0, "lesions": 1.0}
    assert {trial.label: trial.dice_before for trial in choice.together} == pytest.approx(
        mean_dice([(prediction, reference) for prediction, reference, _ in cases])
    )


def test_a_label_that_is_rightly_left_out_counts_as_better() -> None:
    cases = []
    for number in range(20):
        reference = volume()
        if number % 2:
            reference[reference == 2] = 0
        prediction = reference.copy()
        prediction[10, 10, 10] = 2
        cases.append((prediction, reference, AFFINE))
    choice = choose(cases)
    minimum = next(trial for trial in trials(choice, "lesions", "minimum") if trial.verdict == "kept")
    # Half the cases are 0 before, as in an evaluation, and not counted afterwards.
    assert minimum.dice_before == pytest.approx(mean_dice([(p, r) for p, r, _ in cases])["lesions"], abs=1e-6)
    assert minimum.dice_before == pytest.approx(0.5 * 2 * 16 / (16 + 17))
    assert (minimum.dice_after, minimum.better, minimum.worse) == (1.0, 20, 0)


def test_a_label_that_no_reference_has_is_left_alone() -> None:
    cases = []
    for number in range(9):
        prediction, reference, _ = speckled(number)
        cases.append((prediction, np.where(reference == 2, 1, reference), AFFINE))
    choice = choose(cases)
    assert {trial.label for trial in choice.trials} == {"organ"}


def coin(label_map: Map, *, rng: np.random.Generator, **steps: Any) -> Map:
    """Cleaning that is nothing but noise: it makes a label better or worse by a coin, by one to five voxels."""
    cleaned = label_map.copy()
    for value in {*steps["largest_component"], *steps["fill_holes"], *steps["minimum"]}:
        better = rng.random() < 0.5
        cleaned[0 if better else 1, : rng.integers(1, 6)] = value if better else 0
    return cleaned


@pytest.mark.slow
def test_noise_is_kept_no_more_often_than_the_level_says() -> None:
    reference = np.ones((8, 5), dtype=np.uint8)
    prediction = reference.copy()
    prediction[0] = 0
    kept, better, worse = 0, 0, 0
    for seed in range(100):
        clean = partial(coin, rng=np.random.default_rng(seed))
        cases = [(prediction, reference, np.eye(3))] * 12
        choice = choose_cleaning(cases, {"organ": 1}, clean)
        better += sum(trial.better for trial in choice.trials)
        worse += sum(trial.worse for trial in choice.trials)
        kept += any(trial.verdict == "kept" for trial in choice.trials)
    assert better == pytest.approx(worse, rel=0.1)
    assert kept <= binom.ppf(0.99, 100, 0.05)


def harmful(label_map: Map, *, victim: int, **steps: Any) -> Map:
    """Clean as it should be, but take a piece from another label with it."""
    cleaned = clean_label_map(label_map, **steps)
    if steps["largest_component"]:
        cleaned[np.unravel_index(np.flatnonzero(cleaned == victim)[0], cleaned.shape)] = 0
    return cleaned


def test_nothing_is_kept_that_makes_another_label_worse() -> None:
    cases = [speckled(number) for number in range(10)]
    assert choose(cases).steps
    choice = choose(cases, clean=partial(harmful, victim=2))
    assert {trial.verdict for trial in trials(choice, "organ", "largest_component")} == {"kept"}
    assert (choice.steps, choice.together) == ({}, [])


def test_cases_may_be_given_one_at_a_time() -> None:
    alive: list[int] = []

    def one_at_a_time() -> Iterator[tuple[Map, Map, tuple[float, ...]]]:
        for number in range(8):
            alive.append(number)
            yield speckled(number)

    assert choose(one_at_a_time) == choose([speckled(number) for number in range(8)])
    assert choose(one_at_a_time()) == choose(one_at_a_time)
    assert len(alive) % 8 == 0


def test_empty_cases_among_others_change_nothing() -> None:
    empty = np.zeros((12, 12, 12), dtype=np.uint8)
    cases = [speckled(number) for number in range(8)]
    more = choose([*cases, (empty, empty, AFFINE)])
    assert replace(more, cases=8) == choose(cases)
    assert choose([(empty, empty, AFFINE)]).trials == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda prediction, reference: (prediction[1:], reference, AFFINE), r"case 1: .*\(11, 12, 12\), the refer"),
        (
            lambda prediction, reference: (prediction, reference, np.eye(3)),
            r"case 1: .*affine 3 rows: expected one grid",
        ),
        (lambda prediction, reference: (prediction, reference * 3, AFFINE), r"the reference has the values \[3, 6\]"),
        (lambda prediction, reference: (prediction / 2, reference, AFFINE), "the prediction has values of type float"),
        (lambda prediction, reference: (prediction, reference.astype(int) - 1, AFFINE), "or below 0: expected a lab"),
    ],
)
def test_cases_that_cannot_be_measured_are_named(change: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose([change(*speckled(1)[:2])])
    with pytest.raises(ValueError, match="no case"):
        choose([])


def test_table_and_json_tell_the_same() -> None:
    choice = choose([speckled(number) for number in range(10)])
    lines = format_choice_table(choice).splitlines()
    assert re.split("  +", lines[0]) == [
        "label",
        "step",
        "Dice before",
        "after",
        "cases better",
        "worse",
        "p",
        "verdict",
    ]
    assert len(lines) == 1 + len(choice.trials) + len(choice.together)
    organ = choice.trials[0]
    cells = ["organ", "largest", "component", f"{organ.dice_before:.4f}", "1.0000", "10", "0", f"{organ.p:.2g}", "kept"]
    assert lines[1].split() == cells
    assert any("minimum 0.0307 ml" in line for line in lines)
    content: Mapping[str, Any] = json.loads(format_choice_json(choice, {"fold": 0}))
    assert content["kept"] == {"largest_component": ["organ"]}
    assert content["provenance"] == {"fold": 0}
    assert [Trial(**row) for row in content["trials"]] == choice.trials
    assert (content["cases"], content["smallest_gain"], content["level"]) == (10, 0.0005, 0.05)


def test_ignored_voxels_and_unannotated_labels_do_not_count() -> None:
    """The pieces of the organ are where the reference is ignored: then removing them gains nothing."""
    cases = [speckled(number) for number in range(10)]
    ignored = []
    for prediction, reference, affine in cases:
        marked = reference.copy()
        marked[11] = 3
        ignored.append((prediction, marked, affine))
    choice = choose(ignored, ignored=[3])
    assert choice.steps == {}
    (organ,) = trials(choice, "organ", "largest_component")
    assert (organ.dice_before, organ.dice_after, organ.verdict) == (1, 1, "changes nothing")
    with pytest.raises(ValueError, match=r"has the values \[3\]"):
        choose(ignored)
    # Without annotation of the organ, only lesions are left.
    choice = choose([Case(*case, {2}) for case in cases])
    assert {trial.label for trial in choice.trials} == {"lesions"}
    format_choice_json(choice, {})
