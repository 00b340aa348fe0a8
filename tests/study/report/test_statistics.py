import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from pipeline.evaluation.paired import compare_arms
from pipeline.study.report.arms import sort_runs
from pipeline.study.report.results import OVERALL
from pipeline.study.report.statistics import evaluate_group

from .make_runs import make_diverged, make_run, make_study


def evaluate(runs, baseline="concat"):
    [group] = sort_runs(make_study(["concat", "sat", "none"]), runs, [], [])
    return evaluate_group(group, baseline)


def table(runs, skip, key="dice"):
    """Values of an arm straight from its runs, (seeds, cases, labels)."""
    return np.array([run["cases"][key] for run in runs if run["settings"]["skip"] == skip], dtype=float)


@pytest.fixture(scope="module")
def runs():
    gains = {"concat": 0.0, "sat": -0.002, "none": -0.02}
    return [make_run(skip, seed, gain=gain, parts=()) for skip, gain in gains.items() for seed in range(3)]


@pytest.fixture(scope="module")
def result(runs):
    return evaluate(runs)


def test_means_are_numpy_s(runs, result):
    for metric, key in (("dice", "dice"), ("hd95_mm", "hd95"), ("nsd", "nsd")):
        values = table(runs, "sat", key)
        assert result.arms["sat"].estimates[OVERALL, metric].mean == pytest.approx(values.mean())
        assert result.arms["sat"].estimates["posterior", metric].mean == pytest.approx(values[:, :, 1].mean())
    dice = result.arms["sat"].estimates[OVERALL, "dice"]
    by_seed = table(runs, "sat").mean(axis=(1, 2))
    assert dice.by_seed == pytest.approx(tuple(by_seed))
    assert dice.sd_seeds == pytest.approx(by_seed.std(ddof=1))
    assert result.arms["sat"].sd_cases == pytest.approx(table(runs, "sat").mean(axis=2).std(axis=1, ddof=1).mean())
    low, high = dice.interval.ends
    assert low < dice.mean < high


def test_p_is_corrected_over_the_skips_of_one_metric(result):
    for metric in ("dice", "hd95_mm", "nsd"):
        found = [one.comparison for one in result.select(metric)]
        assert [one.family for one in found] == [2, 2]
        expected = multipletests([one.p for one in found], method="holm")[1]
        assert [one.p_holm for one in found] == pytest.approx(list(expected))
    single = [one.comparison for one in result.contrasts if one.label != OVERALL]
    assert len(single) == single[0].family == 4
    expected = multipletests([one.p for one in single], method="holm")[1]
    assert [one.p_holm for one in single] == pytest.approx(list(expected))


def test_a_comparison_is_that_of_the_arms(runs, result):
    found = result.find("none").comparison
    subjects = runs[0]["cases"]["subjects"]
    expected = compare_arms(table(runs, "concat"), table(runs, "none"), subjects, better="higher", family=2)
    assert (
        found.difference
        == expected.difference
        == pytest.approx(table(runs, "none").mean() - table(runs, "concat").mean())
    )
    assert found.interval == expected.interval
    assert found.p >= expected.p
    assert result.find("none", "hd95_mm").comparison.better == "lower"
    assert result.find("concat") is None


def test_runs_that_diverged_do_not_count(runs):
    some = [run for run in runs if run["settings"]["skip"] != "none"]
    result = evaluate([*some, make_diverged("none", 0), make_diverged("sat", 3)])
    assert result.arms["none"] is None
    assert result.arms["sat"].seeds == (0, 1, 2)
    assert result.find("sat").comparison.family == 1
    assert result.find("none") is None


def test_arms_are_compared_on_the_cases_that_all_trainings_measured():
    whole = [
        make_run(skip, seed, fold=fold, cases=12, parts=())
        for skip in ("concat", "sat")
        for seed in range(3)
        for fold in (0, 1)
    ]
    lacking = [run for run in whole if run["id"] != whole[-1]["id"]]
    result = evaluate(lacking)
    assert result.arms["concat"].cases == 24
    assert result.arms["sat"].cases == result.find("sat").cases == 12
    of_fold = [
        [run for run in whole if run["settings"]["skip"] == skip and run["settings"]["fold"] == 0]
        for skip in ("concat", "sat")
    ]
    base, other = (np.mean([run["cases"]["dice"] for run in chosen]) for chosen in of_fold)
    assert result.find("sat").comparison.difference == pytest.approx(other - base)


def test_values_that_are_null_are_not_counted():
    runs = [make_run(skip, seed, cases=8, parts=()) for skip in ("concat", "sat") for seed in range(2)]
    for run in runs:
        run["cases"]["dice"][3][1] = None
        run["cases"]["hd95"] = [[None, None] for _ in run["cases"]["names"]]
    result = evaluate(runs)
    values = table([run for run in runs if run["settings"]["skip"] == "sat"], "sat")
    expected = np.nanmean(values, axis=1).mean()
    assert result.arms["sat"].estimates[OVERALL, "dice"].mean == pytest.approx(expected)
    assert np.isnan(result.arms["sat"].estimates[OVERALL, "hd95_mm"].mean)
    assert result.select("hd95_mm") == []


def test_only_labels_that_all_runs_have_count():
    runs = [make_run("concat", 0, parts=()), make_run("sat", 0, labels=("posterior", "tail"), parts=())]
    result = evaluate(runs)
    assert result.labels == ["posterior"]
    assert result.arms["concat"].estimates[OVERALL, "dice"].mean == pytest.approx(table(runs, "concat")[0, :, 1].mean())
    assert result.arms["sat"].estimates[OVERALL, "dice"].mean == pytest.approx(table(runs, "sat")[0, :, 0].mean())


def test_without_baseline_or_runs_there_are_no_comparisons(runs):
    assert evaluate([run for run in runs if run["settings"]["skip"] != "concat"]).contrasts == []
    nothing = evaluate([make_diverged("sat", 0)])
    assert (nothing.labels, nothing.arms, nothing.contrasts) == ([], {"sat": None}, [])
