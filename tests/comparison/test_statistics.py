import math

import numpy as np
import pytest
from scipy.stats import ttest_ind, wilcoxon

from pipeline.comparison.named_sets import NamedSet
from pipeline.comparison.statistics import ALL_LABELS, compute_statistics

LABELS = ("organ", "lesion")
RESAMPLES = 2000


def make_rows(values, labels=LABELS):
    """Rows of sets: Dice by set, (cases, labels); NaN is absent."""
    return [
        {
            "set": name,
            "case": f"c{n}",
            "subject": f"p{n // 2}",
            "label": label,
            "outcome": "absent" if math.isnan(dice[n, k]) else "found",
            "dice": float(dice[n, k]),
        }
        for name, dice in values.items()
        for n in range(len(dice))
        for k, label in enumerate(labels)
    ]


def named(*words):
    return [
        NamedSet(word, word, word.split(":")[0], int(word.split(":")[1]) if ":" in word else None) for word in words
    ]


def computed(values, labels=LABELS, **options):
    return compute_statistics(
        make_rows(values, labels), named(*values), labels=labels, **{"resamples": RESAMPLES, **options}
    )


@pytest.fixture
def dice():
    rng = np.random.default_rng(0)
    first = rng.uniform(0.6, 0.9, (20, 2))
    first[3, 1] = np.nan
    return {"a": first, "b": first + rng.uniform(0.0, 0.1, (20, 2)), "c": first - 0.3}


def test_means_are_those_of_numpy_with_intervals_around_them(dice):
    entries = computed(dice).statistics
    assert list(entries) == ["a", "b", "c"]
    for name, values in dice.items():
        by_label = np.nanmean(values, axis=0)
        means = [entries[name][label]["dice"]["mean"] for label in (*LABELS, ALL_LABELS)]
        assert means == pytest.approx([*by_label, by_label.mean()])
        for label in (*LABELS, ALL_LABELS):
            low, high = entries[name][label]["dice"]["interval"]
            assert low < entries[name][label]["dice"]["mean"] < high
        assert entries[name]["lesion"]["absent"] == 1


def test_pairs_are_compared_by_subjects_in_every_label(dice):
    paired = computed(dice).paired
    assert [(one["first"], one["second"], one["label"]) for one in paired] == [
        (first, second, label)
        for first, second in (("a", "b"), ("a", "c"), ("b", "c"))
        for label in (*LABELS, ALL_LABELS)
    ]
    organ = paired[0]
    gains = (dice["b"] - dice["a"])[:, 0].reshape(10, 2).mean(axis=1)
    assert organ["difference"] == pytest.approx(gains.mean())
    assert organ["pairs"] == 10
    assert organ["p"] == pytest.approx(wilcoxon(gains, method="exact").pvalue)
    assert organ["sentence"].startswith("b is better than a in Dice of organ by ")
    assert "Dice by" in paired[2]["sentence"]


def test_three_sets_are_ranked_and_two_are_not(dice):
    ranking = computed(dice).ranking
    assert [(one["set"], one["rank"], one["first"]) for one in ranking["dice"]] == [
        ("b", 1, 1),
        ("a", 2, 0),
        ("c", 3, 0),
    ]
    del dice["c"]
    assert computed(dice).ranking is None


def test_seeds_of_an_arm_are_one_arm(dice):
    values = {"sat:0": dice["a"], "sat:1": dice["b"], "none:0": dice["c"], "none:1": dice["c"] + 0.01}
    found = computed(values)
    assert list(found.statistics) == list(values)
    assert [(one["first"], one["second"]) for one in found.paired] == [("sat", "none")] * 3
    means = [found.statistics[name][ALL_LABELS]["dice"]["mean"] for name in ("sat:0", "sat:1")]
    overall = found.arms["sat"][ALL_LABELS]["dice"]
    assert (overall["by_seed"], overall["mean"]) == (pytest.approx(means), pytest.approx(np.mean(means)))
    low, high = overall["interval"]
    # Wider than that of one seed, as it covers the chance of another training.
    own = found.statistics["sat:0"][ALL_LABELS]["dice"]["interval"]
    assert high - low > own[1] - own[0]
    pair = found.paired[-1]
    assert (pair["label"], pair["method"]) == (ALL_LABELS, "hierarchical bootstrap")
    by_seed = [found.arms[arm][ALL_LABELS]["dice"]["by_seed"] for arm in ("sat", "none")]
    assert pair["p"] >= pair["p_seeds"] == pytest.approx(ttest_ind(*by_seed).pvalue)


def test_two_seeds_that_differ_as_much_as_the_arms_show_nothing(dice):
    values = {"sat:0": dice["a"], "sat:1": dice["a"] + 0.02, "none:0": dice["a"] + 0.03, "none:1": dice["a"] + 0.05}
    pair = computed(values).paired[-1]
    by_seed = [[np.nanmean(values[f"{arm}:{seed}"], axis=0).mean() for seed in (0, 1)] for arm in ("sat", "none")]
    assert pair["p"] == pair["p_seeds"] == pytest.approx(ttest_ind(*by_seed).pvalue)
    assert pair["sentence"].startswith("No difference shown: Dice, none minus sat, is +.0")
    assert "by the t-test of 2 and 2 trainings" in pair["sentence"]
    # One set of each arm, and one next to several, have no t-test.
    assert computed({name: values[name] for name in ("sat:0", "none:0", "none:1")}).paired[-1]["p_seeds"] is None


def test_one_subject_has_no_interval(dice):
    found = computed({name: values[:2] for name, values in dice.items()})
    assert found.statistics["a"]["organ"]["dice"]["interval"] is None
    assert found.paired[0]["interval"] is None
    assert found.paired[0]["sentence"].startswith("One subject only, so no interval and no test")


def test_labels_that_no_case_has_are_in_no_pair(dice):
    values = {name: np.column_stack([one[:, 0], np.full(20, np.nan)]) for name, one in dice.items()}
    found = computed(values)
    assert {one["label"] for one in found.paired} == {"organ"}
    assert found.statistics["a"]["lesion"]["dice"]["mean"] is None


def test_calibration_has_means_of_cases(dice):
    rows = [{"set": "a", "case": f"c{n}", "subject": f"c{n}", "ece": n / 10, "brier": 0.5} for n in range(5)]
    entry = computed(dice, calibration=rows).calibration["a"]
    assert (entry["cases"], entry["ece"]["mean"], entry["brier"]) == (
        5,
        pytest.approx(0.2),
        {"mean": 0.5, "interval": [0.5, 0.5]},
    )
