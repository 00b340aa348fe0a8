import itertools

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from pipeline.evaluation import nearest
from pipeline.evaluation.nearest import find_distances, find_neighbourhood

SHEARED = np.array([[0.8, 0.6, 0.5], [0, 1.0, -0.4], [0, 0, 2.0]])
EDGES = [np.eye(3), np.diag([0.5, 0.5, 6.0]), np.diag([2.0, 0.1, 1.0]), SHEARED, np.eye(2), np.diag([0.3, 4.0])]


def padded(mask, edges):
    return np.pad(mask, [(margin, margin) for margin in find_neighbourhood(edges).reach])


def spread(distances):
    """Each distance as often as it counts."""
    return np.repeat(distances.values, distances.weights.astype(int))


@pytest.mark.parametrize("edges", EDGES, ids=range(len(EDGES)))
def test_no_offset_that_is_left_out_is_nearer(edges):
    around = find_neighbourhood(edges)
    kept = {tuple(offset) for offset in around.offsets.tolist()}
    assert (0,) * len(edges) in kept
    assert np.all(np.diff(around.distances) >= 0)
    assert around.distances == pytest.approx(np.linalg.norm(around.offsets @ edges.T, axis=1))
    side = range(-20, 21) if len(edges) == 2 else range(-9, 10)
    others = np.array([offset for offset in itertools.product(side, repeat=len(edges)) if offset not in kept])
    assert np.linalg.norm(others @ edges.T, axis=1).min() >= around.distances[-1] - 1e-9
    assert np.abs(around.offsets).max(axis=0).tolist() <= list(around.reach)


@pytest.mark.parametrize("edges", EDGES, ids=range(len(EDGES)))
@pytest.mark.parametrize("share", [0.3, 0.003])
def test_distances_are_those_of_brute_force(edges, share):
    rng = np.random.default_rng(0)
    shape = (25, 21, 15)[: len(edges)]
    target, own = (padded(rng.random(shape) < part, edges) for part in (share, 0.1))
    target[tuple(n // 2 for n in target.shape)] = True
    found = find_distances(np.flatnonzero(own), target, edges)
    expected = cdist(np.argwhere(own) @ edges.T, np.argwhere(target) @ edges.T).min(axis=1)
    assert spread(found) == pytest.approx(np.sort(expected), abs=1e-12)
    if np.count_nonzero(edges) == len(edges):
        transform = distance_transform_edt(~target, sampling=np.diag(edges))
        assert spread(found) == pytest.approx(np.sort(transform[own]), abs=1e-9)


def test_a_distance_transform_for_many_far_points_is_the_same(monkeypatch):
    rng = np.random.default_rng(2)
    edges = np.diag([1.0, 2.0, 0.5])
    target = np.zeros((30, 12, 22), dtype=bool)
    target[3, 4, 5] = True
    target, own = padded(target, edges), padded(rng.random(target.shape) < 0.7, edges)
    used = []
    monkeypatch.setattr(nearest, "KDTree", lambda *words, **options: used.append(1) or KDTree(*words, **options))
    found = [find_distances(np.flatnonzero(own), target, edges)]
    assert not used
    monkeypatch.setattr(nearest, "_MAX_TREE_SHARE", 1)
    found.append(find_distances(np.flatnonzero(own), target, edges))
    assert used
    assert spread(found[0]) == pytest.approx(spread(found[1]), rel=1e-12)


def test_weights_stay_with_their_points():
    rng = np.random.default_rng(1)
    edges = np.diag([1.0, 2.0, 0.5])
    target, own = (padded(rng.random((30, 12, 12)) < part, edges) for part in (0.002, 0.05))
    points = np.flatnonzero(own)
    weights = rng.random(len(points))
    found = find_distances(points, target, edges, weights)
    expected = cdist(np.argwhere(own) @ edges.T, np.argwhere(target) @ edges.T).min(axis=1)
    assert found.weights.sum() == pytest.approx(weights.sum())
    for limit in (0, 0.6, 2, 5, 9):
        at_most = weights[expected <= limit + 1e-9].sum()
        assert found.weights[found.values <= limit + 1e-9].sum() == pytest.approx(at_most, abs=1e-12)


def test_points_on_the_target_have_no_distance():
    target = padded(np.ones((3, 3, 3), dtype=bool), np.eye(3))
    found = find_distances(np.flatnonzero(target), target, np.eye(3))
    assert (found.values.tolist(), found.weights.tolist()) == ([0.0], [27.0])
