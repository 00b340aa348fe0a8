import math

import pytest

from pipeline.report.spread import Spread, make_histogram


def test_a_spread_is_that_of_the_finite_numbers():
    assert Spread.of([3, None, 1, math.nan, 2, math.inf, 10]) == Spread(1, 2.5, 10)
    assert Spread.of([None, math.nan]) is None


def test_bars_have_the_height_of_their_share_and_stand_on_the_axis():
    # 24 bars across 192: 0 is in the first, 1 (the middle) in the thirteenth, 2 (the end) in the last.
    plot = make_histogram([0, 0, 0, 0, 1, 2], title="spacing", unit="mm")
    assert plot is not None
    assert plot.bars == [(0, 0, 7, 32), (96, 24, 7, 8), (184, 24, 7, 8)]
    assert (plot.width, plot.height, plot.median, plot.logarithmic) == (192, 32, 0, False)
    assert plot.text == "spacing: 6 cases from 0 to 2 mm, median 0 mm"


def test_values_far_apart_have_a_logarithmic_axis():
    plot = make_histogram([1, 10, 100], title="volume", unit="")
    assert plot is not None
    assert plot.logarithmic
    assert plot.median == pytest.approx(96)
    assert plot.text == "volume: 3 cases from 1 to 100, median 10, logarithmic axis"


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0]])
def test_values_that_do_not_differ_have_no_histogram(values):
    assert make_histogram(values, title="spacing", unit="mm") is None
