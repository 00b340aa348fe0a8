"""Which labels are reported, and when."""

from math import nan

from pipeline.training.unfound_labels import UnfoundLabels


def test_a_label_is_reported_once_from_a_third_on_and_again_at_the_end():
    labels = UnfoundLabels(["liver", "lesion", "cyst"])
    labels.add({"liver": 0.5, "lesion": 0.0, "cyst": nan})
    assert labels.warn(0.2, cases=4) == ""
    assert labels.warn(0.34, cases=4).startswith(
        "not found in any of 4 validation cases after 34% of the training: label lesion."
    )
    assert labels.warn(0.5, cases=4) == ""
    assert labels.warn(1.0, cases=12, is_last=True).startswith(
        "never found in any of 12 validation cases: label lesion."
    )


def test_a_label_that_was_found_once_is_not_reported():
    labels = UnfoundLabels(["lesion"])
    labels.add({"lesion": 0.01})
    labels.add({"lesion": 0.0})
    assert labels.warn(1.0, cases=1, is_last=True) == ""


def test_a_label_that_no_case_has_is_not_reported_until_it_is_found_where_it_is_not():
    labels = UnfoundLabels(["lesion"])
    labels.add({"lesion": nan})
    assert labels.warn(0.9, cases=1) == ""
    labels.add({"lesion": 0.0})
    assert labels.warn(0.9, cases=1).startswith("not found in the validation case")
