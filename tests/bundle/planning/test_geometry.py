"""Spacing and shapes, computed by hand, and the number of windows as in MONAI."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from pipeline.bundle.planning.fingerprint import Fingerprint, make_fingerprint
from pipeline.bundle.planning.geometry import check_spacing, choose_spacing, count_windows, shape_at
from pipeline.data.errors import InputError

Make = Callable[..., dict[str, Any]]


def with_spacings(make_report: Make, spacings: list[list[float]], shape: tuple[int, ...] = (40, 50, 30)) -> Fingerprint:
    report = make_report(cases=len(spacings), folds=2, shape=shape, spacing=spacings[0])
    for case, spacing in zip(report["cases"], spacings, strict=True):
        case["spacing"] = spacing
    return make_fingerprint(report)


def test_one_spacing_is_kept(make_report: Make) -> None:
    made = with_spacings(make_report, [[0.7, 0.7, 2.0], [0.702, 0.7, 2.0], [0.7, 0.699, 2.01]])
    chosen = choose_spacing(made)
    assert chosen.value == [0.7, 0.7, 2.0]
    assert "all scans have this spacing" in chosen.reason


def test_different_spacings_give_their_median(make_report: Make) -> None:
    made = with_spacings(make_report, [[0.6, 0.5, 1.0], [0.8, 0.9, 2.0], [1.0, 1.0, 1.5]])
    chosen = choose_spacing(made)
    assert chosen.value == [0.8, 0.9, 1.5]
    assert "0.6 x 0.5 x 1 to 1 x 1 x 2" in chosen.reason


# 40 x 50 x 30 mm: at 25, 25 and 15 mm 2 x 2 x 2 voxels.
def test_a_given_spacing_is_taken_as_long_as_it_leaves_voxels(make_report: Make) -> None:
    made = with_spacings(make_report, [[1.0, 1.0, 1.0]] * 2)
    assert check_spacing([25.0, 25.0, 15.0], made).value == [25.0, 25.0, 15.0]
    with pytest.raises(InputError, match=r"^--spacing: found 25 x 25 x 25 mm, .* 2 x 2 x 1 voxels; .* is 1 x 1 x 1"):
        check_spacing([25.0, 25.0, 25.0], made)


@pytest.mark.parametrize("thick", [0, 1, 2])
def test_thick_slices_give_the_tenth_percentile(thick: int, make_report: Make) -> None:
    # Eleven distances: the 10th percentile is the second smallest.
    distances = [2.5, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    spacings = [np.insert([0.8, 0.8], thick, distance).tolist() for distance in distances]
    chosen = choose_spacing(with_spacings(make_report, spacings))
    assert chosen.value == np.insert([0.8, 0.8], thick, 3.0).tolist()
    assert "median 5 mm" in chosen.reason
    assert "10th percentile" in chosen.reason


def test_thick_slices_never_become_thinner_than_pixels(make_report: Make) -> None:
    distances = [0.4, 0.4, 0.4, 0.4, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    chosen = choose_spacing(with_spacings(make_report, [[0.8, 0.9, distance] for distance in distances]))
    assert chosen.value == [0.8, 0.9, 0.9]
    assert "10th percentile" not in chosen.reason


def test_less_than_three_times_is_not_thick(make_report: Make) -> None:
    made = with_spacings(make_report, [[1.0, 1.0, 2.0], [1.0, 1.0, 2.9], [1.0, 1.0, 3.5]])
    assert choose_spacing(made).value == [1.0, 1.0, 2.9]


def test_pictures_have_no_thick_slices(make_report: Make) -> None:
    made = with_spacings(make_report, [[1.0, 4.0], [1.0, 5.0], [1.0, 6.0]], shape=(50, 60))
    assert choose_spacing(made).value == [1.0, 5.0]


def test_shape_at_another_spacing_by_hand(make_report: Make) -> None:
    report = make_report(cases=3, folds=3, shape=(40, 50, 30), spacing=(1.0, 1.0, 2.0))
    report["cases"][2]["shape"] = [80, 51, 31]
    made = make_fingerprint(report)
    assert shape_at(made, [2.0, 1.0, 1.0]).tolist() == [20, 50, 60]
    assert shape_at(made, [2.0, 1.0, 4.0], largest=True).tolist() == [40, 51, 16]
    assert shape_at(made, [500.0, 1.0, 1.0]).tolist() == [1, 50, 60]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(
    ("shape", "window"),
    [
        ((35, 50, 36), (40, 56, 40)),
        ((512, 512), (192, 160)),
        ((300, 200, 41), (96, 64, 20)),
        ((64, 65, 1), (64, 64, 1)),
        ((17, 33, 100), (16, 16, 96)),
    ],
)
def test_windows_are_as_many_as_monai_makes(shape: tuple[int, ...], window: tuple[int, ...], overlap: float) -> None:
    # MONAI pads a scan that is smaller than the window.
    padded = [max(sizes) for sizes in zip(shape, window, strict=True)]
    interval = _get_scan_interval(padded, window, len(shape), [overlap] * len(shape))
    assert count_windows(shape, window, overlap) == len(dense_patch_slices(padded, window, interval))
