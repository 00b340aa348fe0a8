import itertools
import math

import numpy as np
import pytest

from pipeline.evaluation.grid_edges import find_diagonal, find_edges

TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0], [0.48, 0.64, 0.6]])  # a rotation


def to_affine(matrix):
    affine = np.eye(4)
    affine[:3, : matrix.shape[1]] = matrix
    affine[:3, 3] = (5, -7, 9)
    return affine


@pytest.mark.parametrize(
    "affine",
    [
        None,
        to_affine(np.diag([0.5, 1, 2.0])),
        to_affine(np.diag([-0.5, -1, 2.0])),
        to_affine(TURN @ np.diag([0.5, 1, 2.0])),
        # Cosines of 0.00005 come from rounding in headers.
        to_affine(np.array([[0.5, 0.00005, 0], [0, 1, 0], [0, 0, 2.0]])),
    ],
)
def test_axes_at_right_angles_have_the_spacing(affine):
    assert find_edges((0.5, 1, 2), affine).tolist() == np.diag([0.5, 1, 2]).tolist()


@pytest.mark.parametrize("turn", [np.eye(3), TURN, np.diag([1, -1, 1])])
def test_a_sheared_grid_keeps_the_lengths_of_all_differences(turn):
    matrix = turn @ np.array([[0.8, 0.3, 0.5], [0, 1.1, -0.4], [0, 0, 2.0]])
    edges = find_edges(np.linalg.norm(matrix, axis=0), to_affine(matrix))
    for step in itertools.product((-2, 0, 1), repeat=3):
        assert np.linalg.norm(edges @ step) == pytest.approx(np.linalg.norm(matrix @ step))
    assert np.linalg.det(edges) == pytest.approx(abs(np.linalg.det(matrix)))


def test_a_sheared_plane_in_space_has_edges_in_two_dimensions():
    matrix = TURN @ np.array([[0.8, 0.3], [0, 1.1], [0, 0]])
    edges = find_edges((0.8, 1.14), to_affine(matrix))
    assert edges.shape == (2, 2)
    assert np.linalg.norm(edges @ (3, -2)) == pytest.approx(np.linalg.norm(matrix @ (3, -2)))
    flat = np.array([[0.8, 0.3, 1], [0, 1.1, 1], [0, 0, 1]])
    assert find_edges((0.8, 1.14), flat) == pytest.approx(edges)


def test_the_diagonal_is_the_largest_distance_of_two_corners():
    # That of a box of 3 x 4 x 12 mm.
    assert find_diagonal((6, 8, 6), np.diag([0.5, 0.5, 2])) == 13
    sheared = np.array([[1, 0.5], [0, 1.0]])
    assert find_diagonal((4, 4), sheared) == pytest.approx(math.hypot(6, 4))
    assert find_diagonal((4, 4), sheared * [1, -1]) == pytest.approx(math.hypot(6, 4))


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.eye(5), "5, 5"),
        (np.eye(3), "3, 3"),
        (np.full((4, 4), np.nan), "finite"),
        (to_affine(np.zeros((3, 3))), "without length"),
        (to_affine(np.ones((3, 3))), "one plane"),
    ],
)
def test_what_is_no_affine_is_named(affine, words):
    with pytest.raises(ValueError, match=words):
        find_edges((1, 1, 1), affine)
