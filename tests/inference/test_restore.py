"""Back to the scan's grid in slabs, against MONAI's inverse of the same pre-processing and SciPy's interpolation."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from math import log

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd, Spacingd
from scipy import ndimage, stats
from scipy.spatial.transform import Rotation
from torch import Tensor

from pipeline.inference import boxes
from pipeline.inference.places import compute_grid_change
from pipeline.inference.restore import ScanGridLabels

CLASSES = 4
# Scan's shape, its affine's axes, spacing of the network's grid (mm).
GRIDS = {
    "its own": ((13, 11, 9), np.eye(3), (1.0, 1.0, 1.0)),
    "swapped and flipped": ((13, 11, 9), np.array([[0, -1.0, 0], [0, 0, 1], [-1, 0, 0]]), (1.0, 1.0, 1.0)),
    "coarser": ((19, 16, 14), np.diag([0.6, -0.7, 0.8]), (1.1, 1.2, 1.3)),
    "finer": ((9, 8, 6), np.array([[0, 1.9, 0], [2.2, 0, 0], [0, 0, 3.1]]), (1.0, 1.0, 1.0)),
    "coarser along one axis": ((15, 14, 6), np.diag([1.0, 0.5, 2.0]), (1.0, 1.0, 2.0)),
    "one voxel thick": ((15, 14, 1), np.diag([1.5, 0.5, 2.0]), (1.0, 1.0, 1.0)),
    "oblique": ((13, 12, 9), np.diag([1.2, -0.8, 2.0]), (1.0, 1.0, 1.5)),
    "sheared": ((13, 12, 9), np.array([[1.0, 0, 0.3], [0, 1.3, 0], [0, 0.4, 2.0]]), (1.1, 1.2, 1.5)),
    "sheared and flipped": ((12, 13, 9), np.array([[0, -1.3, 0.2], [1.0, 0, 0.3], [0, 0, -1.8]]), (1.0, 1.0, 1.0)),
}
TURNED = {"oblique"}
LEANING = {"sheared", "sheared and flipped"}


class Case:
    """A scan's grid, the network's, logits in that, and what MONAI and SciPy make of them in the scan's."""

    def __init__(self, name: str, classes: int = CLASSES, *, favoured: float = 0.0, regions: bool = False) -> None:
        self.regions = regions
        self.shape, axes, spacing = GRIDS[name]
        affine = np.eye(4)
        affine[:3, :3] = axes
        if name in TURNED:
            affine[:3, :3] = Rotation.from_euler("xyz", [12, -9, 17], degrees=True).as_matrix() @ axes
        affine[:3, 3] = [31.0, -12.5, 4.0]
        preprocessing = Compose(
            [
                Orientationd("image", axcodes="RAS", labels=None),
                Spacingd("image", pixdim=spacing, mode="bilinear"),
            ]
        )
        data = preprocessing({"image": MetaTensor(torch.rand(1, *self.shape), affine=torch.as_tensor(affine))})
        image = data["image"]
        self.network_shape = tuple(image.shape[1:])
        self.change = compute_grid_change(np.asarray(image.affine), affine)
        self.logits = blurred((classes, *self.network_shape))
        self.logits[-1] += favoured
        probabilities = torch.sigmoid(self.logits) if regions else torch.softmax(self.logits, dim=0)
        inverse = Invertd("pred", transform=preprocessing, orig_keys="image", nearest_interp=False)
        restored = inverse({**data, "pred": MetaTensor(probabilities, meta=image.meta)})["pred"]
        self.expected = np.moveaxis(restored.numpy(), 0, -1)
        # The mean entropy of the voxels around a place, for which MONAI has no argument.
        entropy = stats.entropy(probabilities.numpy(), axis=0) / log(classes)
        if regions:
            each = stats.entropy(np.stack([probabilities.numpy(), 1 - probabilities.numpy()]), axis=0, base=2)
            entropy = each.mean(axis=0)
        places = np.tensordot(self.change[:3, :3], np.indices(self.shape), 1) + self.change[:3, 3].reshape(3, 1, 1, 1)
        self.expected_entropy = ndimage.map_coordinates(entropy, places, order=1, mode="nearest")

    def restored(self, *, strips: int = 1, rows: int = 100, everything: bool = False) -> ScanGridLabels:
        classes = len(self.logits)
        result = ScanGridLabels(
            self.shape,
            self.network_shape,
            self.change,
            classes=classes,
            regions=self.regions,
            probabilities=np.full((*self.shape, classes), np.nan, np.float32) if everything else None,
            entropy=np.full(self.shape, np.nan, np.float32) if everything else None,
        )
        for start, second, logits in parts(self.logits, strips=strips, rows=rows):
            result.add(start, logits, second=second)
        return result

    def assert_labels(self, labels: np.ndarray) -> None:
        """Every voxel has MONAI's label, but where its two best classes are equal within rounding."""
        second, first = np.sort(self.expected, axis=-1)[..., -2:].transpose(3, 0, 1, 2)
        clear = first - second > 1e-5
        assert clear.mean() > 0.99
        np.testing.assert_array_equal(labels[clear], self.expected.argmax(axis=-1)[clear])


@cache
def case_of(name: str) -> Case:
    return Case(name)


def blurred(shape: tuple[int, ...]) -> Tensor:
    """Logits that change over some voxels, so that neighbours mostly agree, and often do not."""
    noise = np.random.default_rng(3).normal(size=shape)
    smooth = np.stack([ndimage.gaussian_filter(one, 1.2) for one in noise])
    return torch.as_tensor(3 * smooth / smooth.std(), dtype=torch.float32)


def parts(logits: Tensor, *, strips: int, rows: int) -> Iterator[tuple[int, int, Tensor]]:
    """Cut logits as windows give them: strips that share a line, and rows of each."""
    length = logits.shape[2]
    edges = [round((length - 1) * number / strips) for number in range(strips + 1)]
    for low, high in pairwise(edges):
        for start in range(0, logits.shape[1], rows):
            yield start, low, logits[:, start : start + rows, low : high + 1]


@pytest.mark.parametrize("name", GRIDS)
def test_it_is_monais_inverse(name: str) -> None:
    case = case_of(name)
    result = case.restored(everything=True)
    assert result.labels.dtype == np.uint8
    assert len(np.unique(result.labels)) == CLASSES
    case.assert_labels(result.labels)
    np.testing.assert_allclose(result.probabilities, case.expected, atol=1e-5)
    np.testing.assert_allclose(result.entropy, case.expected_entropy, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(("strips", "rows"), [(1, 1), (1, 4), (3, 5), (8, 1)])
def test_slabs_and_strips_change_nothing(name: str, strips: int, rows: int) -> None:
    case = case_of(name)
    whole, cut = case.restored(everything=True), case.restored(strips=strips, rows=rows, everything=True)
    case.assert_labels(cut.labels)
    np.testing.assert_allclose(cut.probabilities, whole.probabilities, atol=1e-6)
    np.testing.assert_allclose(cut.entropy, whole.entropy, atol=1e-6)
    np.testing.assert_array_equal(cut.labels, whole.labels)


@pytest.mark.parametrize("name", GRIDS)
def test_labels_are_the_same_whether_or_not_more_is_asked_for(name: str) -> None:
    case = case_of(name)
    alone = case.restored(strips=2, rows=4)
    assert alone.probabilities is None
    assert alone.entropy is None
    np.testing.assert_array_equal(alone.labels, case.restored(strips=2, rows=4, everything=True).labels)


@pytest.mark.parametrize("name", GRIDS)
def test_all_places_or_those_between_classes_alone_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(name)
    for share, tile in ((0.0, 1 << 18), (2.0, 1 << 18), (2.0, 7 * CLASSES)):
        monkeypatch.setattr(boxes, "_DENSE", share)
        monkeypatch.setattr(boxes, "_TILE", tile)
        case.assert_labels(case.restored().labels)


def test_the_probabilities_sum_to_one_and_entropy_lies_between_0_and_1() -> None:
    result = case_of("sheared").restored(strips=2, rows=3, everything=True)
    np.testing.assert_allclose(result.probabilities.sum(axis=-1), 1, atol=1e-5)
    assert result.entropy.min() >= 0
    assert result.entropy.max() <= 1
    assert result.entropy.max() > 0.5


def test_entropy_of_one_sure_class_is_0_and_of_all_alike_1() -> None:
    entropy = np.full((2, 1, 1), np.nan, np.float32)
    result = ScanGridLabels((2, 1, 1), (2, 1, 1), np.eye(4), classes=3, entropy=entropy)
    logits = torch.zeros(3, 2, 1, 1)
    logits[1, 0] = 200  # e^-200 is 0 in float32, and 0 log 0 is 0
    result.add(0, logits)
    np.testing.assert_allclose(entropy.ravel(), [0, 1], atol=1e-6)


def test_entropy_halfway_is_the_mean() -> None:
    # Three indices on two voxels, the middle one halfway; two classes with 0.5 and 0.5, and with 0.9 and 0.1.
    entropy = np.empty((3, 1, 1), np.float32)
    result = ScanGridLabels((3, 1, 1), (2, 1, 1), np.diag([0.5, 1, 1, 1]), classes=2, entropy=entropy)
    result.add(0, torch.tensor([[0.5, 0.9], [0.5, 0.1]]).log().view(2, 2, 1, 1))
    of_second = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    np.testing.assert_allclose(entropy.ravel(), [1, (1 + of_second) / 2, of_second], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "dtype"), [(2, np.uint8), (256, np.uint8), (257, np.uint16), (300, np.uint16)])
@pytest.mark.parametrize("name", ["finer", "its own", "sheared"])
def test_the_labels_are_the_smallest_integers_that_hold_all(name: str, classes: int, dtype: type) -> None:
    # The last class, whose number is the largest, must be found somewhere.
    case = Case(name, classes, favoured=4)
    result = case.restored(rows=4)
    assert result.labels.dtype == dtype
    assert result.labels.max() == classes - 1
    case.assert_labels(result.labels)


@pytest.mark.parametrize("dense", [0.0, 2.0])
@pytest.mark.parametrize("lean", [0.0, 0.25])
def test_of_equally_probable_classes_the_first_is_taken(
    dense: float, lean: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "_DENSE", dense)
    # Voxels that are surely 2 and surely 1, and places at 0, a half and 1 between them; all voxels are alike along the
    # second axis, so that leaning along it changes nothing.
    change = np.diag([0.5, 1, 1, 1])
    change[1, 0] = lean
    result = ScanGridLabels((3, 3, 1), (2, 3, 1), change, classes=4)
    logits = torch.zeros(4, 2, 3, 1)
    logits[2, 0], logits[1, 1] = 200, 200
    result.add(0, logits)
    assert result.labels[..., 0].T.tolist() == [[2, 1, 1]] * 3
    everywhere = ScanGridLabels((3, 3, 1), (2, 3, 1), change, classes=4)
    everywhere.add(0, torch.zeros(4, 2, 3, 1))
    assert not everywhere.labels.any()


def test_the_best_class_between_two_may_be_a_third() -> None:
    """Why voxels around a place that do not agree are looked into: 0.6 and 0 against 0 and 0.6, but twice 0.4."""
    result = ScanGridLabels((3, 1, 1), (2, 1, 1), np.diag([0.5, 1, 1, 1]), classes=3)
    result.add(0, torch.tensor([[0.6, 1e-9], [1e-9, 0.6], [0.4, 0.4]]).log().view(3, 2, 1, 1))
    assert result.labels.ravel().tolist() == [0, 2, 1]


def test_a_picture_has_one_voxel_in_depth() -> None:
    logits = blurred((3, 12, 10))
    result = ScanGridLabels((23, 10, 1), (12, 10, 1), np.diag([0.5, 1, 1, 1]), classes=3)
    for start, second, part in parts(logits, strips=2, rows=5):
        result.add(start, part, second=second)
    x, y = np.indices((23, 10))
    probabilities = torch.softmax(logits, dim=0).numpy()
    expected = np.stack([ndimage.map_coordinates(one, [x / 2, y], order=1) for one in probabilities])
    np.testing.assert_array_equal(result.labels[..., 0], expected.argmax(axis=0))


def test_the_paths_are_the_ones_meant() -> None:
    """That grids called leaning take the leaning path, and the others the straight one."""
    for name in GRIDS:
        case = case_of(name)
        result = ScanGridLabels(case.shape, case.network_shape, case.change, classes=CLASSES)
        assert (result._axes is None) == (name in LEANING)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(("strips", "rows", "everything"), [(1, 100, True), (3, 5, False)])
def test_regions_are_monais_inverse_of_sigmoids(name: str, strips: int, rows: int, everything: bool) -> None:
    case = region_case_of(name)
    result = case.restored(strips=strips, rows=rows, everything=everything)
    assert result.labels.dtype == np.uint8
    clear = (np.abs(case.expected - 0.5) > 1e-5).all(axis=-1)
    assert clear.mean() > 0.99
    expected = ((case.expected > 0.5) * 2 ** np.arange(CLASSES)).sum(axis=-1)
    assert len(np.unique(expected)) > 8
    np.testing.assert_array_equal(result.labels[clear], expected[clear])
    if everything:
        np.testing.assert_allclose(result.probabilities, case.expected, atol=1e-5)
        np.testing.assert_allclose(result.entropy, case.expected_entropy, atol=1e-5)


@pytest.mark.parametrize("name", ["coarser", "sheared"])
def test_patterns_of_many_regions_need_two_bytes(name: str) -> None:
    case = Case(name, 9, regions=True)
    result = case.restored()
    assert result.labels.dtype == np.uint16
    clear = (np.abs(case.expected - 0.5) > 1e-5).all(axis=-1)
    expected = ((case.expected > 0.5) * 2 ** np.arange(9)).sum(axis=-1)
    np.testing.assert_array_equal(result.labels[clear], expected[clear])
    assert result.labels.max() > 255


@cache
def region_case_of(name: str) -> Case:
    return Case(name, regions=True)
