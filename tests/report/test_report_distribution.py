import numpy as np
import pytest

from pipeline.report.report_content import CaseFiles, Content, Metric, Score
from pipeline.report.report_distribution import _stack, make_panels

DICE, HD95 = Metric("dice", "Dice"), Metric("hd95_mm", "HD95", "mm", "lower")


def make_content(values, *, metric=DICE, outcomes=(), statistics=None, sets=("a",)):
    scores = [
        Score(name, f"case_{n}", "head", outcomes[n] if outcomes else "found", {metric.name: value})
        for name in sets
        for n, value in enumerate(values)
    ]
    cases = [CaseFiles(f"case_{n}") for n in range(len(values))]
    summary = {"statistics": statistics} if statistics else {}
    return Content(
        "comparison", "x", labels={"head": 3}, sets=sets, metrics=[metric], scores=scores, cases=cases, summary=summary
    )


def anchors(content):
    return {case.name: f"case-{number}" for number, case in enumerate(content.cases, 1)}


def test_every_case_is_a_point_that_names_itself_and_leads_to_its_case():
    content = make_content([0.8, 0.6, 0.9])
    [panel] = make_panels(content, anchors(content))
    [strip] = panel.strips
    assert [(point.text, point.anchor) for point in strip.points] == [
        ("case_1 · head · 0.600", "case-2"),
        ("case_0 · head · 0.800", "case-1"),
        ("case_2 · head · 0.900", "case-3"),
    ]
    assert [point.x for point in strip.points] == [panel.axis.place(value) for value in (0.6, 0.8, 0.9)]
    assert (strip.swatch, strip.set) == ("s3", "")
    assert strip.mean == pytest.approx(panel.axis.place(2.3 / 3), abs=0.01)


def test_equal_values_are_stacked_and_never_cover_each_other():
    content = make_content([0.8] * 5)
    [strip] = make_panels(content, anchors(content))[0].strips
    heights = sorted(point.y for point in strip.points)
    assert min(np.diff(heights)) > 5
    assert heights[0] > 0
    assert heights[-1] < 44


def stack_against_all(places):
    """The rule in words, against all earlier points: the first height, from the middle on, where none is covered."""
    taken, heights = [], []
    tries = [0.0] + [sign * 7.5 * number for number in (1, 2) for sign in (1, -1)]
    for place in places:
        x = 6.2 * place
        free = [one for one in tries if all(np.hypot(x - left, one - up) >= 7 for left, up in taken)]
        taken.append((x, free[0] if free else tries[len(taken) % len(tries)]))
        heights.append(round(22 + taken[-1][1], 1))
    return heights


def test_many_points_are_stacked_by_the_same_rule_with_work_in_proportion(monkeypatch):
    compared = []

    def hypot(x, y):
        compared.append((x, y))
        return np.hypot(x, y)

    monkeypatch.setattr("pipeline.report.report_distribution.math.hypot", hypot)
    rng = np.random.default_rng(0)
    for number in (20, 300):
        compared.clear()
        places = sorted(rng.uniform(0, 100, number).tolist() + [50.0] * 10)
        assert _stack(places) == stack_against_all(places)
        # Every height of every point against the last point at each height.
        assert len(compared) <= 25 * len(places)


def test_a_missed_structure_does_not_stretch_the_axis_and_stands_at_its_end():
    content = make_content([1.0, 2.0, 300.0], metric=HD95, outcomes=("found", "found", "missed"))
    [panel] = make_panels(content, anchors(content))
    assert panel.axis.high <= 3
    lost = panel.strips[0].points[-1]
    assert (lost.x, lost.style) == (100, "missed")
    assert lost.text == "case_2 · head · 300.00 mm · missed"
    assert panel.hint == "Lower is better, in mm, missed and invented structures at the end"
    # Its mean of 101 mm is not on the axis, so no mark claims another number.
    assert panel.strips[0].mean is None
    assert panel.strips[0].text == "mean 101.00 mm, 3 cases"
    [panel] = make_panels(make_content([1.0, 2.0], metric=HD95), {})
    assert panel.hint == "Lower is better, in mm"


def test_ratios_of_missed_structures_and_their_means_stand_at_their_values():
    known = {"a": {"head": {"dice": {"mean": 0.5, "interval": [0.0, 0.8]}}}}
    content = make_content([0.7, 0.8, 0.0], outcomes=("found", "found", "missed"), statistics=known)
    [panel] = make_panels(content, anchors(content))
    [strip] = panel.strips
    assert (panel.axis.low, panel.axis.high) == (0, 1)
    assert [point.x for point in strip.points] == pytest.approx([0, 70, 80])
    assert (strip.mean, strip.interval) == (50, (0, 80))


def test_mean_and_interval_are_those_of_the_summary():
    known = {"a": {"head": {"dice": {"mean": 0.7, "interval": [0.6, 0.8]}}}}
    content = make_content([0.8, 0.6], statistics=known)
    [panel] = make_panels(content, anchors(content))
    [strip] = panel.strips
    assert (strip.mean, strip.interval) == (panel.axis.place(0.7), (panel.axis.place(0.6), panel.axis.place(0.8)))
    assert strip.text == "mean 0.700 [0.600, 0.800], 2 cases"
    known = {"a": {"head": {"hd95_mm": {"mean": 1.5, "interval": [1.0, 2.0]}}}}
    [panel] = make_panels(make_content([1.0, 2.0], metric=HD95, statistics=known), {})
    assert panel.strips[0].text == "mean 1.50 mm [1.00, 2.00], 2 cases"


def test_each_set_has_a_row():
    content = make_content([0.8, 0.6], sets=("a", "b"))
    assert [strip.set for strip in make_panels(content, anchors(content))[0].strips] == ["a", "b"]
