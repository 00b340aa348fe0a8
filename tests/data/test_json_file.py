import json
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.json_file import MAX_DEPTH, JsonError, load_json, parse_json, read_json

_BIG = "7" * 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "a": 2}', 'the key "a" twice in one mapping at line 2, column 2'),
        ('{"b": {"a": 1},\n "a": {"c": 1, "c": 2}}', 'the key "c" twice in one mapping at line 2, column 16'),
        ('{"a": "a", "b": [{"a": 1}],\n "\\u0061": 2}', 'the key "a" twice in one mapping at line 2, column 2'),
        ("[\n" * 3000 + "]" * 3000, f"more than {MAX_DEPTH} levels at line {MAX_DEPTH + 1}, column 1"),
        ('{"a":' * 200 + "1" + "}" * 200, f"more than {MAX_DEPTH} levels at line 1, column {5 * MAX_DEPTH + 1}"),
        (f'{{"a":\n {_BIG}}}', "an integer of 5000 digits, which is more than 64 bits at line 2, column 2"),
        ('{"a": 9223372036854775808}', "an integer of 19 digits, which is more than 64 bits at line 1, column 7"),
        ('{"a": "\\ud800x"}', "a text with half a sign"),
        ('{"a":\n  }', "invalid JSON at line 2, column 3 (Expecting value)"),
        ("", "invalid JSON at line 1, column 1"),
        ('{"a": "b\x01"}', "invalid JSON at line 1, column 9 (Invalid control character at)"),
    ],
)
def test_mistakes_have_a_line_and_a_column(text: str, message: str) -> None:
    with pytest.raises(JsonError) as raised:
        parse_json(text)
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_on_request(text: str) -> None:
    assert parse_json(f"[{text}]") == pytest.approx([float(text)], nan_ok=True)
    with pytest.raises(JsonError, match=r"which is no finite number at line 2, column 1"):
        parse_json(f"[\n{text}]", constants=False)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, -(2**63), 2**63 - 1, 1.5, None, True, "é\n"]}, "x", [], {"": {}}, ["\udcff"], ["\U0001f600"]],
)
def test_other_values_are_those_of_python(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text) == parse_json(text.encode()) == json.loads(text)
    assert parse_json("[" * (MAX_DEPTH - 1) + json.dumps(1) + "]" * (MAX_DEPTH - 1))


def test_files_are_read_with_and_without_a_byte_order_mark(tmp_path: Path) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "a.json").write_bytes(mark + b'{"a": 1}')
        assert read_json(tmp_path / "a.json") == load_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"a": "\xff"}', r"a\.json: found a file that is not text in UTF-8 at line 2, column 7; expected a list"),
        ("{}".encode("utf-16"), r"not text in UTF-8 at line 1, column 1"),
        (b'{"a": 1, }', r"found invalid JSON at line 1, column 10 .*expected a list.*correct line 1, or name it"),
        (None, r"no readable file \(No such file or directory\); expected a list\. What to do: name it"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json", expected="a list", remedy="name it")
