from pathlib import Path

import pytest

from pipeline.comparison.join import join_sets
from pipeline.comparison.source import LabelMap, Source, read_source
from pipeline.data.errors import InputError

from .conftest import make_map


def folder(name, *files):
    """A source as `read_source` makes it of a folder with these files."""
    from pipeline.comparison.folder_maps import own_name  # noqa: PLC0415

    stems = [file.removesuffix(".nii.gz").removesuffix(".nrrd") for file in files]
    maps = [LabelMap(own_name(stem), Path(name, file), (stem,)) for stem, file in zip(stems, files, strict=True)]
    return Source(Path(name), "folder", maps)


def joined_files(reference, **sets):
    joined = join_sets(reference, sets)
    found = {case.name: {name: path and path.name for name, path in case.predictions.items()} for case in joined.cases}
    return found, joined


REFERENCE = folder("ref", "a.nii.gz", "b.nii.gz", "c_1.nii.gz")


@pytest.mark.parametrize(
    "files",
    [
        ("a.nii.gz", "b.nii.gz", "c_1.nii.gz"),
        ("a_seg.nii.gz", "b_seg.nii.gz", "c_1_seg.nii.gz"),
        ("a.seg.nrrd", "b.seg.nrrd", "c_1.seg.nrrd"),
        ("a_0000.nii.gz", "b_0000_seg.nii.gz", "c_1_pred.nii.gz"),
    ],
)
def test_predictions_join_under_the_names_that_programs_give_them(files):
    found, joined = joined_files(REFERENCE, one=folder("one", *files))
    assert found == {"a": {"one": files[0]}, "b": {"one": files[1]}, "c_1": {"one": files[2]}}
    assert (joined.missing, joined.surplus) == ({"one": []}, {"one": []})


def test_labels_with_an_ending_of_their_own_join():
    reference = folder("ref", "a_label.nii.gz", "b_label.nii.gz")
    found, _ = joined_files(reference, one=folder("one", "a_seg.nii.gz", "b.nii.gz"))
    assert found == {"a_label": {"one": "a_seg.nii.gz"}, "b_label": {"one": "b.nii.gz"}}


def test_missing_and_surplus_are_reported_by_set():
    found, joined = joined_files(
        REFERENCE, one=folder("one", "a.nii.gz", "x.nii.gz"), two=folder("two", "b.nii.gz", "c_1.nii.gz")
    )
    assert found["a"] == {"one": "a.nii.gz", "two": None}
    assert joined.missing == {"one": ["b", "c_1"], "two": ["a"]}
    assert {name: [path.name for path in paths] for name, paths in joined.surplus.items()} == {
        "one": ["x.nii.gz"],
        "two": [],
    }


def test_an_exact_name_comes_before_a_similar_one():
    reference = folder("ref", "a.nii.gz", "a_label.nii.gz")
    found, _ = joined_files(reference, one=folder("one", "a_label.nii.gz", "a.nii.gz"))
    assert found == {"a": {"one": "a.nii.gz"}, "a_label": {"one": "a_label.nii.gz"}}
    # Alone, a similar name that could be of both cases belongs to the exact one.
    found, _ = joined_files(reference, one=folder("one", "a_seg.nii.gz"))
    assert found == {"a": {"one": "a_seg.nii.gz"}, "a_label": {"one": None}}


def test_cases_of_a_datalist_join_by_the_names_of_scan_and_label_map():
    maps = [
        LabelMap("day1_t1", Path("day1/t1_mask.nii.gz"), ("t1", "t1_mask"), subject="s"),
        LabelMap("p2", Path("p2_labels.nii.gz"), ("p2", "p2_labels")),
    ]
    reference = Source(Path("list.json"), "datalist", maps)
    found, joined = joined_files(reference, one=folder("one", "day1_t1_seg.nii.gz", "p2_labels.nii.gz"))
    assert found == {"day1_t1": {"one": "day1_t1_seg.nii.gz"}, "p2": {"one": "p2_labels.nii.gz"}}
    assert [case.subject for case in joined.cases] == ["s", "p2"]
    assert [case.subject for case in join_sets(reference, {"one": folder("one", "p2.nii.gz")}, {"p2": "s"}).cases] == [
        "s",
        "s",
    ]


def test_two_label_maps_of_one_case_are_refused(fill, tmp_path):
    reference = read_source(fill("ref", {"a": make_map(), "b": make_map()}))
    fill("one", {"a": make_map()}, "_seg.nii.gz")
    fill("one", {"a": make_map(), "b": make_map()}, "_0000_seg.nii.gz")
    with pytest.raises(InputError, match=r"several label maps of case a in set x: a_0000_seg.nii.gz, a_seg.nii.gz"):
        join_sets(reference, {"x": read_source(tmp_path / "one")})


@pytest.mark.parametrize("files", [("a.nii", "a.nii.gz", "b.nii.gz"), ("a_seg.nii.gz", "a.seg.nrrd", "b.nii.gz")])
def test_two_references_of_one_case_are_refused(files):
    with pytest.raises(InputError, match=f"several label maps of case a in the reference: {files[0]}, {files[1]}"):
        join_sets(folder("ref", *files), {"one": folder("one", "a.nii.gz", "b.nii.gz")})


def test_a_set_of_other_cases_is_refused_with_names_of_both():
    with pytest.raises(InputError) as raised:
        join_sets(REFERENCE, {"one": folder("one", "x.nii.gz", "y.nii.gz")})
    message = str(raised.value)
    assert "no label map of a case of the reference in set one; its files are x.nii.gz, y.nii.gz" in message
    assert "expected files named after the cases, with or without _seg: a, b, c_1" in message


def test_many_label_maps_join_without_comparing_each_with_all(monkeypatch):
    compared = []

    def equal(one, other):
        compared.append(one)
        return (one.name, one.path) == (other.name, other.path)

    monkeypatch.setattr(LabelMap, "__eq__", equal)
    names = [f"c{number}" for number in range(40)]
    reference = folder("ref", *(f"{name}.nii.gz" for name in names))
    found, joined = joined_files(reference, one=folder("one", *(f"{name}_seg.nii.gz" for name in [*names, "x"])))
    assert found == {name: {"one": f"{name}_seg.nii.gz"} for name in names}
    assert [path.name for path in joined.surplus["one"]] == ["x_seg.nii.gz"]
    assert compared == []
