import numpy as np
import pytest

from pipeline.comparison.choose_labels import (
    Labels,
    choose_labels,
    find_file_values,
    read_given_labels,
    values_of_file,
)
from pipeline.comparison.grids import Grid
from pipeline.comparison.read_map import MapFacts
from pipeline.data.errors import InputError

VALUES = {"background": 0, "left": 1, "right": 2}
LABELS = Labels(VALUES, VALUES, "the command line")
INVERTED = Labels({"background": 0, "membrane": 1}, {"background": 255, "membrane": 0}, "x")


def facts(*values, path="a.nii"):
    return MapFacts(path, Grid((2, 2), np.eye(4)), values, "")


def chosen(given=None, declared=None, tables=(), found=(0, 1, 2)):
    labels = choose_labels(given=given, declared=declared, tables=tables, found=found)
    assert labels.in_reference == labels.values
    return labels.values, labels.origin


def test_the_first_source_that_names_labels_is_taken():
    tables = [("one", {1: "x"}), ("two", {1: "a", 2: "b", 5: "c"})]
    given, declared = {"background": 0, "g": 4}, {"background": 0, "d": 1}
    assert chosen(given, declared, tables) == (given, "the command line")
    assert chosen(None, declared, tables) == (declared, "the reference's datalist or bundle")
    # The first table lacks a name for 2.
    assert chosen(None, None, tables) == ({"background": 0, "a": 1, "b": 2, "c": 5}, "two")
    assert chosen() == ({"background": 0, "label_1": 1, "label_2": 2}, "the values in the references")


@pytest.mark.parametrize(
    ("found", "message"), [((0,), "found no labelled voxel in any of them"), ((-1, 0, 1), "found the value -1")]
)
def test_references_without_labels_are_refused(found, message):
    with pytest.raises(InputError, match=message):
        chosen(found=found)


@pytest.mark.parametrize(
    "pairs",
    [[], [("background", 0)], [("a", 1), ("b", 1)], [("a", 1), ("a", 2)], [("a", 0)], [("a", -1)], [("background", 5)]],
)
def test_labels_on_the_command_line_have_names_and_values_of_their_own(pairs):
    with pytest.raises(InputError, match="--labels: found"):
        read_given_labels(pairs)
    assert (
        read_given_labels([("background", 0), ("a", 2)]) == read_given_labels([("a", 2)]) == {"background": 0, "a": 2}
    )
    assert read_given_labels([("a", 0), ("background", 255)]) == {"a": 0, "background": 255}


def test_the_background_may_have_another_value_in_the_references():
    named = {"membrane": 0, "vessel": 1, "background": 255}
    for options in ({"given": named, "declared": None}, {"given": None, "declared": named}):
        labels = choose_labels(tables=[], found=[], **options)
        assert labels.values == {"background": 0, "membrane": 2, "vessel": 1}
        assert labels.in_reference == named
    network = {"background": 0, "membrane": 1, "vessel": 2}
    assert choose_labels(given=None, declared=named, numbered=network, tables=[], found=[]).values == network
    assert values_of_file(facts(0, 255), INVERTED, INVERTED.in_reference, case="c") == {0: 1, 255: 0}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ({}, {"left": 1, "right": 2}),
        ({1: "right", 2: "left"}, {"left": 2, "right": 1}),
        ({1: "RIGHT", 5: "Left"}, {"left": 5, "right": 1}),
        # One name is missing, or two values have one name: values are all there is.
        ({1: "right", 2: "links"}, {"left": 1, "right": 2}),
        ({1: "right", 2: "left", 3: "left"}, {"left": 1, "right": 2}),
    ],
)
def test_values_are_found_by_name_if_a_file_names_all_labels(table, values):
    assert find_file_values(LABELS, table) == {"background": 0, **values}


@pytest.mark.parametrize(
    ("table", "found", "membrane"),
    [({1: "membrane"}, {0, 1}, 1), ({}, {0, 255}, 0), ({}, {0, 1}, 1), ({}, {0}, 0), ({}, {0, 7}, 0)],
)
def test_values_without_names_are_those_of_the_references_or_of_the_network(table, found, membrane):
    own = find_file_values(INVERTED, table, found)
    assert own == (INVERTED.values if membrane == 1 else INVERTED.in_reference)


def test_a_value_that_is_no_label_is_refused_or_counts_as_background():
    assert values_of_file(facts(0, 1), LABELS, VALUES, case="c") == {0: 0, 1: 1}
    assert values_of_file(facts(0, 1), LABELS, {"background": 0, "left": 2, "right": 1}, case="c") == {0: 0, 1: 2}
    expected = r"found case c with undeclared label values: 3, 255; expected 0 \(background\), 1 \(left\)"
    with pytest.raises(InputError, match=expected):
        values_of_file(facts(0, 3, 255), LABELS, VALUES, case="c")
    named = MapFacts("a.nii", Grid((2, 2), np.eye(4)), (3,), "", {1: "left", 2: "right", 3: "vessel"})
    with pytest.raises(InputError, match=r"undeclared label values: 3 \(vessel\); "):
        values_of_file(named, LABELS, VALUES, case="c")
    assert values_of_file(facts(0, 1, 3), LABELS, VALUES, case="c", as_background=[3]) == {0: 0, 1: 1, 3: 0}
