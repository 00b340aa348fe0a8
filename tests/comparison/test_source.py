import json
from pathlib import Path

import pytest

from pipeline.comparison.source import find_path, read_source
from pipeline.data.errors import InputError

from .conftest import make_map


def described(source):
    return [(one.name, one.path.name, one.subject) for one in source.maps]


@pytest.fixture
def datalist(tmp_path, fill):
    """A datalist of four training cases in two folds, and of test cases with and without a label map."""
    fill("labels", {name: make_map() for name in ("a", "b", "c", "d", "t")})
    (tmp_path / "images").mkdir()
    training = [
        {"image": f"images/{name}.nii.gz", "label": f"labels/{name}.nii.gz", "fold": n % 2, "subject": f"s{n // 2}"}
        for n, name in enumerate("abcd")
    ]
    test = [{"image": "images/t.nii.gz", "label": "labels/t.nii.gz"}, "images/u.nii.gz"]
    content = {"labels": {"0": "background", "1": "organ", "2": "lesion"}, "training": training, "test": test}
    (tmp_path / "list.json").write_text(json.dumps(content))
    return tmp_path / "list.json"


def test_a_folder_names_its_cases_after_its_files(fill):
    folder = fill("set", {"a": make_map(), "b": make_map()}, "_seg.nii.gz")
    source = read_source(folder)
    assert (source.kind, source.labels, source.part, source.fold) == ("folder", None, None, None)
    assert described(source) == [("a", "a_seg.nii.gz", None), ("b", "b_seg.nii.gz", None)]


@pytest.mark.parametrize(
    ("part", "fold", "names"),
    [
        (None, None, "abcdt"),
        ("test", None, "t"),
        ("training", None, "abcd"),
        ("1", None, "bd"),
        ("fold_1", None, "bd"),
        (None, 0, "ac"),
        ("0", 0, "ac"),
    ],
)
def test_a_datalist_gives_the_labels_of_a_part(datalist, part, fold, names):
    source = read_source(datalist, part=part, fold=fold)
    assert "".join(one.name for one in source.maps) == names
    assert source.labels == {"background": 0, "organ": 1, "lesion": 2}
    assert source.kind == "datalist"
    if part == "test":
        assert source.notes == (f"{datalist}: 1 of 2 cases left out, as they have no label map.",)
    if names == "bd":
        assert described(source) == [("b", "b.nii.gz", "s0"), ("d", "d.nii.gz", "s1")]
        assert source.fold == 1
        assert [one.image.name for one in source.maps] == ["b.nii.gz", "d.nii.gz"]


@pytest.mark.parametrize(
    ("part", "fold", "message"),
    [
        ("half", None, "--part: found half"),
        ("test", 0, "--part: found test, and --fold 0"),
        ("1", 0, "--part: found 1, and --fold 0"),
        ("7", None, "found no case in fold 7; .* test, training, 0, 1"),
    ],
)
def test_parts_that_do_not_exist_are_refused(datalist, part, fold, message):
    with pytest.raises(InputError, match=message):
        read_source(datalist, part=part, fold=fold)


def test_a_part_without_labels_and_missing_files_are_refused(datalist, tmp_path):
    content = json.loads(datalist.read_text())
    datalist.write_text(json.dumps({**content, "test": ["images/u.nii.gz"]}))
    with pytest.raises(InputError, match=r"found 1 case in the part test, none with .*choose a part: training, 0, 1"):
        read_source(datalist, part="test")
    (tmp_path / "labels" / "c.nii.gz").unlink()
    with pytest.raises(InputError, match=r"c.nii.gz: found no such file; .*--dataset_dir"):
        read_source(datalist)
    assert len(read_source(datalist, fold=1).maps) == 2


def test_a_bundle_is_found_by_its_name(tmp_path, monkeypatch):
    shipped = Path(__file__).parents[2] / "bundles" / "hippocampus_mri"
    monkeypatch.chdir(tmp_path)
    assert find_path("hippocampus_mri").resolve() == shipped
    assert find_path("no_bundle") == Path("no_bundle")
    (tmp_path / "hippocampus_mri").mkdir()
    assert find_path("hippocampus_mri") == Path("hippocampus_mri")


def test_other_paths_are_refused(tmp_path):
    with pytest.raises(InputError, match="found no such file or folder"):
        read_source(tmp_path / "none")
    (tmp_path / "a.nii.gz").touch()
    with pytest.raises(InputError, match=r"found a file; .* name the folder that it is in"):
        read_source(tmp_path / "a.nii.gz")
