# ruff: noqa: E501 - a row of a table is one line
import pytest

from pipeline.data.errors import InputError
from pipeline.data.label_keys import LabelKeys, read_annotated, read_label_keys

PARTS = {"background": 0, "edema": 1, "core": 2, "enhancing": 3}
# As in nnU-Net's documentation of region-based training, with an ignore label.
BRATS = {"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing": 3, "ignore": 4}


def test_nnunets_regions_and_ignore_label_are_read():
    keys = read_label_keys({"labels": BRATS, "regions_class_order": [1, 2, 3]}, "dataset.json")
    assert keys.labels == {"background": 0, "whole_tumor_only": 1, "tumor_core_only": 2, "enhancing": 3}
    assert keys.regions == {"whole_tumor": (1, 2, 3), "tumor_core": (2, 3), "enhancing": (3,)}
    assert keys.order == {"whole_tumor": 1, "tumor_core": 2, "enhancing": 3}
    assert keys.ignored == (4,)
    assert keys.names == ["whole_tumor_only", "tumor_core_only", "enhancing", "whole_tumor", "tumor_core"]


def test_nnunets_kidneys_keep_their_order_of_writing():
    labels = {"background": 0, "kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}
    keys = read_label_keys({"labels": labels, "regions_class_order": [1, 3, 2]}, "dataset.json")
    assert keys.labels == {"background": 0, "kidney_only": 1, "tumor": 2, "masses_only": 3}
    assert list(keys.order.items()) == [("kidney", 1), ("masses", 3), ("tumor", 2)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, LabelKeys(None)),
        ({"ignore": 255}, LabelKeys(None, ignored=(255,))),
        (
            {"labels": {"0": "background", "1": "a"}, "ignore": [254, 255]},
            LabelKeys({"background": 0, "a": 1}, ignored=(254, 255)),
        ),
        ({"labels": {"1": "a", "4": "ignore"}}, LabelKeys({"background": 0, "a": 1}, ignored=(4,))),
        ({"labels": {"a": 1, "ignore": 4}, "ignore": 4}, LabelKeys({"background": 0, "a": 1}, ignored=(4,))),
        # Whole numbers, as some programs write them.
        ({"ignore": 255.0, "labels": {"a": 1.0}}, LabelKeys({"background": 0, "a": 1}, ignored=(255,))),
        (
            {"regions": {"a": [1.0, 2], "b": [2]}, "labels": {"x": 1, "y": 2}, "region_order": {"a": 1.0, "b": 2}},
            LabelKeys({"background": 0, "x": 1, "y": 2}, {"a": (1, 2), "b": (2,)}, {"a": 1, "b": 2}),
        ),
        # Scribbles: 0 is not annotated, and the background is drawn.
        ({"labels": {"background": 1, "a": 2}, "ignore": 0}, LabelKeys({"background": 1, "a": 2}, ignored=(0,))),
        # nnU-Net leaves the order alone without regions.
        ({"labels": {"a": 1}, "regions_class_order": [1]}, LabelKeys({"background": 0, "a": 1})),
        (
            {"labels": PARTS, "regions": {"whole": ["edema", 2, "3"], "core": 2, "enhancing": "enhancing"}},
            LabelKeys(PARTS, {"whole": (1, 2, 3), "core": (2,), "enhancing": (3,)}),
        ),
        (
            {"labels": PARTS, "regions": {"a": [1, 2], "b": [2, 3]}, "region_order": {"b": "enhancing", "a": 1}},
            LabelKeys(PARTS, {"a": (1, 2), "b": (2, 3)}, {"b": 3, "a": 1}),
        ),
        (
            {"regions": {"a": [1, 2], "b": [2]}},
            LabelKeys({"background": 0, "a_only": 1, "b": 2}, {"a": (1, 2), "b": (2,)}),
        ),
    ],
)
def test_entries_are_read(content, expected):
    assert read_label_keys(content, "d.json") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ignore": 2}, "the value 2 as ignored and as the label core"),
        ({"ignore": [255, 0]}, "the value 0 as ignored and as the label background"),
        ({"ignore": "edema"}, "\"ignore\" 'edema'; expected \"ignore\": 255, or [254, 255]"),
        ({"ignore": []}, '"ignore" []'),
        ({"ignore": True}, '"ignore" True'),
        ({"ignore": [255, 0.5]}, '"ignore" [255, 0.5]'),
        ({"ignore": 1e30}, 'of "ignore"; expected values from -2147483648 to 4294967295'),
        ({"labels": {"a": [1, 10**30]}}, 'of "a"; expected values from'),
        ({"regions": {"r" * 101: [1, 2, 3]}}, f"a region's name of more than 100 bytes: '{'r' * 40}…'; expected a name that file names can have"),
        ({"regions": {"..": [1, 2, 3]}}, "a region's name of dots alone: '..'"),
        ({"regions": {"a\nb": [1, 2, 3]}}, "a region's name with a line break"),
        ({"regions": {"a/b": [1, 2, 3]}}, "a region's name with a slash: 'a/b'"),
        ({"regions": {"whole": [1, 2, 3, 4]}}, 'the region "whole" with the label 4; expected labels of the datalist: edema (1), core (2), enhancing (3)'),
        ({"regions": {"whole": ["edema", "core", "enhancng"]}}, "the region \"whole\" with the label 'enhancng'; expected labels of the datalist: edema (1), core (2), enhancing (3). What to do: did you mean \"enhancing\"?"),
        ({"regions": {"whole": [1, 2]}}, "enhancing (3) in no region; expected each label in at least one region. What to do: add it to \"regions\", such as \"enhancing\": [3]"),
        ({"regions": {"whole": [0, 1, 2, 3]}}, 'the region "whole" with the background\'s value 0'),
        ({"regions": {"whole": [1, 2, 2, 3]}}, 'each once'),
        ({"regions": {"whole": [1, 2, 3], "all": [3, 2, 1]}}, 'the regions "whole" and "all" with the same labels'),
        ({"regions": {"edema": [2, 3], "whole": [1, 2, 3]}}, 'the region "edema" of core (2), enhancing (3), and a label of the same name'),
        ({"regions": {"whole": []}}, 'at least one label'),
        ({"regions": {}}, '"regions" {}; expected "regions": {"tumour": [1, 2], "core": [2]}'),
        ({"regions": [1, 2]}, '"regions" [1, 2]'),
        ({"regions": {"background": [1, 2, 3]}}, 'a name other than "background"'),
        ({"region_order": {"whole": 1}}, '"region_order", and no regions'),
        ({"regions": {"whole": [1, 2, 3]}, "region_order": {"whole": 1}, "regions_class_order": [1]}, 'both "region_order" and "regions_class_order"'),
        ({"regions": {"whole": [1, 2, 3]}, "region_order": {"whol": 1}}, 'did you mean "whole"?'),
        ({"regions": {"whole": [1, 2, 3], "core": [2]}, "region_order": {"whole": 1}}, "each of the regions whole, core once"),
        ({"regions": {"whole": [1, 2, 3], "core": [2]}, "region_order": {"whole": 1, "core": 1}}, 'the region "core" that writes the label 1; expected one of its own labels, 2'),
        ({"regions": {"whole": [1, 2, 3], "core": [2]}, "regions_class_order": [1]}, '"regions_class_order" [1]; expected 2 values, one for each of the regions whole, core'),
        ({"labels": BRATS, "regions": {"a": [1]}}, 'several values for one name, and "regions" as well'),
        ({"labels": {**BRATS, "ignore": 3}}, "the value 3 as ignored and as the label enhancing"),
        ({"labels": None, "regions": {"a": ["liver"]}}, 'a region of the label "liver", and no "labels"'),
        ({"regions": {f"r{n}": [1, 2, 3] for n in range(17)}}, "17 regions; expected at most 16"),
    ],
)  # fmt: skip
def test_entries_that_contradict_each_other_are_refused(content, message):
    with pytest.raises(InputError) as error:
        read_label_keys({"labels": PARTS} | content, "d.json")
    assert str(error.value).startswith("d.json: found ")
    assert message in str(error.value)


KEYS = LabelKeys({"background": 0, "liver": 1, "kidney": 2}, {"organs": (1, 2), "kidney": (2,)})


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, None),
        (["kidney", "liver"], ("kidney", "liver")),
        ("liver", ("liver",)),
        (["organs"], ("organs",)),
        (["background", "liver", "liver"], ("liver",)),
    ],
)
def test_annotated_labels_are_read(named, expected):
    assert read_annotated(named, KEYS, "d.json", place="training[3]") == expected


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["livr"], 'training[3] with the annotated label "livr"; expected names of labels or regions: liver, kidney, '
         'organs. What to do: did you mean "liver"?'),
        ([], 'training[3] with an empty "annotated"'),
        (["background"], 'training[3] with an empty "annotated"'),
        ([1], "training[3] with \"annotated\" [1]"),
        ({"liver": True}, "training[3] with \"annotated\" {'liver': True}"),
    ],
)  # fmt: skip
def test_annotated_labels_that_are_none_are_refused(named, message):
    with pytest.raises(InputError) as error:
        read_annotated(named, KEYS, "d.json", place="training[3]")
    assert message in str(error.value)
