import pytest

from pipeline.data.layouts.words import channel_word, is_label_path, part_of, split_roles


@pytest.mark.parametrize(
    ("parts", "channels", "expected"),
    [
        (("labelsTr", "case_7_seg"), False, ("tr/case_7", "labels seg")),
        (("images", "case_7"), False, ("case_7", "images")),
        (("segmentation-12",), False, ("12", "segmentation")),
        (("img0001",), False, ("0001", "img")),
        (("p1", "p1_t1ce"), False, ("p1/p1_t1ce", "")),
        (("p1", "p1_t1ce"), True, ("p1/p1", "t1ce")),
        (("Scan 3 - Mask",), False, ("3", "Scan Mask")),
    ],
)
def test_split_roles(parts, channels, expected):
    assert split_roles(parts, channels=channels) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*_seg.nii.gz", True),
        ("labels/organs.nii.gz", True),
        ("GT", True),
        ("ground_truth", True),
        ("roi1.mha", True),
        ("segment.nii", False),
        ("ct.nii.gz", False),
        ("unlabelled.nii", False),
        ("maskface", False),
    ],
)
def test_is_label_path(text, expected):
    assert is_label_path(text) == expected


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("imagesTr",), "training"),
        (("images_tr",), "training"),
        (("train_masks",), "training"),
        (("test_retest",), ""),
        (("RawData", "Testing", "img"), "test"),
        (("val", "case_1"), "validation"),
        (("BraTS20_Training_001",), ""),
        (("imagesVal",), "validation"),
        ((), ""),
    ],
)
def test_part_of(folders, expected):
    assert part_of(folders) == expected


@pytest.mark.parametrize(("role", "word"), [("*_flair", "flair"), ("image/ct", "ct"), ("*_image", ""), ("imaging", "")])
def test_channel_word(role, word):
    assert channel_word(role) == word
