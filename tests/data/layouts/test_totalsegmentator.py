import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import find
from pipeline.data.layouts.totalsegmentator import find_totalsegmentator

CLASSES = ("aorta", "liver", "spleen")


def make(folder, cases=("s0001", "s0002", "s0010"), image="ct.nii.gz", meta=None):
    for case in cases:
        (folder / case / "segmentations").mkdir(parents=True)
        (folder / case / image).touch()
        for name in CLASSES:
            (folder / case / "segmentations" / f"{name}.nii.gz").touch()
    if meta is not None:
        (folder / "meta.csv").write_text("\ufeffimage_id;age;split\n" + meta)
    return folder


def test_masks_are_found_by_class(tmp_path):
    found = find(make(tmp_path))
    assert found.classes == list(CLASSES)
    assert [item.images[0].parent.name for item in found.training] == ["s0001", "s0002", "s0010"]
    assert found.training[0].masks == {
        name: tmp_path / "s0001" / "segmentations" / f"{name}.nii.gz" for name in CLASSES
    }
    assert found.described == {"name": tmp_path.name, "modality": ["CT"]}


@pytest.mark.parametrize("labels", ["{spleen,liver}", "segmentations/{spleen, liver}.nii.gz"])
def test_braces_choose_classes_in_their_order(tmp_path, labels):
    found = find(make(tmp_path), labels=labels)
    assert (found.classes, list(found.training[0].masks)) == (["spleen", "liver"], ["spleen", "liver"])
    assert found.left_out == ["masks of 1 of 3 classes"]


def test_a_missing_file_is_a_class_that_was_not_annotated(tmp_path):
    (make(tmp_path) / "s0002/segmentations/liver.nii.gz").unlink()
    assert list(find_totalsegmentator(tmp_path).training[1].masks) == ["aorta", "spleen"]


def test_a_label_map_next_to_the_masks_is_no_image(tmp_path):
    (make(tmp_path) / "s0001/segmentation.nii.gz").touch()
    assert find(tmp_path).training[0].images == (tmp_path / "s0001/ct.nii.gz",)


def test_meta_divides_the_cases_and_is_kept(tmp_path):
    found = find(make(tmp_path, meta="s0001;40;train\ns0002;50;val\ns0010;60;test\n"))
    assert [(item.images[0].parent.name, item.fold) for item in found.training] == [("s0002", 0), ("s0001", 1)]
    assert [item.columns["age"] for item in (*found.training, *found.test)] == ["50", "40", "60"]
    again = find(tmp_path, keep_folds=False)
    assert ([item.fold for item in again.training], len(again.test)) == ([None, None], 1)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda _: None,
            {"labels": "{liver,kidney}"},
            "no mask of kidney in any case; expected .* aorta, liver, spleen",
        ),
        (lambda _: None, {"labels": "liver"}, "--labels liver: found no braces"),
        (lambda folder: (folder / "s0001/mri.nii.gz").touch(), {}, r"s0001: found 2 images: ct\.nii\.gz, mri\.nii\.gz"),
        (lambda folder: (folder / "s0002/ct.nii.gz").unlink(), {}, "s0002: found no image"),
        (
            lambda folder: (folder / "meta.csv").write_text("image_id;split\ns0001;fold1\n"),
            {},
            r'meta\.csv: found the split "fold1"',
        ),
        (
            lambda folder: (folder / "meta.csv").write_text("image_id;split\ns0001;val\ns0001;train\n"),
            {},
            r"meta\.csv: found the case s0001 in several lines",
        ),
    ],
)
def test_what_does_not_fit_is_explained(tmp_path, change, options, message):
    change(make(tmp_path))
    with pytest.raises(InputError, match=message):
        find(tmp_path, **options)


@pytest.mark.parametrize("leave", [(), ("segmentations",), ("segmentations", "segmentations/liver.nii.gz")])
def test_a_scan_without_masks_is_a_case_without_a_label_map(tmp_path, leave):
    make(tmp_path)
    for path in sorted((tmp_path / "s0002").rglob("*"), reverse=True):
        if path.name != "ct.nii.gz" and path.relative_to(tmp_path / "s0002").as_posix() not in leave:
            path.unlink() if path.is_file() else path.rmdir()
    if len(leave) == 2:
        # One mask is enough for a case, though not to recognise the layout.
        assert list(find(tmp_path).training[1].masks) == ["liver"]
        return
    with pytest.raises(InputError, match=r"1 of 3 cases without a label map: .*s0002/ct\.nii\.gz; .*--unlabelled"):
        find(tmp_path)
    assert [item.images[0].parent.name for item in find(tmp_path, unlabelled="test").test] == ["s0002"]
