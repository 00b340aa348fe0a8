from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import find
from pipeline.data.layouts.folders import find_folders, has_cases


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def make_scans(folder, *names, shape=(4, 4, 4), spacing=1.0):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), np.diag([spacing, 1, 1, 1])), folder / name)
    return folder


def pairs(items, root):
    return [
        (*(path.relative_to(root).as_posix() for path in item.images), item.label.relative_to(root).as_posix())
        for item in items
    ]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        # A folder for each case, at any depth.
        (["s1/ct.nii.gz", "s1/seg.nii.gz", "s2/ct.nii.gz", "s2/seg.nii.gz"], ("s1/ct.nii.gz", "s1/seg.nii.gz")),
        (
            ["A/s1/ct.nrrd", "A/s1/ct_mask.nrrd", "B/s2/ct.nrrd", "B/s2/ct_mask.nrrd"],
            ("A/s1/ct.nrrd", "A/s1/ct_mask.nrrd"),
        ),
        (["s1/images/ct.mha", "s1/labels/organs.mha"], ("s1/images/ct.mha", "s1/labels/organs.mha")),
        (["p7/p7_image.nii.gz", "p7/p7_label.nii.gz"], ("p7/p7_image.nii.gz", "p7/p7_label.nii.gz")),
        # One folder: LiTS, and a word at the end.
        (
            ["volume-0.nii", "segmentation-0.nii", "volume-10.nii", "segmentation-10.nii"],
            ("volume-0.nii", "segmentation-0.nii"),
        ),
        (["c1.nii.gz", "c1_seg.nii.gz", "c2.nii.gz", "c2_seg.nii.gz"], ("c1.nii.gz", "c1_seg.nii.gz")),
        (["a_image.nii.gz", "a_mask.nii.gz"], ("a_image.nii.gz", "a_mask.nii.gz")),
        # Two folders: pictures, BTCV, AMOS.
        (["images/7.png", "masks/7.png", "images/8.png", "masks/8.png"], ("images/7.png", "masks/7.png")),
        (["img/img0001.nii.gz", "label/label0001.nii.gz"], ("img/img0001.nii.gz", "label/label0001.nii.gz")),
        (
            ["imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz"],
            ("imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz"),
        ),
        # MM-WHS: the same number in two modalities is two cases.
        (
            [
                "ct_train_1001_image.nii.gz",
                "ct_train_1001_label.nii.gz",
                "mr_train_1001_image.nii.gz",
                "mr_train_1001_label.nii.gz",
            ],
            ("ct_train_1001_image.nii.gz", "ct_train_1001_label.nii.gz"),
        ),
    ],
)
def test_images_and_label_maps_are_told_apart(tmp_path, names, expected):
    assert has_cases(make(tmp_path, *names, ".hidden/x_seg.nii.gz", "readme.txt"))
    found = find_folders(tmp_path)
    assert pairs(found.training, tmp_path)[0] == expected
    assert len(found.training) == len(names) // 2
    assert "layout" not in found.described
    assert found.layout


@pytest.mark.parametrize(
    "pattern",
    ["BraTS20_Training_{n:03d}/BraTS20_Training_{n:03d}_{role}.nii.gz", "{n}/{role}.nii.gz", "case{n}_{role}.nii.gz"],
)
def test_the_words_of_several_images_are_the_channels(tmp_path, pattern):
    roles = ["t2", "flair", "t1ce", "t1"]
    names = [pattern.format(n=n, role=role) for n in range(1, 3) for role in [*roles, "seg"]]
    found = find_folders(make_scans(tmp_path, *names))
    assert found.described["modality"] == sorted(roles)
    assert pairs(found.training, tmp_path) == [
        tuple(pattern.format(n=n, role=role) for role in [*sorted(roles), "seg"]) for n in (1, 2)
    ]


@pytest.mark.parametrize("label", ["rtstruct.dcm", "RTSTRUCT/a.dcm", "rtss.dcm"])
def test_a_structure_set_next_to_a_series_is_its_label(tmp_path, label):
    found = find_folders(make(tmp_path, *(f"p{n}/{name}" for n in (1, 2) for name in ("ct/1.dcm", "ct/2.dcm", label))))
    assert pairs(found.training, tmp_path) == [("p1/ct", f"p1/{label}"), ("p2/ct", f"p2/{label}")]


def test_a_folder_of_dicom_slices_is_an_image(tmp_path):
    names = [f"p{n}/{name}" for n in (1, 2) for name in ("ct/1.dcm", "ct/2.dcm", "seg.nii.gz")]
    found = find_folders(make(tmp_path, *names))
    assert pairs(found.training, tmp_path) == [("p1/ct", "p1/seg.nii.gz"), ("p2/ct", "p2/seg.nii.gz")]
    assert found.described["modality"] == ["ct"]


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("{part}/c{n}/{role}.nii.gz", ("train", "val", "test")),
        ("RawData/{part}/{role}/c{n}.nii.gz", ("Training", "Validation", "Testing")),
        ("{role}s{part}/c{n}.nii.gz", ("Tr", "Va", "Ts")),
    ],
)
def test_folders_called_train_val_and_test_divide_the_cases(tmp_path, pattern, parts):
    of_case = dict(enumerate((parts[0], parts[0], parts[1], parts[2]), start=1))
    names = [
        pattern.format(part=part, n=n, role=role)
        for n, part in of_case.items()
        for role in (("image", "label") if n < 4 else ("image",))
    ]
    found = find_folders(make(tmp_path, *names))
    assert {item.label.as_posix().split("c")[-1][0]: item.fold for item in found.training} == {"1": 1, "2": 1, "3": 0}
    assert [item.label for item in found.test] == [None]
    assert [item.fold for item in find_folders(tmp_path, keep_folds=False).training] == [None] * 3


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("Training/img/img000{}.nii.gz", "Training/label/label000{}.nii.gz"),  # BTCV as it is downloaded
        ("volume/volume-{}.nii", "segmentation/segmentation-{}.nii"),
        ("train/train_{}.nii", "train/train_{}_seg.nii"),
        ("brain/brain_{}.nii", "brain/brain_{}_seg.nii"),
        ("batch1/batch1_{}.nii", "batch1/batch1_{}_seg.nii"),
    ],
)
def test_folders_of_kinds_and_parts_and_the_only_folder_are_no_subjects(tmp_path, image, label):
    root = make(tmp_path, *(name.format(number) for number in (1, 2, 3) for name in (image, label)))

    found = find_folders(root)

    assert [item.subject for item in found.training] == [None] * 3


def test_time_points_of_a_brats_subject_are_one_subject(tmp_path):
    cases = ["BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-MET-00003-000"]
    root = make(tmp_path, *(f"{case}/{case}-{kind}.nii.gz" for case in cases for kind in ("t1c", "seg")))

    found = find_folders(root)

    assert [item.subject for item in found.training] == ["BraTS-GLI-00000"] * 2 + ["BraTS-MET-00003"]


def test_frames_of_one_patient_have_its_folder_as_subject(tmp_path):
    """ACDC: two frames of the heart per patient, which must not be in two folds."""
    frames = {"patient001": ("01", "12"), "patient002": ("01", "10")}
    names = [f"{p}/{p}_frame{f}{end}.nii.gz" for p, own in frames.items() for f in own for end in ("", "_gt")]
    found = find_folders(make(tmp_path, *names))
    assert [item.subject for item in found.training] == ["patient001"] * 2 + ["patient002"] * 2
    with pytest.raises(InputError, match=r"1 of 5 cases without a label map: patient001_4d\.nii\.gz"):
        find_folders(make(tmp_path, "patient001/patient001_4d.nii.gz"))
    assert len(find_folders(tmp_path, unlabelled="ignore").training) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["p1/ct.mha", "p1/seg_a.mha", "p1/seg_b.mha"], r"3 images: 1 x ct\.mha, 1 x seg_a\.mha, 1 x seg_b\.mha"),
        (["p1/ct.mha", "p1/organs.mha", "p2/ct.mha", "p2/organs.mha"], r"4 images: 2 x ct\.mha, 2 x organs\.mha"),
        # A channel that one case lacks.
        (["1/t1.mha", "1/t2.mha", "1/seg.mha", "2/t1.mha", "2/seg.mha"], r"2 x seg\.mha, 2 x t1\.mha, 1 x t2\.mha"),
        (["a_seg.mha", "b.mha"], r"2 images: 1 x a_seg\.mha, 1 x b\.mha"),
        (["readme.txt"], "no image"),
    ],
)
def test_a_folder_that_can_be_read_in_several_ways_is_listed(tmp_path, names, message):
    assert not has_cases(make(tmp_path, *names))
    with pytest.raises(InputError, match=rf"{message}; expected .*--images"):
        find_folders(tmp_path)


@pytest.mark.parametrize("change", [{"shape": (4, 4, 2)}, {"spacing": 2.0}])
def test_images_of_one_case_in_different_grids_are_no_channels(tmp_path, change):
    make_scans(tmp_path, "p1/ct.nii.gz", "p1/seg.nii.gz")
    make_scans(tmp_path, "p1/pet.nii.gz", **change)
    with pytest.raises(InputError, match=r"pet\.nii\.gz: found another grid than that of ct\.nii\.gz.*--images '\*/ct"):
        find(tmp_path)


def test_a_test_folder_needs_no_label_maps_and_training_does(tmp_path):
    make(tmp_path, "train/a.mha", "train/a_seg.mha", "train/b.mha", "test/c.mha")
    with pytest.raises(InputError, match=r"1 of 2 cases without a label map: b\.mha"):
        find_folders(tmp_path)
    assert [item.images[0].name for item in find_folders(tmp_path, unlabelled="test").test] == ["c.mha", "b.mha"]
    assert Path(find_folders(tmp_path, unlabelled="ignore").test[0].images[0]).name == "c.mha"
    # As in ACDC, whose 4D files have no label map.
    make(tmp_path, "test/d.mha", "test/d_seg.mha")
    found = find_folders(tmp_path, unlabelled="ignore")
    assert [item.images[0].name for item in found.test] == ["d.mha"]
    assert found.left_out == ["1 without a label map (b.mha)", "1 without a label map (c.mha)"]


def test_hidden_folders_with_images_are_named(tmp_path):
    make(
        tmp_path, *(f"{case}/{role}.mha" for case in ("s1", ".s2", "sub/.s3/deep", ".git/x") for role in ("ct", "seg"))
    )
    make(tmp_path, ".vscode/settings.json", "s1/.ct.mha")
    found = find_folders(tmp_path)
    assert len(found.training) == 1
    assert found.left_out == ["2 hidden folders with images (.s2, sub/.s3)"]
