import itertools

import numpy as np
import pytest

from pipeline.study.report.arms import sort_runs
from pipeline.study.report.cost_scale import make_cost_scale
from pipeline.study.report.costs import average_costs
from pipeline.study.report.fronts import find_fronts
from pipeline.study.report.name_places import place_names
from pipeline.study.report.pareto import make_panels
from pipeline.study.report.statistics import evaluate_group

from .make_runs import make_run, make_study

# Dice and bytes: b is beaten by a, d by c at equal Dice, e by c at equal bytes.
ARMS = {"none": (-0.05, 0), "a": (-0.02, 100), "b": (-0.03, 5000), "c": (0.0, 9000), "d": (-0.001, 10_000_000)}


@pytest.fixture(scope="module")
def group():
    runs = []
    for skip, (gain, kept) in ARMS.items():
        run = make_run(skip, gain=gain, parts=("cost",), spread=0.0)
        run["cost"] = {"skip_bytes_kept": kept, "step_seconds": 0.1} if skip != "b" else {"skip_bytes_kept": kept}
        runs.append(run)
    return sort_runs(make_study(list(ARMS)), runs, [], [])[0]


def test_the_front_has_what_no_other_beats(group):
    costs = {skip: average_costs(arm) for skip, arm in group.arms.items()}
    fronts = find_fronts(evaluate_group(group, "none"), costs)
    assert fronts == {"skip_bytes_kept": ["none", "a", "c"], "step_seconds": ["c"]}


def test_panels_have_points_intervals_and_the_front(group):
    result = evaluate_group(group, "none")
    panels = make_panels(group, result, "none")
    assert [panel.title for panel in panels] == ["Memory that the skips keep", "Time of a training step, seconds"]
    points = {point.name: point for point in panels[0].points}
    assert [name for name, point in points.items() if point.front] == ["none", "a", "c"]
    assert all(point.high < point.y < point.low for point in points.values())
    assert points["none"].style == "ink"
    assert points["c"].text.endswith("9,000 bytes") or "KiB" in points["c"].text
    # A staircase: first to the right, then up.
    x, y = points["none"].x, points["none"].y
    assert panels[0].front == f"M{x:g} {y:g}" + "".join(f"H{points[one].x:g}V{points[one].y:g}" for one in "ac")
    assert len(panels[1].points) == 4


def test_wide_ranges_of_bytes_are_logarithmic_with_a_place_for_zero():
    scale = make_cost_scale("skip_bytes_kept", [0, 2**10, 2**15, 2**20])
    zero, low, middle, high = scale.places
    assert zero == 0
    assert scale.ticks[0] == (0.0, "0")
    assert middle - low == pytest.approx(high - middle, abs=0.05)
    assert high <= 100
    near = make_cost_scale("skip_bytes_kept", [2**20, 3 * 2**20])
    assert near.unit == "MiB"
    assert make_cost_scale("parameters", [1.4e6, 2.1e6]).unit == "millions"
    assert make_cost_scale("step_seconds", [0.1, 0.1]).places[0] == make_cost_scale("step_seconds", [0.1]).places[0]
    assert make_cost_scale("skip_bytes_kept", [0, 0]).places == [0.0, 0.0]


def test_names_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    points = {f"skip number {at}": (50 + rng.uniform(-3, 3), 40 + rng.uniform(-6, 6)) for at in range(9)}
    boxes = []
    for name, place in place_names(points).items():
        x, y = points[name][0] * 4, points[name][1] * 3
        left = x + place.across - (7 * len(name) if place.anchor == "end" else 0)
        boxes.append((left, left + 7 * len(name), y + place.down))
    for one, other in itertools.combinations(boxes, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or abs(one[2] - other[2]) >= 13
