import itertools

import pytest

from pipeline.labelmaps.label_table import Label, label_table


def test_rows_follow_the_values_and_leave_the_background_out():
    table = label_table({"posterior": 7, "nothing": 0, "anterior": 2})
    assert [(row.value, row.name) for row in table] == [(2, "anterior"), (7, "posterior")]
    assert all(isinstance(row, Label) for row in table)


def test_no_labels_give_no_rows():
    assert label_table({}) == label_table({"background": 0}) == []


@pytest.mark.parametrize("count", [1, 8, 9, 120])
def test_colours_are_bytes_and_apart(count):
    colours = [row.colour for row in label_table({f"label {n}": n for n in range(count + 1)})]
    assert len(colours) == count
    assert all(
        len(colour) == 3 and all(type(part) is int and 0 <= part <= 255 for part in colour) for colour in colours
    )
    # Apart by 3 of 255 in some part: the last of 120 fill the circle of hues.
    apart = [
        max(abs(a - b) for a, b in zip(one, other, strict=True)) for one, other in itertools.combinations(colours, 2)
    ]
    assert min(apart, default=255) >= 3


def test_a_colour_follows_from_the_place_alone():
    few = label_table({"a": 1, "b": 2})
    many = label_table({"x": 1, "y": 5, "z": 9})
    assert [row.colour for row in few] == [row.colour for row in many[:2]]
