from pathlib import Path

import pytest

from pipeline.comparison.named_sets import read_sets
from pipeline.data.errors import InputError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("ref", "a/predictions", "b/predictions", "run=1", "sat"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


def describe(words):
    return [(one.name, str(one.path), one.arm, one.seed) for one in read_sets(words, Path("ref"))]


@pytest.mark.usefixtures("folders")
def test_a_set_has_the_name_given_or_that_of_its_folder():
    assert describe(["sat", "ours=b/predictions", "run=1"]) == [
        ("sat", "sat", "sat", None),
        ("ours", "b/predictions", "ours", None),
        ("run=1", "run=1", "run=1", None),
    ]
    assert [name for name, *_ in describe(["a/predictions", "b/predictions"])] == ["a_predictions", "b_predictions"]


@pytest.mark.usefixtures("folders")
def test_seeds_belong_to_an_arm():
    assert describe(["sat:0=a/predictions", "sat:12=b/predictions", "x:y=sat"]) == [
        ("sat:0", "a/predictions", "sat", 0),
        ("sat:12", "b/predictions", "sat", 12),
        ("x:y", "sat", "x:y", None),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "found no set of label maps"),
        (["nowhere"], "nowhere: found no such folder"),
        (["sat", "a/../sat"], "found this path as two sets"),
        (["x=ref"], "ref: found this path as the reference and a set"),
        (["x=sat", "x=a/predictions"], "found two sets named x"),
    ],
)
@pytest.mark.usefixtures("folders")
def test_sets_that_cannot_be_meant_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        read_sets(words, Path("ref"))


@pytest.mark.usefixtures("folders")
def test_a_link_to_a_folder_is_the_same_folder():
    Path("link").symlink_to("sat")
    with pytest.raises(InputError, match="link: found this path as two sets"):
        read_sets(["sat", "link"], Path("ref"))
