"""Outlines of masks: what they enclose by scikit-image's own polygons, and areas counted by hand."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon2mask
from skimage.measure import label

from pipeline.labelmaps.outlines import connect_holes, outline_mask


def area(polygon):
    rows, columns = polygon.T
    return abs(rows @ np.roll(columns, -1) - columns @ np.roll(rows, -1)) / 2


def draw(text):
    return np.array([[sign == "#" for sign in line] for line in text.split()])


SHAPES = {
    "one pixel": (draw("... .#. ..."), 1, 0.5),
    "a bar at the edge": (draw("#### .... ...."), 1, 3.5),
    "a frame": (draw("##### #...# #...# #####"), 1, 20 - 6),
    "a corner alone": (draw("#. .#"), 2, 1),
    "an island in a hole": (draw("##### #...# #.#.# #...# #####"), 2, 25 - 9 + 0.5),
    "everything": (np.ones((4, 5), bool), 1, 19.5),
    "nothing": (np.zeros((4, 5), bool), 0, 0),
}


@pytest.mark.parametrize(("mask", "pieces", "total"), SHAPES.values(), ids=SHAPES)
def test_outlines_and_areas(mask, pieces, total):
    found = outline_mask(mask)
    assert len(found) == pieces
    assert sum(map(area, found)) == pytest.approx(total)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("smooth", [0, 1, 3])
def test_they_enclose_the_mask_and_nothing_else(seed, smooth):
    noise = np.random.default_rng(seed).normal(size=(40, 50))
    mask = (gaussian_filter(noise, smooth) if smooth else noise) > 0.02 * seed
    found = outline_mask(mask)
    assert len(found) == label(mask, connectivity=1).max()
    again = np.logical_xor.reduce([polygon2mask(mask.shape, polygon) for polygon in found])
    np.testing.assert_array_equal(again, mask)
    # An outline with h holes has an area of its pixels - 1/2 + h/2.
    holes = label(~np.pad(mask, 1), connectivity=2).max() - 1
    assert sum(map(area, found)) == pytest.approx(mask.sum() - len(found) / 2 + holes / 2)


def test_corners_on_a_straight_line_are_left_out():
    (outline,) = outline_mask(np.ones((30, 20), bool))
    assert len(outline) == 8


def test_a_hole_is_reached_from_the_nearest_corner():
    outline = np.array([(0, 0), (0, 10), (10, 10), (10, 0)], float)
    hole = np.array([(8, 8), (8, 7), (7, 7), (7, 8)], float)
    joined = connect_holes(outline, [hole])
    expected = [(0, 0), (0, 10), (10, 10), (8, 8), (8, 7), (7, 7), (7, 8), (8, 8), (10, 10), (10, 0)]
    np.testing.assert_array_equal(joined, expected)
    assert area(joined) == 99 or area(joined) == 101
