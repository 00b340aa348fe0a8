"""Tables hold no formula for a spreadsheet, and come back as they were."""

import csv
import io
import random
import re
from pathlib import Path

import pytest

import pipeline
from pipeline.spreadsheet import escape_cell, format_table, read_rows, restore_cell

SOURCES = Path(pipeline.__file__).parent


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        (" =1", "' =1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("'=1", "''=1"),
        ("-", "'-"),
        ("-\u0661", "'-\u0661"),
    ],
)
def test_a_formula_becomes_text(text, cell):
    assert escape_cell(text) == cell
    assert restore_cell(cell) == text


@pytest.mark.parametrize(
    "value", ["-1.5", "+3", "-1e-05", "-inf", "nan", "-.5", "case_1", "a=b", "'x'", "'", "", "'-1.5", -1.5, 7, None]
)
def test_numbers_and_other_texts_stay(value):
    assert escape_cell(value) == value
    if isinstance(value, str):
        assert restore_cell(value) == value


def test_every_text_comes_back_and_no_cell_is_a_formula():
    draw = random.Random(0)
    signs = "'=+-@\uff1d\t\r\n ,\";1.5aeinf\u00a0"
    texts = ["".join(draw.choices(signs, k=draw.randint(0, 6))) for _ in range(4000)]
    table = format_table(["case", "=dice"], ([text, -0.25] for text in texts))
    plain = list(csv.reader(io.StringIO(table, newline="")))
    assert plain[0] == ["case", "'=dice"]
    for cell, _ in plain[1:]:
        number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|[+-]?nan", cell)
        assert number or not cell.startswith(tuple("=+-@\uff1d\t\r\n")), cell
    columns, rows = read_rows(io.StringIO(table, newline=""))
    assert columns == ["case", "=dice"]
    assert [row["case"] for row in rows] == texts
    assert {row["=dice"] for row in rows} == {"-0.25"}


def test_missing_and_further_cells_do_not_break_a_table():
    _, rows = read_rows(io.StringIO("a,b\n1\n1,2,3\n", newline=""))
    assert rows == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


def test_all_tables_are_written_here():
    writers = [
        file.name for file in SOURCES.rglob("*.py") if re.search(r"csv\.(Dict)?[Ww]riter\(", file.read_text("utf-8"))
    ]
    assert writers == ["spreadsheet.py"]
