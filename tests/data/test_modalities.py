import pytest

from pipeline.data.modalities import find_modality, lacks_hounsfield_units, looks_like_ct


@pytest.mark.parametrize(
    ("name", "modality"),
    [("CT", "CT"), ("CT scan", "CT"), ("T1 MRI", "MRI"), ("FLAIR", "MRI"), ("EM", "EM"), ("act", None), ("", None)],
)
def test_a_channels_name_says_the_modality(name, modality):
    assert find_modality(name) == modality


def values(low, middle, high, lowest=None, whole=True):
    return {"quantiles": [low, middle, high], "min": low if lowest is None else lowest, "whole": whole}


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        (values(-1000, -600, 400), False),
        (values(-120, 40, 300), False),
        # A crop of the liver has fat somewhere, below the 1st percentile.
        (values(0, 60, 180, lowest=-95), False),
        (values(24, 424, 1424), True),
        (values(0, 0.3, 0.9), True),
        (values(0, 90, 250), True),
        (values(-1.2, 0.1, 2.2), True),
    ],
)
def test_hounsfield_units_have_fat_below_zero_and_span_hundreds(found, lacking):
    assert lacks_hounsfield_units(found) is lacking


def test_a_ct_has_whole_numbers_and_air():
    assert looks_like_ct(values(-1000, -600, 400, lowest=-1024))
    assert not looks_like_ct(values(-1000, -600, 400, whole=False))
    assert not looks_like_ct(values(0, 300, 900))
    assert not looks_like_ct(values(-20000, 0, 20000))
