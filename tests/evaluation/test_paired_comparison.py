import json

import numpy as np
import pytest

from pipeline.evaluation.paired import compare_arms, compare_labels, compare_pair

NOISE = np.tile([0.01, -0.011, 0.012, -0.009, 0.002, -0.004], 5)  # mean 0
BASE = np.linspace(0.6, 0.9, 30)


def say(first, second, *, better="higher", subjects=range(30), metric="Dice", **options):
    return compare_pair(first, second, subjects, better=better).sentence("A", "B", metric, **options)


def test_a_higher_value_is_better():
    text = say(BASE, BASE + 0.02 + NOISE)
    assert text.startswith("B is better than A in Dice by .0200 (95 % interval .0")
    assert text.endswith("; p < .0001; 30 cases).")
    assert say(BASE + 0.02 + NOISE, BASE, label="liver").startswith(
        "A is better than B in Dice of liver by .0200 (95 %"
    )


def test_a_lower_value_is_better():
    text = say(10 * BASE, 10 * (BASE - 0.02 + NOISE), better="lower", metric="HD95", unit="mm")
    assert text.startswith("B is better than A in HD95 by 0.200 mm (lower is better; 95 % interval 0.1")
    assert "mm to" not in text
    assert say(10 * BASE, 10 * (BASE + 0.02 + NOISE), better="lower", metric="HD95", unit="mm").startswith(
        "A is better than B in HD95 by 0.200 mm (lower is better; 95 % interval 0.1"
    )


def test_a_value_nearer_to_zero_is_better_on_either_side():
    # From 2 to 1 ml too little, and from 1 to 2 ml too much: the second is worse in the latter only.
    options = {"better": "zero", "metric": "volume difference", "unit": "ml"}
    nearer = say(-2 - BASE, -1 - BASE + NOISE, **options)
    assert nearer.startswith("B is better than A in volume difference by 1.0000 ml (nearer to zero is better; 95 %")
    farther = say(1 + BASE, 2 + BASE + NOISE, **options)
    assert farther.startswith("A is better than B in volume difference by 1.0000 ml (nearer to zero is better; 95 %")
    # Its mean is nearer to zero, but its values are not: 0.5 ± 2.
    swinging = np.where(np.arange(30) % 2, 2.5, -1.5) + NOISE
    assert say(1 + 0 * BASE, swinging, **options).startswith("A is better than B in volume difference by 0.99 ml")
    shown = say(1 + 0 * BASE, 1 + 3 * NOISE, **options)
    assert shown.startswith("No difference shown: volume difference, without sign, B minus A, is +0.00")


def test_no_difference_shown_says_what_could_have_been():
    text = say(BASE, BASE + NOISE)
    assert text.startswith("No difference shown: Dice, B minus A, is +.0000 (95 % interval -.00")
    found = compare_pair(BASE, BASE + NOISE, range(30), better="higher")
    assert "(80 % interval -" in compare_pair(BASE, BASE + NOISE, range(30), better="higher", confidence=0.8).sentence(
        "A", "B", "Dice"
    )
    assert text.endswith(f"This many cases could have shown {found.detectable:.4f}.".replace("0.", "."))
    assert 0.003 < found.detectable < 0.008
    subjects = np.repeat(np.arange(10), 3).tolist()
    assert "; 10 subjects). This many subjects could have shown" in say(BASE, BASE + NOISE, subjects=subjects)


def test_equal_sets_one_subject_and_nothing_to_compare():
    assert say(BASE, BASE) == "No difference: A and B have the same Dice in all 30 cases."
    one = say([0.5, 0.75], [0.6, 0.8], subjects=["a", "a"])
    assert one == "One subject only, so no interval and no test: Dice .6250 (A), .7000 (B)."
    nothing = say([np.nan, np.nan], [0.6, 0.8], subjects=["a", "b"])
    assert nothing == "Nothing to compare: no Dice of A or of B counts."


def test_too_few_cases_say_so():
    text = say([0.5, 0.6, 0.7], [0.6, 0.7, 0.75], subjects=list("abc"))
    assert text.endswith(
        "p = .25; 3 cases), although the interval excludes 0. 3 cases that differ are too few to reach p = .05."
    )
    text = say([0.5, 0.6, 0.7], [0.6, 0.6, 0.7], subjects=list("abc"))
    assert text.endswith("1 case that differs is too few to reach p = .05.")
    first, second = np.zeros((6, 2)), np.array([[0.1, 0.2], [0.2, 0.1], [0.3, 0.1], [0.1, 0.3], [0.2, 0.4], [0.3, 0.1]])
    found = compare_labels(first, second, range(6), ["a", "b"], better="higher")["a"]
    text = found.sentence("A", "B", "Dice")
    assert "p = .062 after Holm over 2 labels; 6 cases)" in text
    assert text.endswith("6 cases that differ are too few to reach p = .025 (.05 over 2 labels).")


def test_ranks_and_mean_that_disagree_are_called_mixed():
    # 27 cases gain .01 to .02, three lose .5: the mean falls.
    second = BASE + 0.015 + NOISE / 3
    second[:3] -= 0.5
    text = say(BASE, second)
    assert text.startswith("Mixed: by ranks Dice is better with B (rank-biserial +0.63; p = ")
    assert "but its mean is better with A, by .0" in text
    lower = say(BASE, second, better="lower")
    assert lower.startswith("Mixed: by ranks Dice is better with A")
    assert "its mean is better with B" in lower


def test_equal_means_with_a_difference_of_ranks():
    gains = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, -45]) / 8
    text = say(np.zeros(10), gains, subjects=range(10))
    assert not compare_pair(np.zeros(10), gains, range(10), better="higher").shown
    assert text.startswith("No difference shown: Dice, B minus A, is +.0 (")
    gains = np.append(np.arange(1, 20), -190.0) / 16
    text = say(np.zeros(20), gains, subjects=range(20))
    assert text.startswith("Mixed: by ranks Dice is better with B (rank-biserial +0.81; p = .00")
    assert "), but the means are equal (95 % interval -" in text


def test_a_difference_whose_interval_includes_zero_is_qualified():
    second = BASE + 0.015 + NOISE / 3
    second[0] -= 0.35
    text = say(BASE, second)
    assert text.startswith("B is better than A in Dice by .0")
    assert text.endswith("30 cases), although the interval of the mean includes 0.")


def test_arms_of_several_trainings():
    offsets = np.array([-0.03, 0.0, 0.03])[:, None]
    found = compare_arms(BASE + offsets, BASE + 0.01 + NOISE + offsets, range(30), better="higher")
    assert not found.shown
    assert found.sentence("A", "B", "Dice").startswith(
        "No difference shown: Dice, B minus A, is +.010 (95 % interval -."
    )
    assert compare_pair(BASE, BASE + 0.01 + NOISE, range(30), better="higher").shown


def test_the_row_is_json():
    row = compare_pair(BASE, BASE, range(30), better="higher").as_row()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["pairs"] == 30
    assert row["interval"] == [0.0, 0.0]
    assert row["standardised_difference"] is None
    nothing = compare_pair([np.nan], [0.5], ["a"], better="higher").as_row()
    assert (nothing["difference"], nothing["interval"], nothing["effect_size"]) == (None, None, None)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1, 1e4])
def test_numbers_of_any_size_have_readable_digits(scale):
    text = say(scale * BASE, scale * (BASE + NOISE), metric="volume", unit="ml")
    assert "e-" not in text
    assert len(text) < 220
