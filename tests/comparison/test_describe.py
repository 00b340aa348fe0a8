import math

import numpy as np
import pytest

from pipeline.comparison.describe import list_versions, summarise_lesions


def make_row(case, size, f1, *counts, name="one"):
    """A row of lesions of one case and class of sizes; counts are reference, predicted, matched."""
    numbers = dict(zip(("reference_lesions", "predicted_lesions", "matched"), counts, strict=True))
    outcome = "absent" if math.isnan(f1) else "found"
    return {
        "set": name,
        "case": case,
        "label": "tumour",
        "size_class": size,
        "lesion_f1": f1,
        "outcome": outcome,
        **numbers,
    }


def test_lesions_are_summarised_by_set_label_and_size():
    rows = [
        make_row("a", "all", 0.5, 3, 1, 1),
        make_row("a", "small", math.nan, 0, 0, 0),
        make_row("b", "all", 1.0, 2, 2, 2),
        make_row("b", "small", 1.0, 1, 1, 1),
        make_row("a", "all", 0.0, 3, 0, 0, name="two"),
    ]
    found = summarise_lesions(rows, 0.25)["lesions"]
    assert found["iou"] == 0.25
    everything = found["sets"]["one"]["tumour"]["all"]
    assert everything["lesion_f1"]["mean"] == pytest.approx(0.75)
    assert [everything[key] for key in ("reference_lesions", "predicted_lesions", "matched")] == [5, 3, 3]
    small = found["sets"]["one"]["tumour"]["small"]
    assert (small["lesion_f1"]["mean"], small["counted"], small["absent"]) == (1.0, 1, 1)
    assert found["sets"]["two"]["tumour"]["all"]["reference_lesions"] == 3
    assert summarise_lesions([], 0.1) == {}


def test_versions_are_those_of_the_packages():
    versions = list_versions()
    assert versions["numpy"] == np.__version__
    assert {"python", "lightskip", "scipy", "nibabel"} <= versions.keys()
