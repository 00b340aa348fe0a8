import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import find
from pipeline.data.layouts.braces import expand_braces


def test_braces_become_a_pattern_for_each_name():
    assert expand_braces("seg/*_{liver, spleen}.nii.gz") == {
        "liver": "seg/*_liver.nii.gz",
        "spleen": "seg/*_spleen.nii.gz",
    }
    assert expand_braces("seg/*.nii.gz") == {}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a/{b,c", "not closed"),
        ("a/b,c}", "not closed"),
        ("{a,{b,c}}", "not closed, nested or twice"),
        ("{a}/{b}", "nested or twice"),
        ("x_{}.nii", "an empty name"),
        ("x_{a,,b}.nii", "an empty name"),
        ("x_{a,b,a}.nii", "a name twice"),
        ("x_{a,b*}.nii", "one of the signs"),
        ("x_{a+b,c}.nii", "one of the signs"),
        ("x_{background,a}.nii", "named background"),
    ],
)
def test_wrong_braces_are_explained(pattern, found):
    with pytest.raises(InputError, match=f"found .*{found}"):
        expand_braces(pattern)


def test_masks_are_paired_with_images_by_the_wildcard(tmp_path):
    for name in ("img/c1.mha", "img/c2.mha", "seg/c1_liver.mha", "seg/c2_liver.mha", "seg/c1_vessel.mha"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    options = {"images": ["img/*.mha"], "dataset_dir": tmp_path}
    found = find(labels="seg/*_{liver,vessel}.mha", **options)
    assert found.classes == ("liver", "vessel")
    assert [{name: path.name for name, path in item.masks.items()} for item in found.training] == [
        {"liver": "c1_liver.mha", "vessel": "c1_vessel.mha"},
        {"liver": "c2_liver.mha"},
    ]
    with pytest.raises(InputError, match=r"seg/\*_bone\.mha: found no file"):
        find(labels="seg/*_{liver,bone}.mha", **options)
    (tmp_path / "img/c3.mha").touch()
    with pytest.raises(InputError, match=r"1 of 3 cases without a label map: c3\.mha"):
        find(labels="seg/*_{liver,vessel}.mha", **options)
    (tmp_path / "img/c1.mha").unlink()
    with pytest.raises(InputError, match=r"2 files without a partner: seg/c1_liver\.mha"):
        find(labels="seg/*_{liver,vessel}.mha", **options)
