"""A plan's text: it reads back unchanged, and every reason is a comment."""

from typing import Any

import pytest
import yaml

from pipeline.bundle.planning.choice import Choice, format_numbers
from pipeline.bundle.planning.write import plan_text

ODD = [
    "TO FILL IN: the licence",
    "{x}",
    "[a, b]",
    "yes",
    "null",
    "~",
    "1",
    "1e3",
    "2024-01-01",
    "#",
    "a # b",
    "a: b",
    "- a",
    "? a",
    "!tag",
    "&anchor",
    "*alias",
    "%directive",
    "@at",
    "`tick`",
    "|",
    ">-",
    "it's",
    'a "quoted" word',
    "back\\slash",
    "ends with colon:",
    " spaces ",
    "",
    "tab\there",
    "two\nlines",
    "two\n\n  lines\n",
    "carriage\rreturn",
    "next\x85line",
    "line\u2028separator",
    "bell\x07",
    "ünïcode 器官 😀",
    "---",
    "...",
    "word " * 60,
    "contrast-enhanced-" * 20,
    "x" * 300,
    "https://example.org/" + "long-path/" * 30,
    "many  spaces " * 20,
    "y" * 1500,
]


@pytest.mark.parametrize("text", ODD, ids=lambda text: repr(text)[:20])
def test_any_text_comes_back_as_it_was(text: str) -> None:
    content: dict[str, Any] = {
        "title": text,
        "chosen": Choice(text, text),
        "references": ["first", text],
        "labels": {"background": 0, text: 1},
        "values": Choice({"background": 0, text: 1}, text),
        "many": {f"{text}{number}": number for number in range(30)},
        "data": {
            "licence": Choice(text, text),
            "source": text,
            "channels": [text, "b"],
            "more": {"x": Choice(1, text)},
        },
        "last": 1,
    }

    def plain(value: Any) -> Any:
        if isinstance(value, Choice):
            return value.value
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value

    assert yaml.safe_load(plan_text(content, heading="What a plan is.")) == plain(content)


@pytest.mark.parametrize(
    "value",
    [
        0.005,
        1e-5,
        1.0,
        0,
        True,
        None,
        [1, 2, 3],
        [0.8, 0.8, 1.5],
        [[3, 3, 1], [3, 3, 3]],
        ["instance", {"affine": True}],
        [],
    ],
)
def test_any_value_comes_back_with_its_type(value: Any) -> None:
    back = yaml.safe_load(plan_text({"a": value, "b": Choice(value, "why")}, heading="x"))
    assert back == {"a": value, "b": value}
    assert type(back["a"]) is type(value)


def test_short_reasons_stand_beside_and_long_ones_above() -> None:
    text = plan_text({"a": Choice(1, "short"), "b": {"c": Choice(2, "long " * 40), "d": 3}}, heading="Heading. " * 20)
    lines = text.splitlines()
    assert all(len(line) <= 120 for line in lines)
    assert lines[0].startswith("# Heading.")
    assert next(line for line in lines if line.startswith("a:")).endswith("# short")
    at = lines.index("  c: 2")
    assert lines[at - 1].startswith("  # long")
    assert lines[at + 1] == "  d: 3"


def test_numbers_are_listed_as_people_write_them() -> None:
    assert format_numbers([1.0, 0.80000001, 4.5]) == "1 x 0.8 x 4.5"
    assert format_numbers([32, 64], by="-") == "32-64"
