import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts.globs import find_globs


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def pairs(found, *, part="training"):
    return [
        tuple(path.relative_to(found.folder).as_posix() for path in (*item.images, item.label) if path is not None)
        for item in getattr(found, part)
    ]


def test_files_are_paired_by_what_the_wildcard_stands_for_in_natural_order(tmp_path):
    make(tmp_path, *(f"a/{kind}list{number}.nii.gz" for kind in "is" for number in (10, 9, "x")), "a/._ilist9.nii.gz")
    found = find_globs(["a/ilist*.nii.gz"], "a/slist*.nii.gz", dataset_dir=tmp_path)
    assert pairs(found) == [(f"a/ilist{name}.nii.gz", f"a/slist{name}.nii.gz") for name in ("9", "10", "x")]


def test_several_patterns_are_channels(tmp_path):
    make(tmp_path, *(f"{case}/{kind}.nii.gz" for case in ("p1", "p2") for kind in ("t1", "t2", "seg")))
    found = find_globs(["*/t2.nii.gz", "*/t1.nii.gz"], "*/seg.nii.gz", dataset_dir=tmp_path)
    assert pairs(found) == [(f"{case}/t2.nii.gz", f"{case}/t1.nii.gz", f"{case}/seg.nii.gz") for case in ("p1", "p2")]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("im/**/s?_[0-9].png", "la/**/s?_[0-9].png"),
        ("./im/*/s*_*.png", "./la/*/s*_*.png"),
        ("im/a/*.*", "la/a/*.*"),
        ("im/a/*", "la/a/*"),
    ],
)
def test_other_wildcards_pair_too(tmp_path, images, labels):
    make(tmp_path, *(f"{kind}/a/s{letter}_1.png" for kind in ("im", "la") for letter in "xy"), "im/a/notes.txt")
    if images.endswith("/*"):
        (tmp_path / "im/a/notes.txt").unlink()
    found = find_globs([images], labels, dataset_dir=tmp_path)
    assert pairs(found) == [(f"im/a/s{letter}_1.png", f"la/a/s{letter}_1.png") for letter in "xy"]


def test_an_open_ending_pairs_files_of_different_formats(tmp_path):
    make(
        tmp_path,
        "i/a.nii.gz",
        "i/b.nii",
        "i/c.hdr",
        "i/c.img",
        "i/d.mhd",
        "i/d.raw",
        "l/a.nii",
        "l/b.nrrd",
        "l/c.nii.gz",
    )
    make(tmp_path, "l/d.mha")
    found = find_globs(["i/*.*"], "l/*.*", dataset_dir=tmp_path)
    assert [images for images, _ in pairs(found)] == ["i/a.nii.gz", "i/b.nii", "i/c.hdr", "i/d.mhd"]
    assert len(find_globs(["i/*.nii*"], "l/[ab].n*", dataset_dir=tmp_path, unlabelled="test").training) == 2


def test_an_image_may_be_a_folder_of_dicom_files(tmp_path):
    make(tmp_path, "ct/p1/IM1", "ct/p1/IM2", "ct/p2/IM1", "seg/p1.nii.gz", "seg/p2.nii.gz")
    found = find_globs(["ct/*"], "seg/*.nii.gz", dataset_dir=tmp_path)
    assert pairs(found) == [("ct/p1", "seg/p1.nii.gz"), ("ct/p2", "seg/p2.nii.gz")]


def test_the_folder_is_the_one_that_holds_all_files_and_patterns_start_where_one_is(tmp_path, monkeypatch):
    make(tmp_path, "set [1]/images/a.png", "set [1]/labels/a.png")
    monkeypatch.chdir(tmp_path / "set [1]")
    found = find_globs(["images/*.png"], "labels/*.png")
    assert (found.folder, found.described) == (tmp_path / "set [1]", {"name": "set [1]"})
    monkeypatch.chdir(tmp_path)
    absolute = [str(tmp_path / "set [[]1]" / kind / "*.png") for kind in ("images", "labels")]
    assert pairs(find_globs(absolute[:1], absolute[1])) == pairs(found)


def test_images_without_label_map_are_refused_by_name_or_become_what_was_asked(tmp_path):
    make(tmp_path, "i/a.png", "i/b.png", "l/a.png")
    with pytest.raises(InputError, match=r"1 of 2 cases without a label map: b\.png.*--unlabelled test"):
        find_globs(["i/*.png"], "l/*.png", dataset_dir=tmp_path)
    found = find_globs(["i/*.png"], "l/*.png", dataset_dir=tmp_path, unlabelled="test")
    assert (pairs(found), pairs(found, part="test")) == ([("i/a.png", "l/a.png")], [("i/b.png",)])
    found = find_globs(["i/*.png"], "l/*.png", dataset_dir=tmp_path, unlabelled="ignore")
    assert (len(found.training), len(found.test)) == (1, 0)
    assert pairs(find_globs(["i/*.png"], None, dataset_dir=tmp_path, unlabelled="test"), part="test") == [
        ("i/a.png",),
        ("i/b.png",),
    ]


def test_files_with_equal_names_are_refused_by_their_paths(tmp_path):
    make(tmp_path, *(f"{case}/{name}.png" for case in ("p1", "p2") for name in ("ct", "seg")), "p3/seg.png")
    with pytest.raises(InputError, match=r"1 file without a partner: p3/seg\.png \(no image p3/ct\.png\);"):
        find_globs(["*/ct.png"], "*/seg.png", dataset_dir=tmp_path)
    make(tmp_path, "p3/ct.png", "p4/ct.png", "p5/ct.png")
    with pytest.raises(InputError, match=rf"without a label map: {tmp_path}/p4/ct\.png, {tmp_path}/p5/ct\.png;"):
        find_globs(["*/ct.png"], "*/seg.png", dataset_dir=tmp_path)
    found = find_globs(["*/ct.png"], "*/seg.png", dataset_dir=tmp_path, unlabelled="ignore")
    assert found.left_out == [f"2 without a label map ({tmp_path}/p4/ct.png, {tmp_path}/p5/ct.png)"]


def test_a_filled_pattern_names_the_missing_file(tmp_path):
    make(tmp_path, "a/x/y/l.png", "b/x/i.png")
    with pytest.raises(InputError, match=r"no image b/x/y/i\.\*"):
        find_globs(["b/**/i.*"], "a/**/l.*", dataset_dir=tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (["i/*.png"], "l/*.png", r"1 file without a partner: l/lonely\.png \(no image i/lonely\.png\)"),
        (["i/*.png", "j/*.png"], None, r"1 file without a partner: i/b\.png \(no image j/b\.png\)"),
        (["i/*.png"], "x/*.png", r"x/\*\.png: found no file in"),
        (["i/*.png"], "l/*_*.png", "different numbers of wildcards"),
        (["i/*.png"], "i/*.png", "the same pattern twice"),
        (["i/a.png", "i/b.png"], "l/a.png", "put the patterns in quotes"),
        (["notes/*.txt"], None, r"files of unknown formats: a\.txt"),
        (["two/*.*"], None, "the same case as .*two/a.nii.gz"),
        ([], "l/*.png", "no pattern"),
        (["i/[z-yab].png"], None, "a malformed pattern"),
    ],
)
def test_patterns_that_do_not_fit_are_explained(tmp_path, images, labels, message):
    make(
        tmp_path,
        "i/a.png",
        "i/b.png",
        "j/a.png",
        "l/a.png",
        "l/lonely.png",
        "notes/a.txt",
        "two/a.nii.gz",
        "two/a.nrrd",
    )
    with pytest.raises(InputError, match=message):
        find_globs(images, labels, dataset_dir=tmp_path, unlabelled="test")


@pytest.mark.parametrize(("images", "labels", "where"), [([""], "l/*.png", "--images"), (["i/*.png"], " ", "--labels")])
def test_an_empty_pattern_is_refused(tmp_path, images, labels, where):
    make(tmp_path, "i/a.png", "l/a.png")
    with pytest.raises(InputError, match=f"^{where}: found an empty pattern"):
        find_globs(images, labels, dataset_dir=tmp_path)
