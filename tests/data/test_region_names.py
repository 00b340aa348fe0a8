import pytest

from pipeline.data.region_names import find_bad_name, name_labels


@pytest.mark.parametrize(
    ("regions", "labels"),
    [
        ({"whole": [1, 2, 3], "core": [2, 3], "inner": [3]}, {"whole_only": 1, "core_only": 2, "inner": 3}),
        # Two values of the same regions; the whole's own name is that of a region.
        ({"whole": [1, 2, 3], "core": [3]}, {"whole_only_1": 1, "whole_only_2": 2, "core": 3}),
        # Neither region contains the other.
        ({"vessel": [1, 2], "liver": [2, 3]}, {"vessel_only": 1, "vessel_and_liver": 2, "liver_only": 3}),
        # A region may have the name that another one's label would get.
        ({"a": [1, 2], "a_only": [2, 3], "b": [3]}, {"a_only_1": 1, "a_and_a_only": 2, "b": 3}),
    ],
)
def test_labels_are_named_after_their_smallest_region(regions, labels):
    assert name_labels(regions) == labels


@pytest.mark.parametrize("name", ["whole tumour", "T2 + edema", "ganglion stellé", "v1.2", "r" * 100, "a.", ""])
def test_names_of_files_are_names_of_regions(name):
    assert find_bad_name(name) is None


@pytest.mark.parametrize("name", ["é" * 51, "..", ". ", "a\tb", "a\u2028b", "a/b", "a\\b"])
def test_other_names_are_bad(name):
    assert find_bad_name(name) is not None
