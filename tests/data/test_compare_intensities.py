"""Scans in other units, on voxels that are measured as in a check."""

import numpy as np
import pytest

from pipeline.data.compare_intensities import find_few_values, find_odd_units
from pipeline.data.intensities import measure_intensities


def record(number, voxels):
    images = [f"{number}.nii"]
    return {"name": f"c{number}", "images": images, **measure_intensities(voxels, None, axes=3, first=0)}


def ct(seed):
    """Return a body of soft tissue, fat and bone in air, in HU."""
    rng = np.random.default_rng(seed)
    voxels = np.full((20, 20, 20), -1000.0)
    voxels[3:17, 3:17, 3:17] = rng.choice([-100, 40, 60, 700], (14, 14, 14), p=[0.2, 0.4, 0.3, 0.1])
    return np.rint(voxels + rng.normal(0, 15, voxels.shape))


def mri(seed):
    rng = np.random.default_rng(seed)
    return rng.gamma(4, 1, (20, 20, 20)) * np.exp(rng.normal(4, 0.5))


def odd(records, name):
    return [(each.kind, each.case) for each in find_odd_units(records, [name])]


CHANGES = {
    "plus 1024": lambda voxels: voxels + 1024,
    "scaled to 0 to 1": lambda voxels: (voxels - voxels.min()) / np.ptp(voxels),
    "scaled to 0 to 255": lambda voxels: np.rint((voxels - voxels.min()) / np.ptp(voxels) * 255),
    "z-scored": lambda voxels: (voxels - voxels.mean()) / voxels.std(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("count", [3, 12])
def test_a_ct_in_other_units_is_found_among_few_and_many(change, count):
    records = [record(number, ct(number)) for number in range(count)]
    assert odd(records, "CT") == []
    records[1] = record(1, CHANGES[change](ct(1)))
    assert odd(records, "CT") == [("intensity-units", "c1")]


def test_the_message_has_the_values_and_the_units_that_they_resemble():
    records = [record(number, ct(number) + 1024 * (number == 2)) for number in range(4)]
    (finding,) = find_odd_units(records, ["CT"])
    assert "Hounsfield units plus 1024" in finding.found
    assert "air -1000" in finding.expected


def test_a_ct_dataset_without_hounsfield_units_is_one_finding():
    assert odd([record(number, ct(number) + 1024) for number in range(4)], "CT") == [("ct-units", None)]


@pytest.mark.parametrize("count", [3, 12])
def test_z_scores_beside_raw_values_are_found(count):
    records = [record(number, mri(number)) for number in range(count)]
    assert odd(records, "MRI") == []
    records[0] = record(0, CHANGES["z-scored"](mri(0)))
    assert odd(records, "MRI") == [("intensity-units", "c0")]


def test_another_factor_means_nothing_in_mri():
    """Units of MRI are arbitrary: among 208 hippocampi the ranges differ by a factor of 5000."""
    assert odd([record(number, mri(number) * (5000 if number == 3 else 1)) for number in range(12)], "MRI") == []


@pytest.mark.parametrize("minority", [1, 4])
def test_percent_beside_fractions_is_found(minority):
    rng = np.random.default_rng(0)
    maps = [rng.beta(2, 2, (12, 12, 12)) for _ in range(10)]
    assert odd([record(number, each) for number, each in enumerate(maps)], "oxygen") == []
    records = [record(number, each * (100 if number < minority else 1)) for number, each in enumerate(maps)]
    assert odd(records, "oxygen") == [("intensity-units", f"c{number}") for number in range(minority)]


def test_a_factor_is_found_where_the_others_agree():
    rng = np.random.default_rng(0)
    records = [record(number, rng.normal(120, 30, (12, 12, 12)) * (20 if number == 5 else 1)) for number in range(12)]
    assert odd(records, "EM") == [("intensity-units", "c5")]


def test_an_image_with_the_values_of_a_label_map_is_found():
    records = [record(number, np.rint(mri(number) * 10)) for number in range(4)]
    assert list(find_few_values(records)) == []
    records[2] = record(2, np.random.default_rng(0).integers(0, 4, (20, 20, 20)))
    assert [(each.kind, each.case) for each in find_few_values(records)] == [("image-few-values", "c2")]
