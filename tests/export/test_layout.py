import pytest

from pipeline.export.layout import Layout, find_layout


@pytest.mark.parametrize(
    ("image", "label", "expected"),
    [
        ("./imagesTr/a.nii.gz", "./labelsTr/a.nii.gz", Layout()),
        ("images/a.b.PNG", "masks/a.b.png", Layout("images", ".PNG", "masks", ".png")),
        (["scans/a_0000.nii.gz", "scans/a_0001.nii.gz"], "seg/a.nii", Layout("scans", ".nii.gz", "seg", ".nii")),
    ],
)
def test_the_first_case_tells(image, label, expected):
    assert find_layout({"training": [{"image": image, "label": label}]}) == expected


def test_without_a_datalist_it_is_the_decathlons():
    assert find_layout(None) == find_layout({"training": []}) == Layout()


def test_pictures():
    assert Layout("a", ".PNG", "b", ".png").has_pictures
    assert not Layout().has_pictures
