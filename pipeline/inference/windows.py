"""Sliding-window inference that yields finished rows of logits and keeps only one slab in memory.

Windows, their order, weights and arithmetic are those of MONAI's ``sliding_window_inference``. Logits are bit-identical
to MONAI's, except where windows hold one value only. MONAI keeps (classes, X, Y, Z) in memory; this keeps only the rows
(along the first spatial axis) of one window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.inferer import SlidingWindowInferer
from torch import Tensor
from torch.nn import functional

from .buffers import Buffers
from .inferers import apply_precision
from .smaller_batches import with_smaller_batches

__all__ = ["CHUNK_BYTES", "Rows", "Windows", "find_window_size"]

CHUNK_BYTES = 32 << 20
_COPIES = 5  # of finished rows: logits, probabilities, these joined to the previous row, and temporary arrays
_Window = tuple[slice, ...]


class Rows(NamedTuple):
    """Finished rows of logits.

    Attributes:
        start: index of the first row along the first spatial axis.
        logits: (K, rows, *others), float32. Their memory is used again for the next rows.
    """

    start: int
    logits: Tensor


class Windows:
    """The windows of one image.

    Args:
        inferer: MONAI's sliding-window inferer, or LightSkip's with a precision. Its window size, overlap, weighting
            and padding are used; its buffering is not.
        image: (C, *spatial), on the CPU.
        classes: number of the network's output channels.
        device: device of the network and of the slab.
    """

    def __init__(self, inferer: SlidingWindowInferer, image: Tensor, *, classes: int, device: torch.device) -> None:
        self.inferer, self.classes, self.device = inferer, classes, device
        self.shape = tuple(image.shape[1:])
        dims = len(self.shape)
        self.size = find_window_size(inferer, self.shape)
        # Pad like MONAI: half before, the odd voxel after.
        gaps = [max(size - length, 0) for size, length in zip(self.size, self.shape, strict=True)]
        self.before = tuple(gap // 2 for gap in gaps)
        pad = [side for gap in reversed(gaps) for side in (gap // 2, gap - gap // 2)]
        if any(pad):
            image = functional.pad(image[None], pad, mode=inferer.padding_mode, value=inferer.cval)[0]
        self.image = image
        self.padded = tuple(image.shape[1:])
        overlap = inferer.overlap if isinstance(inferer.overlap, Sequence) else [inferer.overlap] * dims
        self.slices = _place_windows(self.padded, self.size, overlap)
        self.weights = compute_importance_map(
            self.size, mode=inferer.mode, sigma_scale=inferer.sigma_scale, device=device, dtype=torch.float32
        )
        self._buffers = Buffers(device)

    def strips(self, max_strips: int) -> list[tuple[int, int]]:
        """Return at most `max_strips` ranges that cover the second spatial axis.

        Neighbours share a line, for interpolation between them.
        """
        length = self.shape[1]
        strips = max(1, min(max_strips, length - 1))
        edges = [round((length - 1) * number / strips) for number in range(strips + 1)]
        return [(low, high + 1) for low, high in pairwise(edges)]

    def slab_bytes(self, strips: int = 1) -> int:
        """Return the maximum memory of a strip in bytes: its slab, and the copies of the rows that it yields."""
        width = max(high - low for low, high in self.strips(strips))
        row = 4 * width * prod(self.padded[2:])
        yielded = max(CHUNK_BYTES, row * self.classes)
        return self.size[0] * row * (self.classes + 1) + _COPIES * yielded

    def count(self, strips: int = 1) -> int:
        """Return the number of windows that the network computes."""
        before = self.before[1]
        return sum(len(self._select_windows(before + low, before + high)) for low, high in self.strips(strips))

    def rows(
        self,
        network: Callable[[Tensor], Tensor],
        strip: tuple[int, int] | None = None,
        *,
        done: Callable[[int], Any] | None = None,
    ) -> Iterator[Rows]:
        """Run the network and yield finished rows in order, each once, without the padding.

        A window that has the same value in every voxel of a channel (clipped air, padding) is computed once: further
        windows with the same values have the same output.

        Args:
            network: takes (N, C, *size), returns (N, K, *size). It runs without gradients.
            strip: the range of the image's second axis to compute; None for all of it. Windows that reach into two
                strips are computed for both.
            done: called with the number of windows just finished.
        """
        low, high = (self.before[1] + edge for edge in strip or (0, self.shape[1]))
        others = (high - low, *self.padded[2:])
        depth = self.size[0]
        # The slab is a ring: it has row r of the image at index r modulo depth.
        total = torch.zeros((self.classes, depth, *others), device=self.device)
        weight = torch.zeros((depth, *others), device=self.device)
        slices = self._select_windows(low, high)
        run = apply_precision(network, torch.empty(0, device=self.device), _find_precision(self.inferer))
        finished = slices[0][0].start
        for window, output in self._run_windows(slices, run, done):
            # The window's last rows replace, in the ring, rows that no further window reaches.
            if window[0].start > finished:
                yield from self._yield_finished(finished, window[0].start, total, weight)
                finished = window[0].start
            self._add(output, window, low, high, total, weight)
        yield from self._yield_finished(finished, self.padded[0], total, weight)

    def _run_windows(
        self, slices: Sequence[_Window], run: Callable[[Tensor], Tensor], done: Callable[[int], Any] | None
    ) -> Iterator[tuple[_Window, Tensor]]:
        """Yield each window with its logits (K, *size), in order. The network computes full batches."""
        known: dict[tuple[float, ...], Tensor] = {}
        waiting: list[tuple[_Window, tuple[float, ...] | None, int]] = []
        new: list[Tensor] = []
        for number, window in enumerate(slices, start=1):
            voxels = self.image[(slice(None), *window)]
            value = _find_constant(voxels)
            same = [place for _, other, place in waiting if value is not None and other == value]
            waiting.append((window, value, same[0] if same else len(new)))
            if value not in known and not same:
                new.append(voxels)
            if new and len(new) < self.inferer.sw_batch_size and number < len(slices):
                continue
            outputs = with_smaller_batches(self.inferer, partial(self._compute, run, new)) if new else ()
            for place, found, index in waiting:
                yield place, known[found] if found in known else outputs[index]
            if done is not None:
                done(len(waiting))
            constant = [(found, index) for _, found, index in waiting if found is not None and found not in known]
            if constant:
                # Keep only the last one, as a copy: a view would keep the whole batch's output in memory.
                known = {found: outputs[index].clone() for found, index in constant[-1:]}
            waiting, new = [], []

    def _compute(self, run: Callable[[Tensor], Tensor], windows: Sequence[Tensor]) -> Tensor:
        """Return the logits (N, K, *size) of windows, computed in batches of the inferer's size."""
        size = max(1, int(self.inferer.sw_batch_size))
        with torch.inference_mode():
            if len(windows) <= size:
                return run(torch.stack(list(windows)).to(self.device))
            # A network may use the memory of its output again.
            parts = [windows[first : first + size] for first in range(0, len(windows), size)]
            return torch.cat([run(torch.stack(list(part)).to(self.device)).clone() for part in parts])

    def _select_windows(self, low: int, high: int) -> list[_Window]:
        """Return the windows that reach into a range of the padded image's second axis."""
        return [window for window in self.slices if window[1].start < high and window[1].stop > low]

    def _add(self, output: Tensor, window: _Window, low: int, high: int, total: Tensor, weight: Tensor) -> None:
        """Add one window's logits (K, *size) and weights to the ring."""
        start, stop = max(window[1].start, low), min(window[1].stop, high)
        inner = slice(start - window[1].start, stop - window[1].start)
        place = (slice(start - low, stop - low), *window[2:])
        for ring, part in _split_at_ring_end(window[0].start, window[0].stop, self.size[0]):
            weights = self.weights[(part, inner)]
            weighted = self._buffers.get("weighted", weights.shape)
            for number, one in enumerate(output):
                # Class by class, because a product of all classes would be written to memory and read back. In two
                # steps, because addcmul rounds once where MONAI rounds twice.
                total[number][(ring, *place)].add_(torch.mul(one[(part, inner)], weights, out=weighted))
            weight[(ring, *place)] += weights

    def _yield_finished(self, start: int, stop: int, total: Tensor, weight: Tensor) -> Iterator[Rows]:
        """Yield the rows from `start` to `stop` of the padded image in small parts, and clear them in the ring."""
        kept = [slice(gap, gap + length) for gap, length in zip(self.before[2:], self.shape[2:], strict=True)]
        step = max(1, CHUNK_BYTES // (4 * self.classes * prod(total.shape[2:])))
        for first in range(start, stop, step):
            for ring, part in _split_at_ring_end(first, min(first + step, stop), self.size[0]):
                begin = first + part.start - self.before[0]
                skip = max(0, -begin)
                count = min(part.stop - part.start, self.shape[0] - begin)
                if skip < count:
                    rows = (slice(ring.start + skip, ring.start + count), slice(None), *kept)
                    sums = total[(slice(None), *rows)]
                    logits = torch.div(sums, weight[rows], out=self._buffers.get("logits", sums.shape))
                    yield Rows(begin + skip, logits)
                total[:, ring] = 0
                weight[ring] = 0


def find_window_size(inferer: SlidingWindowInferer, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the inferer's window size (voxels) for an image of this shape. Sizes up to 0 become the image's length."""
    sizes = inferer.roi_size if isinstance(inferer.roi_size, Sequence) else [inferer.roi_size] * len(shape)
    return tuple(int(size) if size and size > 0 else length for size, length in zip(sizes, shape, strict=True))


def _find_constant(window: Tensor) -> tuple[float, ...] | None:
    """Return each channel's value if a window (C, *size) has only one per channel, else None."""
    flat = window.flatten(1)
    first = flat[:, 0]
    # Most windows already differ in a sample of their voxels. The whole window is compared only if that is constant.
    for part in (flat[:, :: max(1, flat.shape[1] // 64)], flat):
        if not bool((part == first[:, None]).all()):
            return None
    return tuple(first.tolist())


def _place_windows(shape: Sequence[int], size: Sequence[int], overlap: Sequence[float]) -> list[_Window]:
    """Return the windows' positions, in MONAI's order."""
    # MONAI's function for the steps is private. This is the same rule.
    steps = [
        length if length == side else max(1, int(side * (1 - share)))
        for length, side, share in zip(shape, size, overlap, strict=True)
    ]
    places: list[_Window] = dense_patch_slices(shape, size, steps)
    return places


def _split_at_ring_end(start: int, stop: int, depth: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of the ring that hold the rows, with the same rows counted from `start`. At most `depth` rows."""
    first = start
    while first < stop:
        position = first % depth
        count = min(stop - first, depth - position)
        yield slice(position, position + count), slice(first - start, first - start + count)
        first += count


def _find_precision(inferer: SlidingWindowInferer) -> str:
    return str(getattr(inferer, "precision", "float32"))
