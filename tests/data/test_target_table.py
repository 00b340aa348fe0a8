"""The meaning of target values, written down by hand."""

import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.data.target_table import TargetTable, mark_set

LABELS = {"background": 0, "liver": 1, "kidney": 2}
U = -1


def test_labels_ignored_voxels_and_a_partly_annotated_set() -> None:
    table = TargetTable(LABELS, annotated=[["liver"]])
    expected = [
        [1, 0, 0],  # background
        [0, 1, 0],  # liver
        [0, 0, 1],  # kidney
        [U, U, U],  # ignored
        # Where only the liver was annotated, what is no liver may be background or kidney,
        [U, 0, U],
        [0, 1, 0],
        # and a kidney that is there all the same says no more.
        [U, 0, U],
    ]
    np.testing.assert_array_equal(table.rows, expected)
    assert (table.ignored, table.is_sigmoid, table.has_alternatives) == (3, False, True)
    assert table.sets.tolist() == [[False, True, False]]
    assert mark_set(0, 3) == 4
    assert [table.set_of(value) for value in (0, 3, 4, 6)] == [None, None, 0, 0]


def test_nested_regions_with_sets_of_regions_and_of_labels() -> None:
    regions = {"whole": [1, 2], "core": [2]}
    table = TargetTable({"background": 0, "rim": 1, "core_only": 2}, regions, [["whole"], ["core_only"]])
    expected = [
        [0, 0],
        [1, 0],
        [1, 1],
        [U, U],  # ignored
        *([0, U], [1, U], [1, U]),  # whole was annotated
        *([U, 0], [U, 0], [U, 1]),  # core is the label core_only; whole has another label too
    ]
    np.testing.assert_array_equal(table.rows, expected)
    assert (table.is_sigmoid, table.has_alternatives) == (True, False)
    assert table.sets.tolist() == [[True, False], [False, True]]
    assert table.set_of(mark_set(1, 3) + 2) == 1


def test_a_name_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(
        InputError, match="found spleen in the datalist; expected names of the plan's labels or regions"
    ):
        TargetTable(LABELS, annotated=[["liver"], ["spleen", "liver"]])
