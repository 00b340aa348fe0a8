import pytest

from pipeline.report.report_axis import format_value, make_axis


def test_an_axis_ends_at_ticks_and_places_values_between_them():
    axis = make_axis([0.74, 0.93, 1.0], low=0.0, high=1.0)
    assert [text for _, text in axis.ticks] == ["0.7", "0.8", "0.9", "1.0"]
    assert [place for place, _ in axis.ticks] == [0, 33.33, 66.67, 100]
    assert axis.place(0.85) == 50
    assert [axis.place(value) for value in (-9, 9)] == [0, 100]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0, 40], ["0", "10", "20", "30", "40"]),
        ([-0.012, 0.03], ["-0.02", "0.00", "0.02", "0.04"]),
        ([1, 90], ["0", "25", "50", "75", "100"]),
        ([], ["0.00", "0.25", "0.50", "0.75", "1.00"]),
    ],
)
def test_ticks_are_round_numbers_with_as_many_decimals_as_they_need(values, texts):
    assert [text for _, text in make_axis(values).ticks] == texts


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0, 1e-9, 1e9])
def test_one_value_has_an_axis_around_it(value):
    axis = make_axis([value, value])
    assert axis.low <= value <= axis.high
    assert axis.low < axis.high


def test_a_value_has_its_unit_and_a_ratio_three_decimals():
    assert [format_value(0.91234), format_value(1.5, "mm"), format_value(None), format_value(float("nan"))] == [
        "0.912",
        "1.50 mm",
        "-",
        "-",
    ]
