"""Which labels are reported, and when."""

from math import nan

import pytest
import torch
from ignite.engine import Engine

from pipeline.training.unfound_labels import OneLabel, UnfoundLabels


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


def one_hot(*values, labels=3):
    """Return a case with these values, (labels, voxels)."""
    return torch.nn.functional.one_hot(torch.tensor(values), labels).T.float()


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ([one_hot(0, 0), one_hot(0, 0)], "2 cases one label, background: its label maps are empty"),
        ([one_hot(2, 2)], "one label, b: nothing else is found"),
        ([one_hot(0, 0), one_hot(1, 1)], ""),
        ([one_hot(0, 1)], ""),
        ([torch.tensor([[0, 0]])], "one label, background"),
        ([torch.tensor([[1, 1]])], "one label, a"),
        ([torch.tensor([[1, 0]])], ""),
        ([torch.zeros(2, 5)], "one label, background"),  # two regions
        ([torch.tensor([[0, 1], [0, 0]])], "one label, a"),
        ([torch.tensor([[0, 1], [1, 0]])], ""),
        ([], ""),
    ],
)
def test_a_network_with_one_label_everywhere_is_reported(cases, words):
    validator = Engine(lambda _engine, case: [{"pred": case}])
    follow = OneLabel(["a", "b"])
    follow.attach(validator)
    validator.run([one_hot(0, 1)])  # an earlier validation does not count
    if cases:
        validator.run(cases)
    assert words in (said := follow.warn(f"{len(cases)} cases"))
    assert bool(words) == bool(said) or not cases


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        (torch.tensor([[[3.0, 1.0], [0.0, 0.0], [0.0, 0.0]]]), "the last step's 1 patches one label, background"),
        ([torch.tensor([[[3.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])], ""),
        (torch.tensor([[[-3.0, -1.0], [-2.0, -1.0]]]), "one label, background"),
        (torch.tensor([[[3.0, -1.0], [-2.0, 1.0]]]), ""),
        (None, ""),
    ],
    ids=["labels", "deep supervision", "regions", "two regions", "nothing"],
)
def test_without_validations_the_last_step_tells(logits, words):
    said = OneLabel(["a", "b"]).warn_of_step(logits)
    assert words in said
    assert bool(words) == bool(said)
