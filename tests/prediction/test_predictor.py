"""One scan through a bundle: ensembles, mirrored inputs and strips against arithmetic, and what memory allows.

That label maps lie where they should is the matter of `test_geometry.py`.
"""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.inference.dropout_average import ONLY_PYTORCH
from pipeline.prediction import predictor as module
from pipeline.prediction import segment
from pipeline.prediction.memory import resident_bytes
from pipeline.prediction.predictor import Predictor

WINDOW = 16
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
Phantom = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def voxels(phantom: Phantom) -> np.ndarray:
    """A scan of just one window, in the bundle's own grid: nothing is resampled, nothing blended."""
    return sampled(phantom, (WINDOW,) * 3)


def sampled(phantom: Phantom, shape: tuple[int, int, int]) -> np.ndarray:
    places = np.stack(np.meshgrid(*[np.arange(size) - size / 2 for size in shape], indexing="ij"), axis=-1)
    return np.ascontiguousarray(phantom(places), dtype=np.float32)


@pytest.fixture
def keep_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def others(tiny_bundle: Path, tmp_path: Path) -> list[Path]:
    """Weights of the bundle's network, and two others that differ a lot."""
    state = torch.load(tiny_bundle / "models" / "model.pt", weights_only=True)
    files = [tmp_path / f"{number}.pt" for number in range(3)]
    for number, file in enumerate(files):
        generator = torch.Generator().manual_seed(number)
        noise = {key: torch.randn(value.shape, generator=generator) for key, value in state.items()}
        torch.save({key: value + number * 0.2 * noise[key] for key, value in state.items()}, file)
    return files


def probabilities(predictor: Predictor, voxels: np.ndarray) -> np.ndarray:
    found = predictor(voxels, probabilities=True).probabilities
    assert found is not None
    return found


@pytest.mark.slow
def test_of_several_weights_the_probabilities_are_averaged(
    tiny_bundle: Path, others: list[Path], voxels: np.ndarray
) -> None:
    single = [probabilities(Predictor(tiny_bundle, checkpoint=file, device="cpu"), voxels) for file in others]
    assert np.abs(single[0] - single[1]).max() > 0.1
    together = Predictor(tiny_bundle, checkpoint=others, device="cpu")
    np.testing.assert_allclose(probabilities(together, voxels), np.mean(single, axis=0), atol=1e-5)
    assert len(set(together.bundle.sha256)) == 3


def test_mirrored_scans_are_averaged(tiny_bundle: Path, predictor: Predictor, voxels: np.ndarray) -> None:
    mirrored = []
    for axes in itertools.chain.from_iterable(itertools.combinations(range(3), number) for number in range(4)):
        mirrored.append(np.flip(probabilities(predictor, np.flip(voxels, axes)), axes))
    assert np.abs(mirrored[0] - mirrored[-1]).max() > 0.05
    found = probabilities(Predictor(tiny_bundle, device="cpu", tta=True), voxels)
    # The mean of logits is that of the logarithms, up to what a softmax takes away.
    mean = np.exp(np.mean(np.log(np.maximum(mirrored, 1e-30)), axis=0))
    np.testing.assert_allclose(found, mean / mean.sum(axis=-1, keepdims=True), atol=1e-4)


@pytest.fixture
def dropping_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle whose network drops channels; its weights are the same."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "dropping")
    config = folder / "configs" / "inference.json"
    content = json.loads(config.read_text())
    content["network_def"]["dropout"] = 0.3
    config.write_text(json.dumps(content))
    return folder


@pytest.mark.slow
def test_passes_with_dropout_are_averaged(dropping_bundle: Path, predictor: Predictor, voxels: np.ndarray) -> None:
    once = Predictor(dropping_bundle, device="cpu")
    expected = probabilities(once, voxels)
    # Without it, dropout changes nothing. Two calls may differ by rounding: kernels depend on where memory starts.
    assert_close = partial(np.testing.assert_allclose, atol=1e-5)
    assert_close(expected, probabilities(predictor, voxels))
    assert_close(probabilities(Predictor(dropping_bundle, device="cpu", dropout_samples=1), voxels), expected)
    network, passes = once.bundle.network, []
    for part in network.modules():
        part.train(isinstance(part, torch.nn.Dropout3d))
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(0)
        for _ in range(3):
            passes.append(torch.softmax(network(once.prepare(voxels).image[None]), dim=1)[0])
    assert (passes[0] - passes[1]).abs().max() > 0.05
    several = Predictor(dropping_bundle, device="cpu", dropout_samples=3)
    assert (several.bundle.runtime.runtime, several.bundle.runtime.reason) == ("pytorch", ONLY_PYTORCH)
    found = probabilities(several, voxels)
    assert_close(found, torch.stack(passes).mean(dim=0).permute(1, 2, 3, 0))
    # A second scan and a second start are the same.
    assert_close(probabilities(several, voxels), found)
    assert_close(probabilities(Predictor(dropping_bundle, device="cpu", dropout_samples=3), voxels), found)


@pytest.mark.slow
def test_passes_with_dropout_do_not_depend_on_strips(
    dropping_bundle: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = sampled(phantom, (30, 40, 26))
    predictor = Predictor(dropping_bundle, device="cpu", dropout_samples=2)
    whole = predictor(scan, probabilities=True)
    monkeypatch.setattr(predictor.budget, "strip_count", lambda *_, **__: 5)
    cut = predictor(scan, probabilities=True)
    np.testing.assert_array_equal(cut.labels, whole.labels)
    np.testing.assert_allclose(cut.probabilities, whole.probabilities, atol=1e-5)


def test_fast_runs_fewer_windows(tiny_bundle: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    class Counted(segment.Windows):
        def count(self, strips: int = 1) -> int:
            counts.append(super().count(strips))
            return counts[-1]

    monkeypatch.setattr(segment, "Windows", Counted)
    scan = sampled(phantom, (40, 40, 40))
    for fast in (False, True):
        Predictor(tiny_bundle, device="cpu", fast=fast)(scan)
    # Steps of 8 and of 12 voxels along each of 40: 4 windows, and 3.
    assert counts == [4**3, 3**3]


@pytest.mark.slow
def test_strips_give_the_same(tiny_bundle: Path, phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = sampled(phantom, (30, 40, 26))
    predictor = Predictor(tiny_bundle, device="cpu")
    whole = predictor(scan, probabilities=True, uncertainty=True)
    taken: list[int] = []

    def strips(*_: object, **__: object) -> int:
        taken.append(5)
        return 5

    monkeypatch.setattr(predictor.budget, "strip_count", strips)
    cut = predictor(scan, probabilities=True, uncertainty=True)
    assert taken == [5]
    np.testing.assert_array_equal(cut.labels, whole.labels)
    np.testing.assert_allclose(cut.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(cut.entropy, whole.entropy, atol=1e-5)


def test_memory_that_does_not_suffice_is_told_before_reading(
    tiny_bundle: Path, phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(sampled(phantom, (60, 60, 60)), np.eye(4)), file)
    predictor = Predictor(tiny_bundle, device="cpu", memory=resident_bytes() // 2)
    monkeypatch.setattr(module, "read_scan", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(InputError, match="60 x 60 x 60 voxels"):
        predictor(file)


def test_progress_comes_to_one(predictor: Predictor, phantom: Phantom) -> None:
    shares: list[float] = []
    predictor.segment(predictor.prepare(sampled(phantom, (30, 30, 30))), progress=shares.append)
    assert len(shares) > 5
    assert sum(shares) == pytest.approx(1)


def test_entropy_is_that_of_the_probabilities(predictor: Predictor, phantom: Phantom) -> None:
    found = predictor(sampled(phantom, (20, 20, 20)), probabilities=True, uncertainty=True)
    assert found.probabilities is not None
    p = found.probabilities.astype(np.float64)
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=-1) / np.log(3)
    np.testing.assert_allclose(found.entropy, entropy, atol=1e-4)
    assert found.uncertainty == pytest.approx(entropy[found.labels > 0].mean(), abs=1e-4)
    np.testing.assert_array_equal(found.labels, p.argmax(axis=-1))


def test_without_any_label_nothing_is_uncertain(tiny_bundle: Path, voxels: np.ndarray, tmp_path: Path) -> None:
    state = torch.load(tiny_bundle / "models" / "model.pt", weights_only=True)
    head = [key for key, value in state.items() if key.endswith("bias") and value.shape == (3,)][-1]
    state[head] = torch.tensor([1e4, 0, 0])
    torch.save(state, tmp_path / "background.pt")
    found = Predictor(tiny_bundle, checkpoint=tmp_path / "background.pt", device="cpu")(voxels, uncertainty=True)
    assert not found.labels.any()
    assert np.isnan(found.uncertainty)


def test_thin_and_small_scans_are_segmented(predictor: Predictor, phantom: Phantom) -> None:
    thin = predictor(sampled(phantom, (20, 1, 18)))
    assert thin.labels.shape == (20, 1, 18)
    assert thin.notes == ("one voxel thick along axis 1: the network sees nothing in that direction",)
    small = predictor(sampled(phantom, (3, 5, 4)))
    assert (small.labels.shape, small.notes) == ((3, 5, 4), ())


def test_threads_are_those_asked_for(tiny_bundle: Path, keep_threads: None) -> None:
    for count in (2, 1):
        Predictor(tiny_bundle, device="cpu", threads=count)
        assert torch.get_num_threads() == count


def test_two_predictors_do_not_disturb_one_another(
    tiny_bundle: Path, predictor: Predictor, voxels: np.ndarray, others: list[Path]
) -> None:
    before = predictor(voxels).labels
    other = Predictor(tiny_bundle, checkpoint=others[2], device="cpu", fast=True)
    assert not np.array_equal(other(voxels).labels, before)
    np.testing.assert_array_equal(predictor(voxels).labels, before)


def test_seconds_are_told_by_what_they_were_spent_on(predictor: Predictor, voxels: np.ndarray) -> None:
    seconds = predictor(voxels).seconds
    assert set(seconds) == {"preparing", "network", "windows"}
    assert all(value >= 0 for value in seconds.values())


@pytest.mark.slow
@needs_openvino
@pytest.mark.parametrize("tta", [False, True])
def test_on_another_runtime_the_label_map_is_the_same(
    tiny_bundle: Path, others: list[Path], phantom: Phantom, *, tta: bool
) -> None:
    # An odd number of windows for batches of two, in a scan that is larger than they are and padded along an axis.
    scan = sampled(phantom, (30, 40, 13))
    weights = others[:2] if tta else others[1]
    expected = Predictor(tiny_bundle, checkpoint=weights, tta=tta, device="cpu")
    there = Predictor(tiny_bundle, checkpoint=weights, tta=tta, runtime="openvino")
    assert (there.bundle.runtime.runtime, there.bundle.device.type) == ("openvino", "cpu")
    assert there.bundle.runtime.network is there.bundle.network
    assert there.bundle.runtime.start_seconds > expected.bundle.runtime.start_seconds == 0
    assert there.bundle.sha256 == expected.bundle.sha256
    found = there(scan, probabilities=True)
    wanted = expected(scan, probabilities=True)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-5)
    assert len(np.unique(wanted.labels)) == 3
    # Where two labels are as likely as each other, rounding may decide.
    assert (found.labels != wanted.labels).mean() < 0.001


@pytest.mark.slow
@needs_openvino
def test_a_runtime_takes_the_weights_that_pytorch_would_take(
    tiny_bundle: Path, others: list[Path], voxels: np.ndarray, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    # An export that lies beside may be of other weights than those that were trained since: it is not looked at.
    (bundle / "models" / "model.onnx").write_bytes(b"of earlier weights")
    shutil.copy(others[2], bundle / "models" / "model.pt")
    found = Predictor(bundle, runtime="openvino")
    expected = probabilities(Predictor(tiny_bundle, checkpoint=others[2], device="cpu"), voxels)
    np.testing.assert_allclose(probabilities(found, voxels), expected, atol=1e-5)


@needs_openvino
def test_a_flat_bundle_runs_on_another_runtime(tiny_flat_bundle: Path, flat_predictor: Predictor) -> None:
    image = np.random.default_rng(0).normal(size=(40, 21)).astype(np.float32)
    found = Predictor(tiny_flat_bundle, runtime="openvino")(image)
    assert (found.labels != flat_predictor(image).labels).mean() < 0.002  # one pixel of 840


def test_weights_that_overflow_are_no_empty_label_map(tiny_bundle: Path, tmp_path: Path, voxels: np.ndarray) -> None:
    state = torch.load(tiny_bundle / "models" / "model.pt", weights_only=True)
    # Finite, so that reading them finds nothing wrong.
    huge = {key: torch.full_like(value, 3e38) if key.endswith("weight") else value for key, value in state.items()}
    torch.save(huge, tmp_path / "huge.pt")
    predictor = Predictor(tiny_bundle, checkpoint=tmp_path / "huge.pt", device="cpu")
    with pytest.raises(InputError, match="the network: found an output that is not finite"):
        predictor(voxels)
