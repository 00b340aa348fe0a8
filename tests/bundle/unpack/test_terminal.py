import pytest

from pipeline.bundle.unpack.terminal import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ä $x", "ä $x"),
        ("a\u00a0b", "a\\xa0b"),
        ("a" * 12, "aaaaaaaaaa … (2 characters more: --json FILE has them)"),
        ("\u2066", "\\u2066"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_shown_on_one_line(text: str, expected: str) -> None:
    assert printable(text, max_length=10) == expected
