import math

import pytest

from pipeline.study.report.numbers import (
    format_bytes,
    format_count,
    format_interval,
    format_p,
    format_seconds,
    format_shown,
    format_signed,
    format_value,
    shorten_p,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.88141, ".8814"), (-0.0004, "-.0004"), (1.0, "1.0000"), (-0.00001, ".0000"), (math.nan, "-"), (None, "-")],
)
def test_ratios_have_four_decimals_and_no_zero_before_the_point(value, expected):
    assert format_value(value) == expected


def test_lengths_have_two_decimals_and_differences_a_sign():
    assert format_value(1.406, "mm") == "1.41"
    assert [format_signed(value) for value in (0.0142, -0.0142, 0.0, -0.00001)] == [
        "+.0142",
        "-.0142",
        "+.0000",
        "+.0000",
    ]
    assert format_signed(math.nan) == "-"
    assert format_interval((-0.0021, 0.0013)) == "[-.0021, .0013]"
    assert format_interval(None) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.00401, ".0041"), (0.004, ".0040"), (0.0309, ".031"), (0.25, ".25"), (0.0999, ".10"), (1.21, "1.3")],
)
def test_what_could_have_been_shown_is_rounded_up(value, expected):
    assert format_shown(value) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0004, "p < .001"), (0.001, "p = .001"), (0.0342, "p = .034"), (0.62, "p = .62"), (1.0, "p = 1")],
)
def test_p_values(p, expected):
    assert format_p(p) == expected
    assert shorten_p(p) == expected.removeprefix("p ").removeprefix("= ")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.00 KiB"),
        (4.6 * 2**20, "4.60 MiB"),
        (85 * 2**20, "85.0 MiB"),
        (2**40, "1.00 TiB"),
        (1023.7 * 1024, "1.00 MiB"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_bytes_have_binary_units(number, expected):
    assert format_bytes(number) == expected


def test_counts_and_seconds_have_three_digits():
    assert [format_count(one) for one in (7, 45_600_000, 999_600, 1e12)] == ["7", "45.6 M", "1.00 M", "1.00 T"]
    seconds = [format_seconds(one) for one in (0.0, 0.00012, 0.1694, 9.996, 61.23, 480.4, 5000, None)]
    assert seconds == ["0.000 s", "0.00012 s", "0.169 s", "10.0 s", "61.2 s", "480 s", "5,000 s", "-"]
