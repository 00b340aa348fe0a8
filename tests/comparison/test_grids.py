import itertools

import nibabel as nib
import numpy as np
import pytest

from pipeline.comparison.grids import Grid, Turn, find_turn, turn_voxels
from pipeline.data.errors import InputError

from .conftest import AFFINE

SHAPE = (4, 5, 6)


def turn_between(prediction, reference):
    return find_turn(prediction, reference, case="c", path="p.nii", reference_path="r.nii")


def rotate(degrees):
    turn = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return matrix


@pytest.mark.parametrize("degrees", [0, 17, 44])
def test_all_48_orders_and_directions_are_turned_to_the_references_as_nibabel_turns_them(degrees):
    reference = nib.Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), rotate(degrees) @ AFFINE)
    grid = Grid(SHAPE, reference.affine)
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turned = reference.as_reoriented(np.column_stack([axes, signs]))
            turn = turn_between(Grid(turned.shape, turned.affine), grid)
            assert (turn is None) == (axes == (0, 1, 2) and signs == (1, 1, 1))
            np.testing.assert_array_equal(turn_voxels(np.asarray(turned.dataobj), turn), reference.dataobj)


def test_a_slice_is_turned_too():
    grid = Grid((4, 5), np.diag([1.0, 2.0, 1.0, 1.0]))
    affine = np.array([[0, 1.0, 0, 0], [-2.0, 0, 0, 8.0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert turn_between(Grid((5, 4), affine), grid) == Turn((1, 0), (False, True))


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.0249])
def test_rounding_of_a_header_is_no_other_grid(shift):
    moved = AFFINE.copy()
    moved[0, 3] += shift
    assert turn_between(Grid(SHAPE, moved), Grid(SHAPE, AFFINE)) is None


def changed(**entries):
    affine = AFFINE.copy()
    for place, value in entries.items():
        affine[int(place[1]), int(place[2])] = value
    return affine


@pytest.mark.parametrize(
    ("shape", "affine", "found"),
    [
        ((4, 5, 7), AFFINE, "4 x 5 x 7 voxels of 0.5 x 1 x 2 mm"),
        (SHAPE, changed(a03=-2.9), "origin (-2.9, 4, 5) mm"),
        (SHAPE, changed(a22=2.1), "voxels of 0.5 x 1 x 2.1 mm"),
        (SHAPE, rotate(3) @ AFFINE, "axes RAS"),
        ((6, 5, 4), AFFINE, "6 x 5 x 4 voxels"),
        ((4, 5), AFFINE, "4 x 5 voxels of 0.5 x 1 mm"),
    ],
)
def test_another_grid_is_an_error_that_names_the_case_and_both_grids(shape, affine, found):
    with pytest.raises(InputError) as raised:
        turn_between(Grid(shape, affine), Grid(SHAPE, AFFINE))
    message = str(raised.value)
    assert message.startswith("p.nii: found case c in another grid: ")
    assert found in message
    assert "expected the grid of r.nii: 4 x 5 x 6 voxels of 0.5 x 1 x 2 mm, axes RAS, origin (-3, 4, 5) mm" in message


def test_the_remedy_depends_on_what_differs():
    remedies = {}
    for name, shape, affine in (
        ("shape", (4, 5, 7), AFFINE),
        ("place", SHAPE, changed(a03=9)),
        ("axes", (4, 5), AFFINE),
    ):
        with pytest.raises(InputError) as raised:
            turn_between(Grid(shape, affine), Grid(SHAPE, AFFINE))
        remedies[name] = raised.value.remedy
    assert remedies["shape"].startswith("resample the prediction")
    assert remedies["place"].startswith("if the voxels correspond, copy the reference's header")
    assert remedies["axes"].startswith("compare label maps with the same number of axes")
