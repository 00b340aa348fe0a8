import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from pipeline.study.check_result import check_result
from pipeline.study.report.arms import sort_runs
from pipeline.study.report.content import make_content
from pipeline.study.report.costs import average_costs
from pipeline.study.report.curves import average_curve, make_curve_charts
from pipeline.study.report.measured import make_membrane_table, make_probe_table
from pipeline.study.report.numbers import shorten_p
from pipeline.study.report.origin import Given
from pipeline.study.report.statistics import evaluate_group
from pipeline.study.report.styles import style_arms
from pipeline.study.report.tables import make_accuracy_table, make_cost_table, make_label_table, make_level_table
from pipeline.study.report.text import format_markdown

from .make_runs import make_diverged, make_run, make_study

PARTS = ("curve", "cost", "levels", "probes", "membranes")


@pytest.fixture(scope="module")
def group():
    runs = [make_run(skip, seed, parts=PARTS, cases=6) for skip in ("concat", "sat", "none") for seed in range(3)]
    return sort_runs(make_study(["concat", "sat", "none"]), [*runs, make_diverged("at", 0)], [], [])[0]


def test_rows_are_the_arms_with_the_baseline_marked(group):
    result = evaluate_group(group, "concat")
    table = make_accuracy_table(group, result, "concat", None)
    assert [(row.name, row.note) for row in table.rows] == [
        ("concat", "baseline"),
        ("sat", ""),
        ("none", ""),
        ("at", ""),
    ]
    assert {len(row.cells) for row in table.rows} == {len(table.heads) - 1}
    assert table.rows[3].cells == ["0 (0 of 1 runs)", *["-"] * 5]
    labels = make_label_table(group, result, "concat")
    assert labels.heads[1:4] == ["Dice anterior", "Dice posterior", "HD95 anterior, mm"]
    values = np.array([run["cases"]["dice"] for run in group.arms["sat"].done])
    assert labels.rows[1].cells[0] == f"{values[:, :, 0].mean():.4f}".removeprefix("0")


def test_regions_are_called_regions(group):
    result = evaluate_group(group, "concat")
    assert make_accuracy_table(group, result, "concat", None).heads[2] == "Dice, mean of labels"
    runs = [make_run(skip, parts=(), cases=3) for skip in ("concat", "sat")]
    for run in runs:
        run["cases"]["regions"] = True
        check_result(run)
    given = Given(make_study(["concat", "sat"]), "", "", runs, [], [], [], {})
    of_regions = make_content(given).parts[0].group
    own = evaluate_group(of_regions, "concat")
    assert make_accuracy_table(of_regions, own, "concat", None).heads[2] == "Dice, mean of regions"
    assert make_label_table(of_regions, own, "concat").title.startswith("Regions: ")
    text = format_markdown(make_content(given))
    assert "Each region" in text
    assert "Dice of each region" in text
    assert "label" not in text.split("## How to read")[0]


def test_costs_are_means_over_trainings(group):
    costs = average_costs(group.arms["sat"])
    assert costs["step_seconds"] == pytest.approx(
        np.mean([run["cost"]["step_seconds"] for run in group.arms["sat"].done])
    )
    assert average_costs(group.arms["at"]) == {}
    table = make_cost_table(group, evaluate_group(group, "concat"), "concat")
    assert table.rows[2].cells[3] == "0 bytes ◆"
    assert set(table.rows[3].cells) == {"-"}
    assert make_level_table(group, "concat").rows[0].cells[:2] == ["1.00 MiB", "1.00 MiB"]


def test_membranes_are_compared_over_trainings(group):
    table = make_membrane_table(group, "concat")
    values = {skip: [run["membranes"]["v_rand"] for run in arm.done] for skip, arm in group.arms.items() if arm.done}
    p = [ttest_ind(values["concat"], values[skip]).pvalue for skip in ("sat", "none")]
    expected = multipletests(p, method="holm")[1]
    assert [row.cells[4] for row in table.rows[1:3]] == [shorten_p(one) for one in expected]
    assert table.rows[1].cells[1] == f"{np.mean(values['sat']):.4f}".removeprefix("0")
    assert table.rows[0].cells[3:5] == ["-", "-"]
    assert table.rows[3].cells == ["0", *["-"] * 10]


def test_probes_have_mean_and_range_of_the_trainings(group):
    table = make_probe_table(group, "concat")
    assert table.heads == ["skip", "seeds", "off", "shuffle"]
    assert table.rows[0].name == "concat, level 0"
    assert table.rows[0].cells == ["3", *["-.0200 (-.0200 to -.0200)"] * 2]


def test_curves_are_means_over_trainings_and_against_the_baseline(group):
    mean = average_curve(group.arms["sat"], "dice")
    last = [run["curve"][-1]["dice"] for run in group.arms["sat"].done]
    assert mean[6] == (pytest.approx(np.mean(last)), 3)
    assert list(mean) == [2, 4, 6]
    charts = make_curve_charts(group, "concat")
    assert [chart.title for chart in charts] == [
        "Dice on the validation cases",
        "Dice minus that of concat",
        "Training loss",
    ]
    assert [curve.name for curve in charts[0].curves] == ["concat", "sat", "none"]
    assert len(make_curve_charts(group, "not there")) == 2


def test_colours_repeat_with_dashes():
    runs = [make_run(f"skip{number}", parts=()) for number in range(10)]
    [group] = sort_runs(make_study([]), runs, [], [])
    styles = style_arms(group, "skip0")
    assert styles["skip0"] == "ink"
    assert (styles["skip1"], styles["skip9"]) == ("a0", "a0 dash1")
