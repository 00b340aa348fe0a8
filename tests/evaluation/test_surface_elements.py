import itertools
import math
import warnings

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from pipeline.evaluation.surface_elements import find_boundary, find_elements, measure_areas

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from surface_distance import lookup_tables


def padded_noise(seed, shape):
    return np.pad(np.random.default_rng(seed).random(shape) < 0.6, 1)


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 4, 1), (9, 8), (1, 1)])
def test_the_boundary_is_what_erosion_removes(shape):
    for seed in range(3):
        mask = padded_noise(seed, shape)
        assert np.array_equal(find_boundary(mask), mask & ~binary_erosion(mask))


@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 4, 1), (9, 8), (1, 1)])
def test_the_code_of_a_cell_has_the_bits_of_its_voxels(shape):
    mask = padded_noise(0, shape)
    elements, codes = find_elements(mask)
    inside = tuple(slice(n - 1) for n in mask.shape)
    for place in np.ndindex(*(n - 1 for n in mask.shape)):
        cell = [mask[tuple(np.add(place, step))] for step in itertools.product((0, 1), repeat=mask.ndim)]
        assert codes[place] == int("".join(str(int(bit)) for bit in cell), 2)
        assert elements[place] == (any(cell) and not all(cell))
    assert np.count_nonzero(elements) == np.count_nonzero(elements[inside])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 3.0), (0.1, 5.0, 0.2)])
def test_areas_are_those_of_surface_distance(spacing):
    expected = lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    assert measure_areas(np.diag(spacing)) == pytest.approx(expected, rel=1e-12)
    lengths = lookup_tables.create_table_neighbour_code_to_contour_length(spacing[:2])
    assert measure_areas(np.diag(spacing[:2])) == pytest.approx(lengths, rel=1e-12)


@pytest.mark.parametrize("edges", [np.diag([0.7, 0.9, 3.0]), np.array([[0.8, 0.3, 0.5], [0, 1.1, -0.4], [0, 0, 2.0]])])
def test_the_surface_of_one_voxel_is_an_octahedron_in_the_world(edges):
    _, codes = find_elements(np.pad(np.ones((1, 1, 1), dtype=bool), 1))
    half = edges / 2
    faces = [
        np.linalg.norm(np.cross(half[:, 1] * b - half[:, 0] * a, half[:, 2] * c - half[:, 0] * a)) / 2
        for a, b, c in itertools.product((-1, 1), repeat=3)
    ]
    assert measure_areas(edges)[codes].sum() == pytest.approx(sum(faces))


@pytest.mark.parametrize("edges", [np.diag([0.7, 3.0]), np.array([[0.8, 0.5], [0, 1.1]])])
def test_the_contour_of_one_pixel_is_a_rhombus_in_the_world(edges):
    _, codes = find_elements(np.pad(np.ones((1, 1), dtype=bool), 1))
    half = edges / 2
    sides = [math.dist(half[:, 0] * a, half[:, 1] * b) for a, b in itertools.product((-1, 1), repeat=2)]
    assert measure_areas(edges)[codes].sum() == pytest.approx(sum(sides))
    # A square of 3 x 2 pixels: its sides less half a pixel at each corner, and four corners.
    _, codes = find_elements(np.pad(np.ones((3, 2), dtype=bool), 1))
    length = 2 * 2 * np.linalg.norm(edges[:, 0]) + 2 * 1 * np.linalg.norm(edges[:, 1]) + sum(sides)
    assert measure_areas(edges)[codes].sum() == pytest.approx(length)
