"""Where files lie against each other, by tables of affines with the answer beside each, and by SimpleITK."""

import contextlib
import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from pipeline.data.check_file import Grid
from pipeline.data.check_grid import find_grid_problems, find_header_problems, largest_distance
from pipeline.data.images.door import read_volume
from pipeline.data.images.header import Forms, Header, Volume

SHAPE = (100, 80, 40)
SPACING = (0.8, 0.8, 3.0)
BASE = np.array([[-0.8, 0, 0, 90], [0, 0.8, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1.0]])


def turn(degrees, axis=2):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz"[axis], degrees, degrees=True).as_matrix()
    return matrix


def shift(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return matrix


def scale(*factors):
    return np.diag([*factors, 1.0])


def flipped(axis, shape=SHAPE):
    """The same box, its axis counted from the other end."""
    matrix = np.eye(4)
    matrix[axis, axis], matrix[axis, 3] = -1, shape[axis] - 1
    return matrix


def permuted(*order):
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[:, order]
    return matrix


def kinds(affine, reference=BASE, shape=SHAPE):
    return [problem.kind for problem in find_grid_problems(Grid("b", shape, affine), Grid("a", shape, reference))]


# World matrix, voxel matrix, and what has to be said; the smallest spacing is 0.8 mm, the far corner at 99, 79, 39.
TABLE = {
    "the same": (np.eye(4), np.eye(4), []),
    "rounded to float32": (np.eye(4), np.eye(4) + 1e-8, []),
    "0.0009 mm away": (shift(0.0009, 0, 0), np.eye(4), []),
    "0.01 voxels away": (np.eye(4), shift(0.01, 0, 0), ["grid-rounding"]),
    "0.04 mm away, the last of what is rounding": (shift(0, 0.0399, 0), np.eye(4), ["grid-rounding"]),
    "0.05 mm away": (shift(0, 0.05, 0), np.eye(4), ["origin-differs"]),
    "2 mm away": (shift(0, 0, 2), np.eye(4), ["origin-differs"]),
    "half a voxel away": (np.eye(4), shift(0.5, 0.5, 0.5), ["origin-differs"]),
    "spacing 1 % off": (np.eye(4), scale(1, 1, 1.01), ["spacing-differs"]),
    "spacing 0.1 % off, 0.08 mm at the end": (np.eye(4), scale(1.001, 1, 1), ["spacing-differs"]),
    "spacing 0.0001 off, 0.008 mm at the end": (np.eye(4), scale(1.0001, 1, 1), ["grid-rounding"]),
    "turned by 1 degree": (np.eye(4), turn(1), ["direction-differs"]),
    "turned by 0.04 degrees, 0.05 mm at the end": (np.eye(4), turn(0.04), ["direction-differs"]),
    "turned by 0.01 degrees, 0.014 mm at the end": (np.eye(4), turn(0.01), ["grid-rounding"]),
    "turned about the world's origin": (turn(90), np.eye(4), ["direction-differs"]),
    "half a turn": (np.eye(4), turn(180), ["direction-differs"]),
    "axis flipped": (np.eye(4), flipped(0), ["direction-differs"]),
    "RAS read as LPS": (scale(-1, -1, 1), np.eye(4), ["direction-differs"]),
    "in-plane axes exchanged": (np.eye(4), permuted(1, 0, 2), ["direction-differs"]),
    "axes of unlike spacing exchanged": (np.eye(4), permuted(2, 1, 0), ["spacing-differs", "direction-differs"]),
    "spacing and direction": (np.eye(4), scale(1, 1, 2) @ turn(3), ["spacing-differs", "direction-differs"]),
}


@pytest.mark.parametrize(("world", "voxels", "expected"), TABLE.values(), ids=TABLE)
def test_a_difference_has_its_kind(world, voxels, expected):
    assert kinds(world @ BASE @ voxels) == expected


def test_axes_with_one_voxel_cannot_differ():
    assert kinds(BASE @ scale(1, 1, 5) @ turn(0.5, 0), shape=(100, 1, 1)) == []
    assert kinds(BASE @ scale(1, 1, 5), shape=(100, 80, 2)) == ["spacing-differs"]


FLAT = {
    "the same": (np.eye(4), []),
    "another third axis, which a slice does not have": (scale(1, 1, 9), []),
    "2 mm away": (shift(2 / 0.5, 0, 0), ["origin-differs"]),
    "spacing 1 % off": (scale(1, 1.01, 1), ["spacing-differs"]),
    "turned by 1 degree": (turn(1), ["direction-differs"]),
    "0.02 pixels away": (shift(0.02, 0, 0), ["grid-rounding"]),
}


@pytest.mark.parametrize(("voxels", "expected"), FLAT.values(), ids=FLAT)
def test_slices_are_compared_in_their_plane(voxels, expected):
    reference = np.diag([0.5, 0.5, 0.001, 1])
    assert kinds(reference @ voxels, reference, (200, 300)) == expected


def test_another_shape_is_said_and_the_place_besides():
    grid = Grid("b", (100, 80, 41), shift(0, 0, 3) @ BASE)
    found = list(find_grid_problems(grid, Grid("a", SHAPE, BASE)))
    assert [problem.kind for problem in found] == ["shape-differs", "origin-differs"]
    assert "origin 3 mm away" in found[1].found


def test_what_is_said_shows_the_difference():
    (problem,) = find_grid_problems(Grid("b", SHAPE, BASE @ scale(1, 1, 1.001)), Grid("a", SHAPE, BASE))
    assert "0.8 x 0.8 x 3.003 mm instead of 0.8 x 0.8 x 3 mm" in problem.found


@pytest.mark.parametrize("seed", range(20))
def test_distance_of_corners_is_simpleitks(seed):
    rng = np.random.default_rng(seed)
    affines = []
    images = []
    for _ in range(2):
        axes = Rotation.random(random_state=seed).as_matrix() @ Rotation.from_rotvec(rng.normal(0, 0.01, 3)).as_matrix()
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = axes * SPACING, rng.normal(0, 3, 3)
        image = sitk.Image(SHAPE, sitk.sitkUInt8)
        image.SetSpacing(SPACING)
        image.SetDirection(axes.ravel().tolist())
        image.SetOrigin(affine[:3, 3].tolist())
        affines.append(affine)
        images.append(image)
    corners = list(itertools.product(*[(0, size - 1) for size in SHAPE]))
    places = [[image.TransformIndexToPhysicalPoint(corner) for corner in corners] for image in images]
    farthest = np.linalg.norm(np.subtract(*places), axis=1).max()
    assert largest_distance(*affines, SHAPE) == pytest.approx(farthest)


# --- what a header says twice ----------------------------------------------------------------------------------------


def volume(qform=None, sform=None, shape=(512, 512, 300)):
    """A volume as it comes back from a NIfTI-1 header, float32 and quaternion."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    # The spacing stands beside the forms, whichever of them counts.
    header.set_qform(sform if qform is None else qform, 0 if qform is None else 1)
    header.set_sform(sform, 0 if sform is None else 1)
    forms = [None if each is None else get() for each, get in ((qform, header.get_qform), (sform, header.get_sform))]
    pixdim = np.abs(header["pixdim"][1:4]).astype(float)
    affine = header.get_best_affine()
    dtype = np.dtype(np.int16)
    return Volume(
        Header("x", "nifti", shape, 3, affine, tuple(pixdim), dtype, forms=Forms(*forms, pixdim)), np.zeros(0)
    )


def said(volume, shape=(512, 512, 300)):
    return [problem.kind for problem in find_header_problems("x", volume, shape)]


def rotations(count):
    """Random ones, and such that the quaternion's first part, which the header leaves out, is next to nothing."""
    rng = np.random.default_rng(0)
    for number in range(count):
        if number % 2:
            yield Rotation.random(random_state=number).as_matrix()
        else:
            axis = rng.normal(size=3) if number % 4 else np.eye(3)[rng.integers(3)]
            angle = np.pi - 10 ** rng.uniform(-9, -1)
            yield Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()


def test_one_place_written_in_both_forms_is_no_conflict_however_it_is_turned():
    rng = np.random.default_rng(1)
    for number, axes in enumerate(rotations(500)):
        affine = np.eye(4)
        affine[:3, :3] = (axes @ np.diag([(-1.0) ** (number % 3), 1, 1])) * rng.uniform(0.3, 6, 3)
        affine[:3, 3] = rng.uniform(-300, 300, 3)
        assert said(volume(affine, affine)) == [], number


def test_a_conflict_of_2_mm_is_noticed_however_the_volume_is_turned():
    for number, axes in enumerate(rotations(100)):
        affine = np.eye(4)
        affine[:3, :3] = axes
        assert said(volume(affine, shift(0, 0, 2) @ affine)) == ["form-conflict"], number


FORMS = {
    "sform alone": (None, BASE, []),
    "qform alone": (BASE, None, []),
    "neither": (None, None, ["form-missing"]),
    "0.02 mm apart": (BASE, shift(0.02, 0, 0) @ BASE, []),
    "5 mm apart": (BASE, shift(0, 5, 0) @ BASE, ["form-conflict"]),
    "left and right exchanged": (BASE, scale(-1, 1, 1) @ BASE, ["form-conflict"]),
    "another spacing": (BASE, BASE @ scale(1, 1, 1.5), ["form-conflict"]),
}


@pytest.mark.parametrize(("qform", "sform", "expected"), FORMS.values(), ids=FORMS)
def test_forms_are_compared_where_both_count(qform, sform, expected):
    assert said(volume(qform, sform, SHAPE), SHAPE) == expected


SHEARS = (1e-5, 5e-5, 9e-5, 1.6e-4, 3e-4, 1e-3, 0.01, 0.2)


@pytest.mark.parametrize(("shear", "degrees"), list(itertools.product(SHEARS, (0, 17, 45))))
def test_a_shear_is_a_problem_from_where_simpleitk_refuses_the_file(shear, degrees, tmp_path):
    """Between 0.00010 and 0.00015 ITK's limit, on the determinant of the directions, depends on how they lie."""
    sheared = np.eye(4)
    sheared[0, 1] = shear
    affine = turn(degrees) @ sheared @ scale(1, 1 / np.hypot(1, shear), 1) @ scale(1, 1, 2)
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=0)
    path = str(tmp_path / "sheared.nii")
    nib.save(image, path)
    found = "sheared" in said(read_volume(path), (4, 4, 4))
    with pytest.raises(RuntimeError, match="rthonormal") if found else contextlib.nullcontext():
        sitk.ReadImage(path)
    assert found == (shear > 1e-4)
