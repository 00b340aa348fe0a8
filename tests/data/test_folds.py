from collections import Counter
from itertools import product

import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.data.folds import make_classes, make_folds

NAMES = [f"case_{number:02d}" for number in range(17)]


def spread(folds, count):
    """Largest less smallest number of members of a fold, among folds 0 to count - 1."""
    sizes = [folds.count(fold) for fold in range(count)]
    return max(sizes) - min(sizes)


def test_without_groups_and_strata_the_permuted_names_are_cut_into_folds():
    expected = np.empty(17, dtype=int)
    for fold, members in enumerate(np.array_split(np.random.default_rng(3).permutation(17), 4)):
        expected[members] = fold
    assert make_folds(NAMES, folds=4, seed=3) == expected.tolist()


@pytest.mark.parametrize("options", [{"groups": [None] * 17}, {"groups": NAMES}, {"strata": ["same"] * 17}])
def test_groups_of_one_and_a_single_stratum_change_nothing(options):
    assert make_folds(NAMES, **options) == make_folds(NAMES)


def test_the_order_of_the_cases_does_not_matter():
    groups = [name[:6] for name in NAMES]
    strata = [name[-1] in "0123" for name in NAMES]
    forwards = make_folds(NAMES, folds=2, groups=groups, strata=strata)
    backwards = make_folds(NAMES[::-1], folds=2, groups=groups[::-1], strata=strata[::-1])
    assert forwards == backwards[::-1]


@pytest.mark.parametrize("seed", range(5))
def test_sizes_and_shares_of_single_cases_differ_by_one_at_most(seed):
    rng = np.random.default_rng(seed)
    names = [f"{number:03d}" for number in range(103)]
    strata = rng.choice(list("abcdef"), size=103, p=[0.5, 0.2, 0.15, 0.09, 0.05, 0.01]).tolist()
    folds = make_folds(names, folds=5, seed=seed, strata=strata)
    assert spread(folds, 5) <= 1
    for stratum in set(strata):
        assert spread([fold for fold, own in zip(folds, strata, strict=True) if own == stratum], 5) <= 1


def test_seeds_give_different_folds_of_the_same_sizes():
    made = [make_folds(NAMES, folds=4, seed=seed, strata=["a", "b"] * 8 + ["a"]) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]
    assert sorted(Counter(made[0]).values()) == sorted(Counter(made[2]).values()) == [4, 4, 4, 5]


@pytest.mark.parametrize("sizes", [[3, 3, 2, 2, 2], [5, 1, 1, 1, 1, 1], [4, 4, 3, 3, 3, 1], [6, 2, 2]])
@pytest.mark.parametrize("count", [2, 3])
def test_groups_stay_whole_in_folds_as_even_as_any_division_has_them(sizes, count):
    groups = [f"s{number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"{number:02d}" for number in range(len(groups))]
    folds = make_folds(names, folds=count, groups=groups)
    assert len(set(zip(groups, folds, strict=True))) == len(sizes)
    squares = min(
        sum(sum(size for size, own in zip(sizes, choice, strict=True) if own == fold) ** 2 for fold in range(count))
        for choice in product(range(count), repeat=len(sizes))
    )
    assert sum(folds.count(fold) ** 2 for fold in range(count)) == squares


def test_groups_of_two_sites_are_spread_over_the_folds():
    groups = [f"s{number // 2}" for number in range(24)]
    sites = ["north" if number < 8 else "south" for number in range(24)]
    folds = make_folds([f"{number:02d}" for number in range(24)], folds=4, groups=groups, strata=sites)
    assert len(set(zip(groups, folds, strict=True))) == 12
    assert Counter(zip(sites, folds, strict=True)) == {
        (site, fold): count for site, count in (("north", 2), ("south", 4)) for fold in range(4)
    }


@pytest.mark.parametrize("folds", [0, 1, 18])
def test_impossible_numbers_of_folds_are_refused(folds):
    with pytest.raises(InputError, match=f"17 training cases for {folds} folds"):
        make_folds(NAMES, folds=folds)


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match=r"^seed: found -1; expected a whole number, 0 or more"):
        make_folds(NAMES, folds=5, seed=-1)


def test_one_case_or_subject_asks_for_more_of_them():
    for groups in (["a"] * 3, None):
        names = ["x", "y", "z"] if groups else ["x"]
        with pytest.raises(InputError, match="add labelled cases or subjects"):
            make_folds(names, folds=2, groups=groups)


def test_more_folds_than_subjects_are_refused():
    with pytest.raises(InputError, match=r"^list\.csv: found 17 .* in 2 groups for 3 .* number, 2: .*--fold-count"):
        make_folds(NAMES, folds=3, groups=["a"] * 10 + ["b"] * 7, where="list.csv")


def test_every_fold_has_a_case_where_groups_and_folds_are_as_many():
    assert sorted(set(make_folds(NAMES, folds=3, groups=["a"] * 15 + ["b", "c"], strata=["x"] * 16 + ["y"]))) == [
        0,
        1,
        2,
    ]


def test_many_numbers_are_cut_at_their_quartiles():
    ages = [str(age) for age in range(20, 60)]
    made = make_classes([*ages, "n/a"])
    assert Counter(made[:-1]) == {f"quarter {quarter}": 10 for quarter in (1, 2, 3, 4)}
    assert made[0] == "quarter 1"
    assert made[39] == "quarter 4"
    assert made[-1] not in made[:-1]


@pytest.mark.parametrize("values", [["1", "2", "1"], [str(n) for n in range(10)], [f"site {n}" for n in range(30)]])
def test_few_numbers_and_words_are_classes_as_they_stand(values):
    assert make_classes(values) == values
