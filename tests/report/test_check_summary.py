import pytest

from pipeline.report.check_cards import list_cards
from pipeline.report.check_summary import (
    annotated_words,
    count_annotating,
    ignored_words,
    list_class_sizes,
    regions_words,
)
from pipeline.report.check_table import format_check


@pytest.fixture
def report(reports):
    """Five cases of 1000 voxels; ignored are none, 100, 200, 300 and 400 of them."""
    report = reports.report(5)
    for number, case in enumerate(report["cases"]):
        case |= {"shape": [10, 10, 10], "ignored": 100 * number, "annotated": None}
    report["cases"][3]["annotated"] = ["liver"]
    return report | {"ignored_values": [254, 255], "regions": {"organ": [1, 2], "tumour": [2]}}


def test_regions_ignored_voxels_and_partial_labels_are_said(report):
    assert regions_words(report) == "organ (1 2), tumour (2)"
    assert ignored_words(report) == "254, 255: median 25 % of a scan's voxels, from 10 % to 40 %, in 4 of 5 cases"
    assert annotated_words(report) == "only some labels in 1 of 5 cases"
    lines = format_check(report).splitlines()
    assert f"regions       {regions_words(report)}" in lines
    assert f"ignored       {ignored_words(report)}" in lines
    assert f"annotated     {annotated_words(report)}" in lines


def test_sizes_are_of_cases_in_which_the_label_was_annotated(report):
    """Label map 3 has tumour, but only its liver was annotated. In map 4 all of the organ was, as one."""
    report["regions"] = {"organ": [1, 2], "tumour": [2]}
    report["cases"][4]["annotated"] = ["organ"]
    sizes = list_class_sizes(report)
    assert [len(sizes[name]) for name in ("liver", "tumour")] == [4, 3]
    assert [count_annotating(report, name) for name in ("liver", "tumour")] == [4, 3]
    assert sum("in 4 of 4 that annotate it" in line for line in format_check(report).splitlines()) == 1


def test_cards_have_the_ignored_share_and_the_annotated_labels(report):
    facts = {card.name: card.facts for card in list_cards(report, [], {})}
    names = [case["name"] for case in report["cases"]]
    assert "30 % ignored" in facts[names[3]]
    assert "annotated: liver" in facts[names[3]]
    assert not any("ignored" in fact or "annotated" in fact for fact in facts[names[0]])


def test_ignored_values_that_no_case_has_are_said_too(report):
    for case in report["cases"]:
        case["ignored"] = 0
    assert ignored_words(report) == "254, 255: in no case"


def test_a_report_without_any_of_them_is_as_before(reports):
    report = reports.report(3)
    assert (regions_words(report), ignored_words(report), annotated_words(report)) == ("", "", "")
