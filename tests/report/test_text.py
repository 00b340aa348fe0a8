import pytest

from pipeline.report.text import amount, count_of, drawable, printable, shorten


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("two\n  lines\t", "two lines"), ("é 肝", "é 肝"), ("\x00", "\\x00"), (7, "7")],
)
def test_printable_text_stays_as_it_is(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (0, "0"),
        (0.703125, "0.703"),
        (51, "51"),
        (97.5, "97.5"),
        (512, "512"),
        (1476.4, "1,476"),
        (-1024, "-1,024"),
        (1234567, "1,234,567"),
        (12345678, "1.23e+07"),
        (0.00012345, "0.000123"),
    ],
)
def test_amounts_have_three_digits_that_matter(value, shown):
    assert amount(value) == shown


def test_a_count_has_its_noun():
    assert [count_of(number, "case") for number in (0, 1, 2, 1208)] == ["0 cases", "1 case", "2 cases", "1,208 cases"]


@pytest.mark.parametrize("name", ["$", "$x$", r"$\frac{$", "a$$b$", "no dollar"])
def test_a_dollar_is_no_formula(name) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    # What matplotlib draws, and whether it takes it for a formula.
    assert figure.text(0, 0, "")._preprocess_math(drawable(name)) == (name, False)


@pytest.mark.parametrize(("text", "shown"), [("short", "short"), ("abcdefgh", "abcdefgh"), ("abcdefghi", "abcd…ghi")])
def test_a_long_text_loses_its_middle(text, shown) -> None:
    assert shorten(text, 8) == shown
