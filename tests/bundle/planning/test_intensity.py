"""The normalisation of a dataset, and its numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.bundle.planning.fingerprint import make_fingerprint
from pipeline.bundle.planning.intensity import choose_modality, choose_normalisation

Make = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("names", "modality"),
    [
        (["CT"], "CT"),
        (["ct"], "CT"),
        (["non-contrast CT"], "CT"),
        (["CT_venous", "CT_arterial"], "CT"),
        (["MRI"], "MRI"),
        (["MR"], "MRI"),
        (["FLAIR", "T1w", "t1gd", "T2w"], "MRI"),
        (["T2", "ADC"], "MRI"),
        (["ultrasound"], "US"),
        (["EM"], "EM"),
        (["synthetic A", "synthetic B"], "synthetic"),
        (["CT", "PET"], "other"),
        (["CT", "MRI"], "other"),
        (["channel 0"], "other"),
        # No word of its own: SPECT, octopus, muscle, stem.
        (["SPECT"], "other"),
        (["octopus"], "other"),
        (["muscle"], "other"),
        (["stem"], "other"),
    ],
)
def test_names_of_channels_say_what_the_images_are(names: list[str], modality: str, make_report: Make) -> None:
    made = make_fingerprint(make_report(channels=names))
    assert choose_modality(names, made).value == modality


@pytest.mark.parametrize(
    ("report", "modality"),
    [
        ({"lowest": -1024.0}, "CT"),
        ({"lowest": -800.0}, "CT"),
        ({"lowest": -799.0}, "other"),
        ({"lowest": 0.0}, "other"),
        ({"lowest": -1024.0, "stored": "float32"}, "other"),
        ({"lowest": -1024.0, "channels": ["MRI"]}, "MRI"),
    ],
)
def test_air_in_hounsfield_units_makes_a_ct_where_no_name_does(
    report: dict[str, Any], modality: str, make_report: Make
) -> None:
    made = make_fingerprint(make_report(**({"channels": ["image"]} | report)))
    assert choose_modality(made.channels, made).value == modality


def test_a_ct_is_clipped_and_scaled_by_its_foreground(make_report: Make) -> None:
    made = make_fingerprint(make_report(channels=["CT"]))
    chosen = choose_normalisation("CT", made)
    assert list(chosen) == ["intensity_range", "intensity_mean", "intensity_std", "normalisation"]
    # The report's quantiles go evenly from -10 to 110.
    assert chosen["intensity_range"].value == [-9.4, 109.4]
    assert (chosen["intensity_mean"].value, chosen["intensity_std"].value) == (50, 20)
    assert chosen["normalisation"].value == "ct"


def test_channels_of_a_ct_share_one_range(make_report: Make) -> None:
    report = make_report(channels=["CT native", "CT venous"])
    for case in report["cases"]:
        case["foreground"][1] |= {"quantiles": np.linspace(90, 290, 201).tolist(), "mean": 190.0, "std": 60.0}
    chosen = choose_normalisation("CT", make_fingerprint(report))
    assert chosen["intensity_range"].value == [-9.4, 289.0]
    assert chosen["intensity_mean"].value == 120


def test_a_ct_of_one_intensity_is_not_divided_by_nothing(make_report: Make) -> None:
    report = make_report(channels=["CT"])
    for case in report["cases"]:
        case["foreground"][0] |= {"quantiles": [7.0] * 201, "mean": 7.0, "std": 0.0}
    assert choose_normalisation("CT", make_fingerprint(report))["normalisation"].value == "zscore"


@pytest.mark.parametrize(("zeros", "chosen"), [(0.0, "zscore"), (0.24, "zscore"), (0.25, "zscore_nonzero")])
def test_scans_that_were_cut_out_are_normalised_by_what_is_left(zeros: float, chosen: str, make_report: Make) -> None:
    made = make_fingerprint(make_report(zeros=zeros))
    assert choose_normalisation("MRI", made)["normalisation"].value == chosen


def test_all_channels_have_to_be_cut_out(make_report: Make) -> None:
    report = make_report(channels=["T1", "T2"], zeros=0.8)
    for case in report["cases"]:
        case["intensity"][1]["zeros"] = 0.01
    assert choose_normalisation("MRI", make_fingerprint(report))["normalisation"].value == "zscore"
