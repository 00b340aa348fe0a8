from pathlib import Path

import pytest

from pipeline.comparison.inputs import read_inputs
from pipeline.comparison.request import Request
from pipeline.data.errors import InputError

from .conftest import make_map


@pytest.fixture
def folders(fill, tmp_path, monkeypatch):
    fill("ref", {name: make_map() for name in ("s1_a", "s1_b", "s2_a")})
    fill("one", {name: make_map() for name in ("s1_a", "s2_a")})
    monkeypatch.chdir(tmp_path)


def read(**options):
    return read_inputs(Request(Path("ref"), ["one"], Path("out"), **options))


@pytest.mark.usefixtures("folders")
def test_cases_subjects_and_sets_are_those_of_the_options():
    inputs = read(cases=["s2_a", "s1_b"], subjects="(s[0-9])")
    assert [(case.name, case.subject) for case in inputs.joined.cases] == [("s1_b", "s1"), ("s2_a", "s2")]
    assert inputs.joined.missing == {"one": ["s1_b"]}
    # Not a case of this comparison.
    assert [path.name for path in inputs.joined.surplus["one"]] == ["s1_a.nii.gz"]


@pytest.mark.parametrize("options", [{"part": "test"}, {"fold": 0}])
@pytest.mark.usefixtures("folders")
def test_a_folder_has_no_parts(options):
    with pytest.raises(InputError, match="which is a folder of label maps; expected a datalist or a bundle"):
        read(**options)
