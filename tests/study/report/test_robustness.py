import copy

import numpy as np
import pytest
from scipy.integrate import trapezoid

from pipeline.study.report.arms import sort_runs
from pipeline.study.report.judge import judge_areas
from pipeline.study.report.robust_tables import make_area_table, make_robust_charts
from pipeline.study.report.robustness import AREA, evaluate_robustness

from .make_runs import make_run, make_study

PARTS = ("robustness",)


@pytest.fixture(scope="module")
def group():
    runs = [make_run(skip, seed, parts=PARTS, spread=0.001) for skip in ("concat", "sat", "none") for seed in range(3)]
    del runs[-1]["robustness"]
    return sort_runs(make_study(["concat", "sat", "none"]), runs, [], [])[0]


@pytest.fixture(scope="module")
def robust(group):
    return evaluate_robustness(group, "concat")


def test_the_area_is_that_of_the_trapezoidal_rule(group, robust):
    assert list(robust.levels) == ["noise", "blur"]
    for skip in ("concat", "none"):
        parts = [run["robustness"] for run in group.arms[skip].done if "robustness" in run]
        for place, name in enumerate(robust.levels):
            curves = [[part["dice"], *part["perturbations"][place]["dice"]] for part in parts]
            expected = trapezoid(curves, dx=0.2, axis=1)
            assert robust.arms[skip].areas[name].by_seed == pytest.approx(expected)
        assert robust.arms[skip].areas[AREA].by_seed == pytest.approx([part["area"] for part in parts])
        assert robust.arms[skip].curves["noise"] == pytest.approx(
            np.mean([part["perturbations"][0]["dice"] for part in parts], axis=0)
        )


def test_areas_are_compared_case_by_case(group, robust):
    found = robust.find("none").comparison
    assert (found.family, found.pairs, found.seeds) == (2, 10, (3, 2))
    assert found.difference == pytest.approx(
        np.mean(robust.arms["none"].areas[AREA].by_seed) - np.mean(robust.arms["concat"].areas[AREA].by_seed)
    )
    assert [one.comparison.family for one in robust.contrasts] == [2, 2, 4, 4, 4, 4]
    kinds = {one.skip: (one.measure, one.kind) for one in judge_areas(group, robust, "concat")}
    assert kinds == {"sat": ("robustness", "same"), "none": ("robustness", "better")}


def test_without_the_untouched_cases_those_of_the_evaluation_count(group, robust):
    bare = copy.deepcopy(group)
    for run in bare.done:
        run.get("robustness", {}).pop("case_dice", None)
    again = evaluate_robustness(bare, "concat")
    assert again.arms["sat"].areas[AREA].mean == pytest.approx(robust.arms["sat"].areas[AREA].mean, abs=1e-6)


def test_tables_and_charts_have_every_arm_and_level(group, robust):
    table = make_area_table(group, robust, "concat")
    assert table.heads == ["skip", "untouched", "area minus untouched", AREA, "noise", "blur"]
    assert [row.name for row in table.rows] == ["concat", "sat", "none"]
    assert table.rows[2].cells[1].startswith("-.1000")
    charts = make_robust_charts(group, robust, "concat")
    assert [chart.title for chart in charts] == ["noise", "blur"]
    assert [text for _, text in charts[0].across.ticks] == ["none", "0.02", "0.05", "0.1", "0.15", "0.2"]
    assert [len(curve.marks) for curve in charts[0].curves] == [6, 6, 6]


def test_values_that_are_null_and_perturbations_that_some_lack_do_not_stop_it():
    runs = [make_run(skip, 0, parts=PARTS) for skip in ("concat", "sat")]
    part = runs[0]["robustness"]
    part["dice"] = None
    part["perturbations"][0]["dice"] = [None] * 5
    part["perturbations"][0]["case_dice"] = [[None] * 10] * 5
    part["case_dice"] = [None] * 10
    del runs[1]["robustness"]["perturbations"][1]
    [group] = sort_runs(make_study(["concat", "sat"]), runs, [], [])
    robust = evaluate_robustness(group, "concat")
    assert list(robust.levels) == ["noise"]
    assert np.isnan(robust.arms["concat"].areas[AREA].mean)
    assert robust.contrasts == []
    assert make_area_table(group, robust, "concat").rows[0].cells == ["-", "-", "-", "-"]
    assert make_robust_charts(group, robust, "concat")[0].curves[0].path == ""
    [bare] = sort_runs(make_study(["concat"]), [make_run("concat", parts=())], [], [])
    assert evaluate_robustness(bare, "concat") is None
