"""Tests of the labels of combinations of regions, against hand-made tables and nnU-Net's rule."""

import numpy as np
import pytest

from pipeline.data.region_table import find_label_patterns, find_order, make_region_table

NESTED = [[1, 2, 3], [2, 3], [3]]  # BraTS: whole tumour, core, enhancing


def test_nested_regions_become_their_innermost_label():
    table = make_region_table(NESTED, [(0, 1), (1, 2), (2, 3)])
    # Patterns by bits: none, whole, core, whole+core, enhancing, whole+enhancing, core+enhancing, all.
    assert table.tolist() == [0, 1, 2, 2, 3, 3, 3, 3]


def test_an_overlap_with_a_label_of_its_own_becomes_that_label():
    # Liver 1, vessel 2, vessel inside the liver 3.
    assert make_region_table([[1, 3], [2, 3]], [(0, 1), (1, 2)]).tolist() == [0, 1, 2, 3]


def test_an_overlap_without_a_label_follows_the_order():
    assert make_region_table([[1], [2]], [(0, 1), (1, 2)]).tolist() == [0, 1, 2, 2]
    assert make_region_table([[1], [2]], [(1, 2), (0, 1)]).tolist() == [0, 1, 2, 1]


def test_the_table_equals_writing_regions_one_after_the_other():
    rng = np.random.default_rng(0)
    masks = rng.random((3, 50)) < 0.5
    written = np.zeros(50, int)
    for mask, label in zip(masks, (1, 2, 3), strict=True):
        written[mask] = label
    patterns = (masks * np.array([1, 2, 4])[:, None]).sum(axis=0)
    assert make_region_table(NESTED, [(0, 1), (1, 2), (2, 3)])[patterns].tolist() == written.tolist()


def test_the_order_of_nested_regions_is_by_size():
    assert find_order({"core": [2, 3], "whole": [1, 2, 3], "enhancing": [3]}) == {"whole": 1, "core": 2, "enhancing": 3}
    assert find_order({"liver": [1], "spleen": [2]}) == {"liver": 1, "spleen": 2}


@pytest.mark.parametrize(
    "regions", [{"a": [1, 3], "b": [2, 3]}, {"a": [1, 2], "b": [1], "c": [2]}, {"a": [1], "b": [1]}]
)
def test_regions_that_leave_a_choice_have_no_order(regions):
    assert find_order(regions) is None


@pytest.mark.parametrize(
    ("regions", "order"), [([], []), ([[1]], []), ([[1], [2]], [(0, 1), (0, 2)]), ([[1]] * 17, [])]
)
def test_wrong_regions_are_refused(regions, order):
    with pytest.raises(ValueError, match="expected"):
        make_region_table(regions, order)


def test_a_label_has_the_bits_of_its_regions() -> None:
    # Background, then label 1 in both regions, 2 in the first, 3 in none.
    assert find_label_patterns([[1, 2], [1]], 3).tolist() == [0, 3, 1, 0]
