import re

import pytest

from pipeline.labelmaps.label_files import to_one_line, write_label_files
from pipeline.labelmaps.label_table import Label

TABLE = [Label(1, "left lung", (255, 0, 51)), Label(300, 'lobe "upper"\n#2', (0, 128, 255))]


def rows(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def test_the_colour_table_has_six_words_a_row(tmp_path):
    write_label_files(tmp_path / "new", TABLE)
    assert [row.split() for row in rows(tmp_path / "new" / "labels.ctbl")] == [
        ["0", "background", "0", "0", "0", "0"],
        ["1", "left_lung", "255", "0", "51", "255"],
        ["300", 'lobe_"upper"_#2', "0", "128", "255", "255"],
    ]


def test_the_label_descriptions_have_seven_numbers_and_a_quoted_name(tmp_path):
    write_label_files(tmp_path, TABLE)
    found = [re.fullmatch(r'((?:\s*\d+){7})\s+"([^"]*)"', row) for row in rows(tmp_path / "labels.txt")]
    assert all(found)
    assert [([int(word) for word in match[1].split()], match[2]) for match in found] == [
        ([0, 0, 0, 0, 0, 0, 0], "Clear Label"),
        ([1, 255, 0, 51, 1, 1, 1], "left lung"),
        ([300, 0, 128, 255, 1, 1, 1], "lobe 'upper' #2"),
    ]


def test_both_files_are_the_same_again_and_nothing_else_is_there(tmp_path):
    for folder in ("a", "b"):
        write_label_files(tmp_path / folder, TABLE)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"labels.ctbl", "labels.txt"}
    for name in ("labels.ctbl", "labels.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [(" a  b ", "a b"), ("a\r\nb\x00c", "a b c"), ("Ärm", "Ärm"), ("", ""), ("a\u2028b", "a b")],
)
def test_a_name_is_one_line(name, expected):
    assert to_one_line(name) == expected
