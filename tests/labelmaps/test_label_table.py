from pipeline.labelmaps.label_table import Label, make_label_table
from pipeline.labelmaps.palette import label_colour


def test_rows_follow_the_values_and_leave_the_background_out():
    table = make_label_table({"posterior": 7, "nothing": 0, "anterior": 2})
    assert [(row.value, row.name) for row in table] == [(2, "anterior"), (7, "posterior")]
    assert all(isinstance(row, Label) for row in table)


def test_no_labels_give_no_rows():
    assert make_label_table({}) == make_label_table({"background": 0}) == []


def test_a_colour_follows_from_the_value_alone():
    few = make_label_table({"a": 1, "b": 5})
    many = make_label_table({"x": 1, "y": 2, "z": 5})
    assert few[0].colour == many[0].colour == label_colour(1)
    assert few[1].colour == many[2].colour == label_colour(5)
