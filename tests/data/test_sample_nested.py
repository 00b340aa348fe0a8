import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from pipeline.cli import main
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.sample_nested import make_nested_sample


@pytest.fixture(scope="module")
def datalist(tmp_path_factory):
    return make_nested_sample(tmp_path_factory.mktemp("sample") / "set", cases=6, scans=1, folds=2)


@pytest.fixture(scope="module")
def label_maps(datalist):
    return [np.asarray(nib.load(file).dataobj) for file in sorted(datalist.parent.glob("labelsT*/*.nii.gz"))]


def test_the_datalist_has_nested_regions(datalist):
    dataset = read_dataset(datalist)
    assert dataset.regions == {"whole": (1, 2, 3), "core": (2, 3), "inner": (3,)}
    assert dataset.labels == {"background": 0, "outer": 1, "middle": 2, "inner": 3}
    # The test cases have label maps too, for `lightskip evaluate --part test`.
    assert [case.label for case in dataset.cases if case.part == "test"] == ["./labelsTs/scan_000.nii.gz"]
    assert [len(dataset.cases), {case.fold for case in dataset.cases if case.part == "training"}] == [7, {0, 1}]


def test_each_part_is_inside_the_one_around_it(label_maps):
    for labels in label_maps:
        assert set(np.unique(labels)) <= {0, 1, 2, 3}
        assert (labels == 1).sum() > 500
        assert (labels == 2).sum() > 50
        # Only where the border of an outer part cuts an inner one do they meet.
        assert (binary_dilation(labels == 3) & (labels == 0)).sum() < 0.1 * (labels > 0).sum()


def test_the_inner_part_is_missing_in_some_cases(label_maps):
    assert 0 < sum((labels == 3).any() for labels in label_maps) < len(label_maps)


def test_the_same_arguments_give_the_same_bytes(datalist, tmp_path):
    again = make_nested_sample(tmp_path / "again", cases=1, scans=0, folds=1).parent
    for file in ("imagesTr/nested_000.nii.gz", "labelsTr/nested_000.nii.gz"):
        assert (again / file).read_bytes() == (datalist.parent / file).read_bytes()


def test_the_command_writes_it(tmp_path, capsys):
    assert main(["sample", "--kind", "nested", "--cases", "4", "--scans", "0", str(tmp_path / "n")]) == 0
    assert read_dataset(capsys.readouterr().out.strip()).regions


def test_a_folder_that_is_not_empty_is_refused(datalist):
    with pytest.raises(InputError, match="not empty"):
        make_nested_sample(datalist.parent)
