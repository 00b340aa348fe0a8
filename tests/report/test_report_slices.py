import io
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.report.report_slices import MAX_BYTES, MAX_SIDE, choose_slices, encode_grey, make_planes
from pipeline.report.report_volumes import REFERENCE, CaseVolumes


def volumes(reference, prediction=None, *, affine=None, scan=None):
    maps = {REFERENCE: reference} | ({} if prediction is None else {"a": prediction})
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else affine
    shape = reference.shape
    return CaseVolumes(scan, maps, None, affine, (0,) * len(shape), shape)


def corners(path):
    """The corners of a path in pixels, (across, down)."""
    found = []
    for piece in path.split("M")[1:]:
        start, moves = piece.rstrip("z").split("l")
        steps = [list(map(int, start.split())), *np.array(moves.split(), int).reshape(-1, 2).tolist()]
        found += (np.cumsum(steps, axis=0) / 2).tolist()
    return found


def test_an_outline_runs_half_way_between_voxels_in_radiological_convention():
    # Axes to the left and to the back: an axial slice is shown as the array has it.
    reference = np.zeros((9, 7, 3), np.uint8)
    reference[2:6, 3, 1] = 4
    axial, coronal, sagittal = make_planes(volumes(reference), [], name="c")
    assert [plane.caption for plane in (axial, coronal, sagittal)] == [
        "Axial 2 of 3",
        "Coronal 4 of 7",
        "Sagittal 4 of 9",
    ]
    assert axial.letters[:3] == ("R", "L", "A")
    assert (axial.size, axial.mm) == ((7, 9), (7.0, 9.0))
    [outline] = axial.outlines
    assert (outline.layer, outline.value) == (-1, 4)
    # The label covers columns 2 to 6 (edges) and rows 3 to 4; corners are cut half a voxel inside.
    assert sorted(corners(outline.path)) == sorted([[2, 3.5], [2.5, 3], [5.5, 3], [6, 3.5], [5.5, 4], [2.5, 4]])


def test_a_hole_has_an_outline_of_its_own_and_the_border_closes_it():
    reference = np.zeros((5, 5, 2), np.uint8)
    reference[:, :, 0] = 1
    reference[2, 2, 0] = 0
    path = make_planes(volumes(reference), [], name="c")[0].outlines[0].path
    assert len(re.findall("M", path)) == 2
    xs = [x for x, _ in corners(path)]
    assert (min(xs), max(xs)) == (0, 5)


def test_the_slices_are_those_where_most_voxels_differ():
    reference = np.zeros((20, 20, 20), np.uint8)
    reference[5:15, 5:15, 5:15] = 1
    prediction = reference.copy()
    prediction[6:9, 7:9, 17] = 1
    found = volumes(reference, prediction)
    assert [index for _, index, _ in choose_slices(found, found.shape)] == [17, 7, 7]
    # Without a difference: most labelled voxels, of equals the middle one.
    same = volumes(reference, reference.copy())
    assert [index for _, index, _ in choose_slices(same, same.shape)] == [9, 9, 9]


def test_outlines_name_their_set():
    reference = np.ones((6, 6, 6), np.uint8)
    found = volumes(reference, reference * 2)
    plane = make_planes(found, ["lost", "a"], name="c")[0]
    assert [(one.layer, one.value) for one in plane.outlines] == [(-1, 1), (1, 2)]
    assert len({one.colour for one in plane.outlines}) == 2


def test_a_picture_has_the_proportions_of_the_patient_and_is_small():
    pixels = np.random.default_rng(0).integers(0, 255, (500, 500)).astype(np.uint8)
    content = encode_grey(pixels, (2.0, 1.0))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (MAX_SIDE // 2, MAX_SIDE)
    assert len(content) < 2 * MAX_BYTES


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
def test_a_picture_or_a_single_slice_is_one_plane(shape):
    reference = np.zeros(shape, np.uint8)
    reference[5:8, 5:9] = 1
    scan = np.arange(reference.size, dtype=np.float32).reshape(shape)
    planes = make_planes(volumes(reference, scan=scan), [], name="c")
    assert len(planes) == 1
    assert planes[0].picture.source.startswith("data:image/webp;base64,")
