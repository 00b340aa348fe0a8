"""Target label maps: the coding of values, the marking of sets, and where patches may be centred."""

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Lambdad, RandCropByLabelClassesd

from pipeline.data.errors import InputError
from pipeline.training import CodeLabelsd, LabelPositionsd, MarkAnnotatedd, PreparedDataset


def test_values_of_a_file_become_those_of_a_training() -> None:
    code = CodeLabelsd("label", values=[0, 7, 3], ignored=[255, 254])
    label = MetaTensor(torch.tensor([[[0.0, 7, 3], [255, 254, 7]]]), affine=torch.diag(torch.tensor([2.0, 3, 4, 1])))
    coded = code({"label": label, "image": 1})["label"]
    assert coded.tolist() == [[[0, 1, 2], [3, 3, 1]]]
    assert (coded.dtype, coded.affine.tolist()) == (label.dtype, label.affine.tolist())
    assert label.tolist()[0][1][0] == 255
    with pytest.raises(InputError, match=r"found the label value 4; expected one of 0, 7, 3, 255, 254"):
        code({"label": torch.tensor([[[0.0, 4]]])})


def test_voxels_of_partly_annotated_cases_are_marked_with_their_set() -> None:
    mark = MarkAnnotatedd("label", num_labels=3)
    label = torch.tensor([[0, 1, 2, 3]], dtype=torch.uint8)
    marked = mark({"label": label, "annotated_set": 1})
    assert marked["label"].tolist() == [[7, 8, 9, 3]]  # 3 + 1 + 1 * 3 and on; ignored voxels stay ignored
    assert set(marked) == {"label"}
    whole = mark({"label": label})["label"]
    assert (whole.tolist(), whole.dtype) == (label.tolist(), torch.int32)


def positions(label: torch.Tensor, ratios: list[float], number: int = 1000) -> list[list[int]]:
    find = LabelPositionsd(keys="label", num_classes=2, max_samples_per_class=number, ratios=ratios)
    return [torch.as_tensor(each).tolist() for each in find({"label": label})["label_cls_indices"]]


def test_no_patch_is_centred_on_an_ignored_voxel() -> None:
    label = torch.full((1, 6, 6), 2, dtype=torch.uint8)
    label[0, 1, 2], label[0, 4, 4] = 0, 1
    assert positions(label, [1, 1]) == [[8], [28]]
    item = LabelPositionsd(keys="label", num_classes=2, ratios=[1, 1])({"label": label})
    crop = RandCropByLabelClassesd(
        "label", "label", (3, 3), [1, 1], num_classes=2, num_samples=20, indices_key="label_cls_indices", warn=False
    )
    crop.set_random_state(0)
    assert {int(patch["label"][0, 1, 1]) for patch in crop(item)} == {0, 1}


@pytest.mark.parametrize("ratios", [[1, 1], [0, 1]])
def test_a_case_that_is_ignored_as_a_whole_has_patches(ratios: list[float]) -> None:
    label = torch.full((1, 6, 6), 2, dtype=torch.uint8)
    found = positions(label, ratios, number=10)
    chosen = found[ratios.index(1)]
    assert (len(chosen), chosen[0], chosen[-1]) == (10, 0, 35)
    assert sum(map(len, found)) == 10
    # A label that no patch is centred on is no place either.
    label[0, 0, 0] = 0
    assert len(positions(label, ratios)[ratios.index(1)]) == (1 if ratios[0] else 36)
    np.testing.assert_array_equal(positions(label, [1, 1])[0], [0])


def test_prepared_cases_on_disk_are_of_their_annotated_set(tmp_path: Path) -> None:
    scan = tmp_path / "scan.txt"
    scan.write_text("")
    transforms = [Lambdad("label", lambda _: torch.ones(1, 2)), MarkAnnotatedd("label", num_labels=2)]

    def prepare(**item: int) -> list[list[int]]:
        case = {"label": str(scan), **item}
        [prepared] = PreparedDataset([case], Compose(transforms), cache_dir=tmp_path / "cache", config="same")
        return prepared["label"].tolist()

    assert (prepare(), prepare(annotated_set=0), prepare(annotated_set=1)) == ([[1, 1]], [[4, 4]], [[6, 6]])
    assert len(list((tmp_path / "cache").glob("*/*.case"))) == 3
    assert (prepare(), prepare(annotated_set=0)) == ([[1, 1]], [[4, 4]])


@pytest.mark.parametrize(
    ("sets", "kind"), [(None, torch.int32), (0, torch.uint8), (84, torch.uint8), (85, torch.int32)]
)
def test_marked_label_maps_have_the_smallest_type_that_holds_all_values(sets: int | None, kind: torch.dtype) -> None:
    """Of 3 labels the largest value is 3 + 1 + 84 * 3 - 1 = 255 with 84 sets, and 258 with 85."""
    mark = MarkAnnotatedd("label", num_labels=3, sets=sets)
    last = max((sets or 1) - 1, 0)
    marked = mark({"label": torch.tensor([[0, 2, 3]], dtype=torch.uint8), "annotated_set": last})["label"]
    assert marked.dtype == kind
    assert marked.tolist() == [[4 + 3 * last, 6 + 3 * last, 3]]
