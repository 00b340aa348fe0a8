import pytest

from pipeline.comparison.choose_cases import choose_cases, read_subjects
from pipeline.data.errors import InputError


def test_cases_are_named_or_in_a_file(tmp_path):
    names = ["b", "a", "c"]
    assert choose_cases([], names) == names
    (tmp_path / "list.txt").write_text("c\n\n a \n")
    assert choose_cases([str(tmp_path / "list.txt"), "b"], names) == names
    assert choose_cases(["c", "b"], names) == ["b", "c"]
    with pytest.raises(InputError, match=r"--cases: found x, y: no such case; expected .*such as b, a, c"):
        choose_cases(["y", "a", "x"], names)
    with pytest.raises(InputError, match=r"--cases: found no name"):
        choose_cases([""], names)


def test_lists_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "list.csv"
    file.write_bytes("case,subject\na,Jürgen\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"list.csv: found a file that is not text in UTF-8"):
        choose_cases([str(file)], ["a"])
    with pytest.raises(InputError, match=r"list.csv: found a file that is not text in UTF-8"):
        read_subjects(str(file), ["a"])


def test_subjects_are_in_a_table_or_in_the_names(tmp_path):
    names = ["sub-1_a", "sub-1_b", "sub-2_a"]
    expected = dict(zip(names, ("sub-1", "sub-1", "sub-2"), strict=True))
    assert read_subjects(None, names) == {}
    assert read_subjects(r"(sub-\d+)", names) == expected
    csv, json = tmp_path / "s.csv", tmp_path / "s.json"
    csv.write_text("\ufeffsubject,case,age\nsub-1,sub-1_a,3\nsub-1,sub-1_b,3\nsub-2,sub-2_a,4\nsub-3,other,5\n")
    json.write_text('{"sub-1_a": "sub-1", "sub-1_b": "sub-1", "sub-2_a": "sub-2"}')
    assert read_subjects(str(csv), names) == read_subjects(str(json), names) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (r"(sub-1)", "no subject for sub-2_a; expected an expression that fits the name of every case"),
        ("sub", "an expression without a group"),
        ("(", "neither a file nor a regular expression"),
        ("wrong.csv", "wrong.csv: found another table"),
        ("wrong.json", "wrong.json: found another table"),
        ("short.csv", "no subject for sub-2_a; expected a subject for every case, in .*short.csv"),
    ],
)
def test_subjects_that_cannot_be_found_are_refused(tmp_path, word, message):
    (tmp_path / "wrong.csv").write_text("name,patient\na,b\n")
    (tmp_path / "wrong.json").write_text("[1]")
    (tmp_path / "short.csv").write_text("case,subject\nsub-1_a,1\n")
    path = tmp_path / word
    with pytest.raises(InputError, match=message):
        read_subjects(str(path) if path.is_file() else word, ["sub-1_a", "sub-2_a"])
