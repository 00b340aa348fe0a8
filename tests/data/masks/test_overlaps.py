import pytest

from pipeline.data.errors import InputError
from pipeline.data.masks.case import CaseMasks
from pipeline.data.masks.overlaps import make_value_table

CLASSES = ("liver", "tumour", "vessel")


def table(*counts, overlaps="auto", classes=CLASSES):
    cases = [CaseMasks(classes, {tuple(names.split("+")): voxels for names, voxels in case.items()}) for case in counts]
    return make_value_table(cases, classes, overlaps, "masks")


def test_classes_that_do_not_overlap_are_numbered_in_their_order():
    found = table({"vessel": 5}, {"liver": 7})
    assert found.labels == {"0": "background", "1": "liver", "2": "tumour", "3": "vessel"}
    assert found.values == {("vessel",): 3, ("liver",): 1}
    assert (found.regions, found.order, found.words) == (None, None, [])


def test_combinations_follow_the_single_classes_whatever_the_order_of_the_cases():
    counts = [{"liver": 90, "liver+tumour+vessel": 2, "vessel": 3}, {"liver+vessel": 8, "liver+tumour": 9, "tumour": 1}]
    found = table(*counts)
    assert found == table(*reversed(counts))
    assert list(found.labels.values()) == [
        *("background", "liver_only", "tumour_only", "vessel_only"),
        *("liver+tumour", "liver+vessel", "liver+tumour+vessel"),
    ]
    assert found.regions == {"liver": [1, 4, 5, 6], "tumour": [2, 4, 6], "vessel": [3, 5, 6]}
    assert found.order == {"liver": 1, "tumour": 2, "vessel": 3}


def test_a_class_that_is_only_inside_others_has_no_value_of_its_own():
    """BraTS as masks: whole tumour, core in it, enhancing tumour in the core."""
    found = table({"liver": 9, "liver+tumour": 5, "liver+tumour+vessel": 3})
    assert found.labels == {"0": "background", "1": "liver_only", "2": "liver+tumour", "3": "vessel"}
    assert found.regions == {"liver": [1, 2, 3], "tumour": [2, 3], "vessel": [3]}
    assert found.order == {"liver": 1, "tumour": 2, "vessel": 3}


@pytest.mark.parametrize(
    ("overlaps", "common", "kept"),
    [("auto", 5, False), ("auto", 6, True), ("keep", 1, True), ("last", 90, False)],
)
def test_an_overlap_counts_by_its_share_of_the_smaller_class(overlaps, common, kept):
    """5 of 100 voxels are the limit; the liver has 1000."""
    counts = {"liver": 1000 - common, "vessel": 100 - common, "liver+vessel": common}
    found = table(counts, overlaps=overlaps)
    assert (found.regions is not None) == kept
    assert found.values["liver", "vessel"] == (4 if kept else found.values["vessel",])
    assert found.words == [
        f"overlaps {'kept' if kept else 'given to the later class'}: "
        f"liver and vessel share {common} voxels ({common}.0% of the smaller)"
    ]


def test_shares_are_those_of_cases_with_both_masks():
    """The vessels of a case without the liver's mask say nothing about their overlap."""
    both = CaseMasks(("liver", "vessel"), {("liver",): 100, ("vessel",): 10, ("liver", "vessel"): 10})
    other = CaseMasks(("vessel",), {("vessel",): 10_000})
    assert make_value_table([both, other], ("liver", "vessel"), "auto", "masks").words == [
        "overlaps kept: liver and vessel share 10 voxels (50.0% of the smaller)"
    ]


def test_a_voxel_of_three_classes_keeps_those_that_may_overlap():
    """The vessel overlaps the liver; the tumour touches the vessel in 1 of 100 voxels only."""
    counts = {"liver": 1000, "liver+vessel": 50, "vessel": 49, "liver+tumour": 99, "liver+tumour+vessel": 1}
    found = table(counts)
    assert found.values["liver", "tumour", "vessel"] == found.values["liver", "vessel"]
    assert "tumour and vessel share 1 voxels" in found.words[1]


def test_classes_that_are_always_together_and_names_that_are_taken():
    assert table({"liver+tumour": 3}).labels == {"0": "background", "1": "vessel", "2": "liver+tumour"}
    found = table({"a": 3, "a+b": 2}, classes=("a", "b", "a_only"))
    assert list(found.labels.values()) == ["background", "a_only_1", "a_only", "b"]


def test_too_many_values_or_regions_are_refused():
    many = [f"c{number}" for number in range(255)]
    assert len(table({"c3": 1}, classes=many[:254]).labels) == 255
    with pytest.raises(InputError, match="255 classes; expected at most 254 values"):
        table({"c3": 1}, classes=many)
    with pytest.raises(
        InputError, match=r"17 classes and 1 combinations .*\(c0\+c1\); expected at most 16.*--overlaps last"
    ):
        table({"c0": 1, "c0+c1": 1}, classes=many[:17])
    assert table({"c0": 1, "c0+c1": 1}, classes=many[:17], overlaps="last").regions is None
