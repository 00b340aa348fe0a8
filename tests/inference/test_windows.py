"""Windows as a stream of rows, against MONAI's sliding_window_inference."""

from collections import deque
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.inference import PrecisionSlidingWindowInferer, windows
from pipeline.inference.windows import Windows, find_window_size

CLASSES = 3
CPU = torch.device("cpu")
# Shape, window, overlap and further arguments of the inferer.
CASES = {
    "several windows": ((30, 22, 19), (8, 10, 12), 0.5, {}),
    "little overlap": ((30, 22, 19), (8, 10, 12), 0.125, {}),
    "no overlap": ((24, 16, 16), (8, 8, 8), 0.0, {}),
    "much overlap": ((13, 12, 11), (8, 8, 8), 0.8, {}),
    "an overlap for each axis": ((21, 22, 19), (8, 10, 12), (0.5, 0.25, 0.6), {}),
    "one window": ((8, 8, 8), (8, 8, 8), 0.5, {}),
    "smaller than the window": ((5, 7, 6), (8, 8, 8), 0.5, {}),
    "shorter along the first axis": ((5, 22, 13), (8, 8, 8), 0.5, {}),
    "shorter along the second axis": ((21, 5, 13), (8, 8, 8), 0.5, {}),
    "one voxel thick": ((20, 17, 1), (8, 8, 4), 0.5, {}),
    "one row": ((1, 17, 9), (8, 8, 4), 0.5, {}),
    "padding with another value": ((5, 17, 9), (8, 8, 12), 0.5, {"cval": -1.5}),
    "padding by mirroring": ((6, 17, 9), (8, 8, 12), 0.5, {"padding_mode": "reflect"}),
    "flat weights": ((21, 17, 9), (8, 8, 8), 0.5, {"mode": "constant"}),
    "narrow weights": ((21, 17, 9), (8, 8, 8), 0.5, {"sigma_scale": 0.2}),
    "windows as long as the image": ((21, 17, 9), (8, -1, 0), 0.5, {}),
    "a picture": ((40, 33), (16, 8), 0.5, {}),
    "a small picture": ((5, 33), (16, 8), 0.25, {}),
}


class Network(nn.Module):
    """Two convolutions, which keeps what it saw."""

    def __init__(self, spatial_dims: int = 3, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        conv = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        self.layers = nn.Sequential(conv(channels, 4, 3, padding=1), nn.Tanh(), conv(4, CLASSES, 3, padding=1))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        output: Tensor = self.layers(x)
        return output

    @property
    def count(self) -> int:
        return sum(len(batch) for batch in self.seen)


def noise(shape: Sequence[int], channels: int = 1) -> Tensor:
    return torch.randn(channels, *shape, generator=torch.Generator().manual_seed(2))


def inferer_of(name: str, *, precision: str = "float32", batch: int = 2) -> SlidingWindowInferer:
    _, size, overlap, options = CASES[name]
    return PrecisionSlidingWindowInferer(
        precision, roi_size=size, sw_batch_size=batch, overlap=overlap, **{"mode": "gaussian", **options}
    )


def joined(some: Windows, network: Callable[[Tensor], Tensor], strips: int = 1) -> Tensor:
    """The rows of all strips in one tensor, after a check that each comes once and in order."""
    result = torch.full((CLASSES, *some.shape), torch.nan)
    for low, high in some.strips(strips):
        reached = 0
        for start, logits in some.rows(network, (low, high)):
            assert start == reached
            assert logits.dtype == torch.float32
            assert logits.shape[2:] == (high - low, *some.shape[2:])
            reached += logits.shape[1]
            result[:, start:reached, low:high] = logits
        assert reached == some.shape[0]
    return result


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_monais_bit_by_bit(name: str, precision: str) -> None:
    shape = CASES[name][0]
    image, inferer, network = noise(shape), inferer_of(name, precision=precision), Network(len(shape))
    with torch.no_grad():
        expected = inferer(image[None], network)[0]
    seen, network.seen = network.seen, []
    some = Windows(inferer, image, classes=CLASSES, device=CPU)
    assert torch.equal(joined(some, network), expected)
    # The network is given the same batches.
    assert len(network.seen) == len(seen)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(network.seen, seen, strict=True))
    assert some.count() == network.count


@pytest.mark.slow
@pytest.mark.parametrize("strips", [2, 3, 7])
@pytest.mark.parametrize("name", CASES)
def test_strips_are_parts_of_the_same(name: str, strips: int) -> None:
    shape = CASES[name][0]
    # One window at a time: which come together in a batch may change the last bit.
    image, inferer, network = noise(shape), inferer_of(name, batch=1), Network(len(shape))
    with torch.no_grad():
        expected = inferer(image[None], network)[0]
    network.seen = []
    some = Windows(inferer, image, classes=CLASSES, device=CPU)
    assert torch.equal(joined(some, network, strips), expected)
    assert some.count(strips) == network.count


def test_strips_share_a_line_and_cover_the_axis() -> None:
    some = Windows(inferer_of("several windows"), noise((9, 22, 13)), classes=CLASSES, device=CPU)
    assert some.strips(1) == [(0, 22)]
    assert some.strips(3) == [(0, 8), (7, 15), (14, 22)]
    # No strip has less than two lines to interpolate between; an axis of one line is one strip.
    assert some.strips(100) == [(line, line + 2) for line in range(21)]
    one = Windows(inferer_of("several windows"), noise((9, 1, 13)), classes=CLASSES, device=CPU)
    assert one.strips(4) == [(0, 1)]


def test_several_channels() -> None:
    image, inferer, network = noise((14, 13, 9), channels=2), inferer_of("much overlap"), Network(channels=2)
    with torch.no_grad():
        expected = inferer(image[None], network)[0]
    assert torch.equal(joined(Windows(inferer, image, classes=CLASSES, device=CPU), network), expected)


def test_rows_come_one_by_one_where_more_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    image, inferer, network = noise((30, 22, 19)), inferer_of("several windows"), Network()
    some = Windows(inferer, image, classes=CLASSES, device=CPU)
    expected = joined(some, network)
    monkeypatch.setattr(windows, "CHUNK_BYTES", 1)
    assert {rows.logits.shape[1] for rows in some.rows(network)} == {1}
    assert torch.equal(joined(some, network), expected)
    monkeypatch.setattr(windows, "CHUNK_BYTES", 3 * 4 * CLASSES * 22 * 19)
    assert {rows.logits.shape[1] for rows in some.rows(network)} <= {1, 2, 3}
    assert torch.equal(joined(some, network), expected)


def test_every_window_is_reported_once() -> None:
    image, network = noise((30, 22, 19)), Network()
    image[:, 9:] = 0
    some = Windows(inferer_of("several windows"), image, classes=CLASSES, device=CPU)
    done: list[int] = []
    for strip in some.strips(3):
        for _ in some.rows(network, strip, done=done.append):
            pass
    assert sum(done) == some.count(3)
    assert network.count < some.count(3)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_windows_of_one_value_go_through_the_network_once(batch: int) -> None:
    image = noise((32, 16, 16))
    image[:, 8:] = -0.75
    network, inferer = Network(), inferer_of("no overlap", batch=batch)
    some = Windows(inferer, image, classes=CLASSES, device=CPU)
    result = joined(some, network)
    # 4 x 2 x 2 windows, of which the first four are noise.
    assert some.count() == 16
    constant = [window for seen in network.seen for window in seen if window.min() == window.max()]
    assert (len(constant), network.count) == (1, 5)
    with torch.no_grad():
        expected = SlidingWindowInferer(roi_size=(8, 8, 8), sw_batch_size=1, overlap=0, mode="gaussian")(
            image[None], Network()
        )[0]
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=1e-5)


def test_windows_of_another_value_go_through_the_network_again() -> None:
    image = torch.zeros(2, 32, 8, 8)
    image[1] = torch.tensor([1.0, 1.0, 2.0, 2.0]).repeat_interleave(8).view(32, 1, 1)
    network = Network(channels=2)
    some = Windows(inferer_of("no overlap", batch=1), image, classes=CLASSES, device=CPU)
    result = joined(some, network)
    assert [window[0, :, 0, 0, 0].tolist() for window in network.seen] == [[0, 1], [0, 2]]
    assert torch.equal(result[:, :8], result[:, 8:16])
    assert torch.equal(result[:, 16:24], result[:, 24:])
    assert not torch.equal(result[:, 8:16], result[:, 16:24])


def test_a_single_odd_voxel_makes_a_window_its_own() -> None:
    image = torch.zeros(1, 16, 8, 8)
    # Where a look at some of the voxels does not find it.
    image[0, 8 + 4, 3, 3] = 5
    network = Network()
    result = joined(Windows(inferer_of("no overlap", batch=1), image, classes=CLASSES, device=CPU), network)
    assert network.count == 2
    assert not torch.equal(result[:, :8], result[:, 8:])


def test_a_scan_of_one_value_is_one_window() -> None:
    network = Network()
    joined(Windows(inferer_of("several windows"), torch.ones(1, 30, 22, 19), classes=CLASSES, device=CPU), network)
    assert network.count == 1


def test_the_size_of_a_window() -> None:
    def size(roi: Any) -> tuple[int, ...]:
        return find_window_size(SlidingWindowInferer(roi_size=roi), (40, 30, 20))

    assert size((16, 16, 8)) == (16, 16, 8)
    assert size(16) == (16, 16, 16)
    assert size((16, -1, 0)) == (16, 30, 20)


class Memory(TorchDispatchMode):
    """The bytes of all tensors that operations made and that are alive, at most; not of those that were there."""

    def __init__(self, *there: Tensor) -> None:
        super().__init__()
        self.peak = 0
        self._there = {tensor.untyped_storage()._cdata for tensor in there}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor) and (storage := output.untyped_storage())._cdata not in self._there:
            self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return output


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 20_000, 32 << 20])
@pytest.mark.parametrize("strips", [1, 3])
@pytest.mark.parametrize("shape", [(14, 33, 31), (3, 33, 31), (14, 33, 2)])
def test_a_slab_takes_no_more_than_is_said(
    shape: tuple[int, ...], strips: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "CHUNK_BYTES", chunk)
    size = (6, 6, 6)
    inferer = SlidingWindowInferer(roi_size=size, sw_batch_size=1, overlap=0.25, mode="gaussian")
    some = Windows(inferer, noise(shape), classes=CLASSES, device=CPU)
    said = some.slab_bytes(strips)
    output = torch.zeros(1, CLASSES, *size)
    peaks = []
    for strip in some.strips(strips):
        with Memory(some.image, some.weights, output) as memory:
            # The rows are discarded.
            deque(some.rows(lambda _: output, strip), maxlen=0)
        peaks.append(memory.peak)
    # Besides there is what belongs to one window: its voxels, twice while they are stacked, and its weighted logits.
    window = 4 * prod(size)
    assert max(peaks) <= said + (CLASSES + 2) * window
    # And it is not far less: the slab itself, without the rows.
    row = 4 * max(high - low for low, high in some.strips(strips)) * some.padded[2]
    assert max(peaks) > size[0] * row * (CLASSES + 1)
    if strips > 1:
        assert said < some.slab_bytes()
