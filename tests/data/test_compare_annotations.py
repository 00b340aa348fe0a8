import pytest

from pipeline.data.compare_annotations import find_object_numbers, find_partial_labels


def record(values, components=1):
    return {"classes": {str(value): {"components": components} for value in values}}


def lesions(*counts):
    return [record(range(1, count + 1)) for count in counts]


def test_numbered_objects_are_found():
    (finding,) = find_object_numbers(lesions(2, 5, 1, 3, 7), 0)
    assert finding.kind == "labels-are-objects"
    assert "labels 1 to 7" in finding.found
    assert "5 cases, 1 to 7 of them" in finding.found


@pytest.mark.parametrize(
    "records",
    [
        # Organs: the same in all cases.
        lesions(*[7] * 6),
        # An organ, and a tumour in some.
        lesions(1, 2, 2, 1, 2),
        # Vertebrae: a scan begins anywhere.
        [record(range(first, first + 4 + first % 3)) for first in range(1, 6)],
        # Structures of several parts.
        [record(range(1, count + 1), components=2) for count in (2, 5, 1, 3, 7)],
    ],
)
def test_structures_are_no_objects(records):
    assert list(find_object_numbers(records, 0)) == []


LABELS = {"background": 0, "liver": 1, "spleen": 2}


def test_a_label_of_a_minority_is_found_with_the_label_that_the_others_have_instead():
    records = [record([1])] * 6 + [record([2])] * 4
    (finding,) = find_partial_labels(records, LABELS)
    assert finding.kind == "label-partial"
    assert "label 2 (spleen) in 4 of 10 label maps, none of which has liver, as all others have" in finding.found


@pytest.mark.parametrize(
    "records",
    [
        [record([1, 2])] * 5 + [record([1])] * 5,  # half of the cases
        [record([1, 2])] + [record([1])] * 5,  # too few cases
        [record([1])] * 10,  # in none: another finding
    ],
)
def test_other_labels_are_not(records):
    assert list(find_partial_labels(records, LABELS)) == []


def test_numbered_objects_are_not_partial_as_well():
    labels = {"background": 0} | {f"lesion_{number}": number for number in range(1, 9)}
    assert list(find_partial_labels(lesions(*range(1, 9), 1, 1), labels)) == []
