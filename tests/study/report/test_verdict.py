from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.paired import compare_arms
from pipeline.study.report.arms import sort_runs
from pipeline.study.report.judge import judge_group, note_rise, say_lost
from pipeline.study.report.rise import find_rise
from pipeline.study.report.statistics import evaluate_group
from pipeline.study.report.verdict import count_verdicts, judge_comparison

from .make_runs import make_diverged, make_lost, make_run, make_study

QUICK = {"parts": ("curve",), "spread": 0.001}


def judge(runs, failed=(), missing=(), baseline="concat"):
    [group] = sort_runs(make_study(["concat", "sat", "none", "sum"]), runs, failed, missing)
    return {one.skip: one for one in judge_group(group, evaluate_group(group, baseline), baseline)}


def make_arms(seeds=3, **gains):
    return [make_run(skip, seed, gain=gain, **QUICK) for skip, gain in gains.items() for seed in range(seeds)]


@pytest.mark.slow
@pytest.mark.parametrize("world", [0, 1])
def test_the_verdict_finds_the_differences_that_were_made(world):
    gains = {"concat": 0.0, "sat": 0.0, "none": -0.02, "sum": 0.02}
    runs = [make_run(skip, seed, gain=gain, world=world, **QUICK) for skip, gain in gains.items() for seed in range(3)]
    found = judge(runs)
    assert {skip: one.kind for skip, one in found.items()} == {"sat": "same", "none": "worse", "sum": "better"}
    assert found["none"].difference == pytest.approx(-0.02, abs=0.004)
    assert found["sat"].text.startswith("no difference shown: ")
    assert "; this study could have shown ." in found["sat"].text
    assert found["none"].text.startswith("worse than concat by .0")
    assert "(Holm over 3 skips); 3 and 3 seeds, 42 cases" in found["none"].text


def test_one_seed_says_nothing_about_other_trainings():
    runs = make_arms(1, concat=0.0, none=-0.05)
    assert judge(runs)["none"].kind == "unclear"
    assert judge(runs)["none"].text.startswith("cannot say, only one seed each: -.0")
    more = [*runs, *make_arms(3, concat=0.0)[1:]]
    assert judge(more)["none"].text.startswith("cannot say, only one seed of this skip: ")
    assert judge([*runs, *make_arms(3, none=-0.05)[1:]])["none"].text.startswith(
        "cannot say, only one seed of concat: "
    )


def test_a_single_case_has_no_test():
    runs = [make_run(skip, seed, cases=1, **QUICK) for skip in ("concat", "sat") for seed in range(3)]
    assert judge(runs)["sat"].text.startswith("cannot say, one case only: ")


def test_few_cases_or_wide_spreads_cannot_say():
    runs = [make_run(skip, seed, cases=4, **QUICK) for skip in ("concat", "sat") for seed in range(3)]
    assert "so few cases that differ can show nothing" in judge(runs)["sat"].text
    wild = [make_run(skip, seed, spread=0.05, parts=()) for skip in ("concat", "sat") for seed in range(3)]
    found = judge(wild)["sat"]
    assert found.kind == "unclear"
    assert "; this study could only have shown ." in found.text
    lost = make_arms(2, concat=0.0) + [make_run("sat", seed, gain=-0.5 * seed, **QUICK) for seed in range(2)]
    assert judge(lost)["sat"].text.endswith("; trainings that differ so much from seed to seed can show nothing")


def test_equal_numbers_are_no_difference():
    runs = make_arms(2, concat=0.0)
    for run in make_arms(2, concat=0.0):
        run["settings"]["skip"] = "sat"
        runs.append(run)
    assert judge(runs)["sat"].text == "no difference: the same numbers as concat in all 42 cases"


def test_a_short_budget_cannot_say_that_there_is_no_difference():
    runs = make_arms(3, concat=0.0, sat=0.0)
    for run in runs:
        for point in run["curve"][:4]:
            point["dice"] = 0.5
    found = judge(runs)["sat"]
    assert found.kind == "unclear"
    assert found.text.startswith("budget too small to say: ")
    [group] = sort_runs(make_study(["concat", "sat"]), runs, [], [])
    assert note_rise(group).endswith("The verdicts are for this budget: 6 epochs.")


def test_the_rise_is_of_the_last_third_of_the_epochs():
    run = make_run("sat", 0, parts=())
    dice = {2: 0.5, 4: 0.8, 5: 0.85, 6: 0.9}
    run["curve"] = [{"epoch": epoch, "dice": dice.get(epoch), "loss": 1.0} for epoch in range(1, 7)]
    [group] = sort_runs(make_study(["sat"]), [run], [], [])
    assert find_rise(group.arms["sat"]) == pytest.approx(0.1)
    run["curve"] = run["curve"][4:]
    assert find_rise(group.arms["sat"]) is None
    assert note_rise(group) == ""


def test_lost_trainings_are_named():
    runs = [*make_arms(2, concat=0.0, sat=0.0), make_diverged("sat", 2), make_diverged("none", 0)]
    found = judge(runs, failed=[make_lost("none", 1), make_lost("concat", 2)], missing=[make_lost("sat", 3)])
    assert found["sat"].text.endswith("; of 4 trainings 1 diverged and 1 not run")
    assert found["none"].kind == "absent"
    assert found["none"].text == "no result: no training ended (of 2 trainings 1 diverged and 1 failed)"
    [group] = sort_runs(make_study([]), make_arms(1, concat=0.0), [], [])
    assert say_lost(group.arms["concat"]) == ""


def test_without_baseline_there_is_no_result():
    assert judge(make_arms(2, sat=0.0))["sat"].text == "no result: the study has no concat here to compare with"
    only = judge([*make_arms(2, sat=0.0), make_diverged("concat", 0)])["sat"]
    assert only.text == "no result: no training of concat ended (of 1 training 1 diverged)"
    nothing = make_arms(2, concat=0.0, sat=0.0)
    for run in nothing[2:]:
        run["cases"]["dice"] = [[None, None] for _ in run["cases"]["names"]]
    assert judge(nothing)["sat"].text == "no result: no Dice of this skip counts"


def test_ranks_and_means_that_disagree_are_mixed():
    rng = np.random.default_rng(0)
    base = rng.normal(0.85, 0.01, 40)
    gains = np.where(np.arange(40) < 36, 0.002 + rng.normal(0, 1e-4, 40), -0.1)
    comparison = compare_arms(
        [base, base + 1e-5], [base + gains, base + gains + 1e-5], list(range(40)), better="higher"
    )
    kind, text = judge_comparison(replace(comparison, p=0.01), "concat")
    assert kind == "unclear"
    assert text.startswith("mixed: better than concat by ranks, but its mean is lower by .0")


def test_verdicts_are_counted():
    found = list(judge(make_arms(3, concat=0.0, sat=0.0, none=-0.02)).values())
    assert count_verdicts(found, "concat") == "Of 2 comparisons with concat by Dice: 1 worse, 1 no difference shown."
    assert count_verdicts([], "concat") == "There is nothing to compare with concat yet."
