import pytest

from pipeline.bundle.unpack.terminal import is_cut, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ä $x", "ä $x"),
        ("a\u00a0b", "a\\xa0b"),
        ("a" * 12, "aaaaaaaaaa … (2 characters more)"),
        ("\u2066", "\\u2066"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_shown_on_one_line(text: str, expected: str) -> None:
    assert shown(text, longest=10) == expected


def test_what_is_cut_is_known() -> None:
    assert not is_cut("a" * 600)
    assert is_cut("a" * 601)
    assert is_cut("\x1b" * 300)
