import re
from pathlib import Path

import pytest
import yaml

from pipeline.data.errors import InputError
from pipeline.data.yaml_file import line_of, read_yaml


def read(tmp_path: Path, text: str) -> tuple[dict[str, object], dict[tuple[str, ...], int]]:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    return read_yaml(tmp_path / "a.yaml")


def test_every_key_and_item_has_its_line(tmp_path: Path) -> None:
    content, lines = read(tmp_path, "# heading\na: 1\nb:\n  c: [2,\n    3]\n  d:\n  - {e: 4}\n")
    assert content == {"a": 1, "b": {"c": [2, 3], "d": [{"e": 4}]}}
    assert {".".join(path): line for path, line in lines.items()} == {
        "a": 2,
        "b": 3,
        "b.c": 4,
        "b.c.0": 4,
        "b.c.1": 5,
        "b.d": 6,
        "b.d.0": 7,
        "b.d.0.e": 7,
    }
    assert line_of(lines, ("b", "c", "7")) == 4
    assert line_of(lines, ("z",)) == 1


@pytest.mark.parametrize(
    "text", ["yes", "Off", "012", "0o14", "08", "1:30", "y", "1_000", "0x1F", "~", ".inf", "2024-01-01"]
)
def test_values_are_those_of_pyyaml(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"a: {text}\n")[0] == yaml.safe_load(f"a: {text}\n")


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("-2E+3", -2000.0), ("3.5e2", 350.0), ("e3", "e3")])
def test_exponents_need_no_point(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"a: {text}\n")[0] == {"a": value}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: 1\na: &a [*a]\n", "line 2, column 4: .*more than 50 levels"),
        ("x: 1\na: &a {b: *a}\n", "line 2, column 4: .*more than 50 levels"),
        ("x: 1\na: " + "[" * 100 + "]" * 100, "line 2, column 54: .*more than 50 levels"),
        ("x: 1\na: " + "[" * 9000 + "]" * 9000, "line 2, column .*more than 50 levels"),
        ("x: 1\na: " + "9" * 5000, "line 2, column 4: .*cannot be read as int"),
        ("x: 1\na: 2024-13-41\n", "line 2, column 4: .*cannot be read as timestamp"),
        ("x: 1\na: !!timestamp x\n", "line 2, column 4: .*cannot be read as timestamp"),
        ("x: 1\na: !!int x\n", "line 2, column 4: .*cannot be read as int"),
        ("x: 1\na: [!!bool x]\n", "line 2, column 5: .*cannot be read as bool"),
        ("x: 1\na: !unknown x\n", "line 2, column 4: .*could not determine a constructor"),
        ("x: 1\n? [a, b]\n: 1\n", "line 2, column 3: .*a key that is no text"),
        ("x: 1\na: \x01\n", "line 2: .*special characters are not allowed"),
        ("x: 1\na: *b\n", "line 2, column 4: .*undefined alias"),
        ("x: 1\n---\ny: 2\n", "line 2, column 1: .*another document"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert re.search(rf"a\.yaml, {message}", str(raised.value))
    assert len(str(raised.value)) < 1000


def test_aliases_that_grow_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    with pytest.raises(InputError, match="more than 100,000 values"):
        read(tmp_path, "\n".join(lines))
