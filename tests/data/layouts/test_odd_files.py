from pathlib import Path

import pytest

from pipeline.data.layouts.odd_files import list_roles

BRATS = [f"B_{n}/B_{n}_{role}.mha" for n in range(1, 5) for role in ("t1", "flair", "seg")]
LITS = [f"{kind}-{n}.mha" for n in range(1, 5) for kind in ("volume", "segmentation")]


@pytest.mark.parametrize(
    ("files", "without", "more", "odd"),
    [
        (BRATS, ["B_3/B_3_t1.mha"], [], "B_3 (without *_t1.mha)"),
        (BRATS, [], ["B_3/B_3_t2.mha"], "B_3 (with *_t2.mha)"),
        (BRATS, ["B_3/B_3_seg.mha"], ["B_3/W39_Segm.mha"], "B_3 (without *_seg.mha, with W39_Segm.mha)"),
        (BRATS, [], ["B_2/thumb.png", "B_4/thumb.png"], ""),
        (LITS, ["volume-3.mha"], [], "segmentation-3.mha (a label map without an image)"),
        (LITS, [], ["volume-3.nii"], "volume-3.nii (the case of volume-3.mha)"),
        (["p1/ct.mha", "p1/seg_a.mha", "p1/seg_b.mha"], [], [], ""),
        ([], [], [], ""),
    ],
)
def test_the_odd_cases_of_a_folder_are_named(files, without, more, odd):
    paths = [Path(name) for name in (*files, *more) if name not in without]
    assert list_roles(paths).partition("; unlike the others: ")[2] == odd
