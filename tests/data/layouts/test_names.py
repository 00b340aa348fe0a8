import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.names import channels_by_index, labels_by_value, parse_label_names


@pytest.mark.parametrize(
    "named",
    [
        {"0": "background", "2": "liver", "10": "tumour"},
        {"tumour": 10, "liver": 2, "background": 0},
        {0: "background", 10: "tumour", 2: "liver"},
        {"background": "0", "liver": "2", "tumour": "10"},
    ],
)
def test_both_directions_become_value_to_name_by_value(named):
    assert list(labels_by_value(named, "d").items()) == [("0", "background"), ("2", "liver"), ("10", "tumour")]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"background": 0, "whole": [1, 2], "core": [2]}, "one whole number per name"),
        ({"background": 0, "liver": 1, "ignore": 2}, "voxels without a class"),
        ({"0": "background", "1": "a", "2": "a"}, "the label name a twice"),
        ({"a": 1, "b": 1}, "the label value 1 twice"),
        ({"0": "membrane", "1": "cell"}, 'value 0 with the name "membrane"'),
        ({"0": "background", "liver": "one"}, "one whole number per name"),
        ({"0": "background", "1": ""}, "a label without a name"),
        ({"background": 0, "liver": 1.5}, "one whole number per name"),
        (["background", "liver"], "one whole number per name"),
        ({}, "one whole number per name"),
    ],
)
def test_labels_that_are_no_classes_are_explained(named, message):
    with pytest.raises(InputError, match=rf"^dataset\.json: .*{message}"):
        labels_by_value(named, "dataset.json")


def test_given_labels_are_numbered_or_have_their_values():
    assert parse_label_names(["background", "liver"]) == {"0": "background", "1": "liver"}
    assert parse_label_names(["255=cell", "0=background"]) == {"0": "background", "255": "cell"}


@pytest.mark.parametrize(
    "words", [["background", "1=liver"], ["x=liver", "0=background"], ["a", "b"], ["background", ""]]
)
def test_given_labels_of_no_sense_are_refused(words):
    with pytest.raises(InputError, match=r"^--label-names: "):
        parse_label_names(words)


@pytest.mark.parametrize("named", [{"1": "PET", "0": "CT"}, {0: "CT", 1: "PET"}, ["CT", "PET"]])
def test_channels_are_numbered_in_order(named):
    assert list(channels_by_index(named, "d").items()) == [("0", "CT"), ("1", "PET")]


def test_a_lone_channel_may_be_a_word():
    assert channels_by_index("CT", "d") == {"0": "CT"}


@pytest.mark.parametrize("named", [{"0": "CT", "2": "PET"}, {"CT": 0}, {}, 3, {"a": "CT", "0": "PET"}])
def test_channels_of_another_form_are_refused(named):
    with pytest.raises(InputError, match="an entry for each channel"):
        channels_by_index(named, "dataset.json")
