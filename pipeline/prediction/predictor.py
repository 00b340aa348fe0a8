"""One scan in, one label map out: a bundle's inference, streamed so that memory does not grow with the classes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from torch import Tensor

from ..data.amounts import parse_memory
from ..data.errors import InputError
from ..data.images.door import read_header
from ..data.images.header import Header
from ..data.read_scan import read_scan
from ..data.reader import load_scan
from ..inference.places import compute_grid_change
from ..inference.restore import ScanGridLabels
from ..inference.windows import Windows, find_window_size
from .arrays import as_files, as_scan
from .header_bytes import preparing_bytes
from .header_notes import header_notes
from .memory import Budget, MemoryWatch, reading_bytes, resident_bytes
from .parts import read_parts
from .prediction import Prediction, Prepared
from .settings import runtime_device, thread_count

__all__ = ["Predictor"]


class Predictor:
    """A bundle that is ready to segment: its network and kernels are prepared once for any number of scans.

    Args:
        bundle: the bundle's folder.
        checkpoint: weights instead of the bundle's own; of a list the probabilities are averaged.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over mirrored inputs, along the axes that training mirrored.
        fast: let windows overlap by a quarter instead of what the bundle says.
        memory: what this process may have in memory, in bytes or as text such as ``"4GB"``; None: no bound.
        threads: CPU threads, for the whole process as PyTorch has it; None: as they are.
        postprocessing: whether the label map is post-processed as the bundle declares.
        settings: further overrides of the inference config, by id.
        runtime: ``"pytorch"``, or ``"openvino"`` where that is installed, which is faster on a CPU.

    Raises:
        InputError: the bundle, a setting, weights or the runtime cannot be used, or memory is less than is needed.
    """

    def __init__(
        self,
        bundle: str | Path,
        *,
        checkpoint: str | Path | Sequence[str | Path] | None = None,
        device: str = "auto",
        tta: bool = False,
        fast: bool = False,
        memory: int | str | None = None,
        threads: int | None = None,
        postprocessing: bool = True,
        settings: Mapping[str, Any] | None = None,
        runtime: str = "pytorch",
    ) -> None:
        if isinstance(memory, str):
            memory = parse_memory(memory)
        if thread_count(threads) is not None:
            torch.set_num_threads(int(threads or 1))
        checkpoints = [checkpoint] if isinstance(checkpoint, str | Path) else list(checkpoint or ())
        self.parts = read_parts(
            bundle,
            checkpoints=checkpoints,
            device=runtime_device(runtime, device),
            tta=tta,
            fast=fast,
            postprocessing=postprocessing,
            settings=settings,
            runtime=runtime,
        )
        self.watch = MemoryWatch()
        self.budget = Budget(memory, self.parts.device, window=self._warm_up())

    def __call__(
        self,
        scan: str | Path | Sequence[str | Path] | NDArray[Any] | Tensor,
        *,
        affine: NDArray[Any] | None = None,
        probabilities: bool = False,
        uncertainty: bool = False,
    ) -> Prediction:
        """Segment one scan.

        Args:
            scan: a file, a DICOM series folder, or a list of files with one channel each; or voxels, (X, Y[, Z])
                or with channels first, as an array or a MetaTensor, in the scan's own units.
            affine: of an array, 4x4, voxel to world (mm, RAS); a MetaTensor has its own. Without one voxels are taken
                to have the bundle's orientation and spacing.
            probabilities: whether they are wanted, all classes in the scan's grid.
            uncertainty: whether the entropy and its mean are wanted.

        Raises:
            InputError: the scan cannot be used, or memory does not suffice for it.
        """
        prepared = self.prepare(scan, affine=affine)
        kept = None
        if probabilities:
            self.budget.require(4 * self.parts.classes * prod(prepared.scan_shape), prepared.scan_shape)
            kept = np.zeros((*prepared.scan_shape, self.parts.classes), np.float32)
        return self.segment(prepared, probabilities=kept, uncertainty=uncertainty)

    def prepare(
        self, scan: str | Path | Sequence[str | Path] | NDArray[Any] | Tensor, *, affine: NDArray[Any] | None = None
    ) -> Prepared:
        """Read, check and pre-process a scan; arguments and errors are those of a call."""
        start = time.perf_counter()
        notes: tuple[str, ...] = ()
        header: Header | None = None
        if isinstance(scan, np.ndarray | Tensor):
            image = as_scan(scan, affine, self.parts)
        else:
            files = as_files(scan)
            image, header = self._read(files)
            notes = header_notes(header, modality=self.parts.modality)
        scan_shape, scan_affine = tuple(image.shape[1:]), _four(image.affine)
        for transform in self.parts.preprocessing.transforms:
            # Nothing but the last result is kept: of a large scan each takes as much again.
            image = transform({"image": image})["image"]
        network_affine = _four(image.affine)
        return Prepared(
            image.as_tensor().cpu().contiguous(),
            network_affine,
            scan_shape,
            scan_affine,
            time.perf_counter() - start,
            (*notes, *_notes(scan_shape, len(scan_shape))),
            header,
        )

    def segment(
        self,
        prepared: Prepared,
        *,
        probabilities: NDArray[np.float32] | None = None,
        uncertainty: bool = False,
        reserved: int = 0,
        progress: Callable[[float], Any] | None = None,
    ) -> Prediction:
        """Segment a prepared scan.

        Args:
            prepared: as `prepare` gives it.
            probabilities: float32 array (*scan's shape, K) to fill with them, or None.
            uncertainty: whether the entropy and its mean are wanted.
            reserved: bytes of the memory that something else will take meanwhile.
            progress: called with the share of the windows that were done since the last call.

        Raises:
            InputError: memory does not suffice for this scan.
        """
        start = time.perf_counter()
        parts = self.parts
        windows = Windows(parts.inferer, prepared.image, classes=parts.classes, device=parts.device)
        shape = _three(prepared.scan_shape)
        entropy = np.zeros(shape, np.float32) if uncertainty else None
        restored = ScanGridLabels(
            shape,
            _three(prepared.image.shape[1:]),
            compute_grid_change(prepared.affine, prepared.scan_affine),
            classes=parts.classes,
            probabilities=None if probabilities is None else probabilities.reshape(*shape, parts.classes),
            entropy=entropy,
        )
        timed = _Timed(parts.network)
        # These are not counted as taken before they are written to.
        own = restored.labels.nbytes + (0 if entropy is None else entropy.nbytes)
        strips = windows.strips(self.budget.strips(windows, prepared.scan_shape, reserved=reserved + own))
        total = windows.count(len(strips))

        def done(count: int) -> None:
            if progress is not None:
                progress(count / total)

        for strip in strips:
            for rows in windows.rows(timed, strip, done=done):
                restored.add(rows.start, rows.logits, second=strip[0])
        labels = self._cleaned(restored.labels.reshape(prepared.scan_shape), prepared.scan_affine)
        spent = time.perf_counter() - start
        return Prediction(
            labels,
            prepared.scan_affine,
            parts.table,
            probabilities,
            None if entropy is None else entropy.reshape(prepared.scan_shape),
            None if entropy is None else _mean_entropy(entropy, labels),
            {"preparing": prepared.seconds, "network": timed.seconds, "windows": spent - timed.seconds},
            prepared.notes,
            prepared.header,
        )

    def _read(self, paths: Sequence[str]) -> tuple[MetaTensor, Header]:
        """Read and check a scan, each file decoded once, and return it with its first file's header."""
        self._require_memory(paths)
        volumes = read_scan(paths, channels=self.parts.channels, spatial_dims=self.parts.spatial_dims)
        return load_scan(self.parts.loader, paths, volumes), volumes[0].header

    def _cleaned(self, labels: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
        if not self.parts.clean.transforms:
            return labels
        case = {"pred": MetaTensor(torch.as_tensor(labels)[None], affine=torch.as_tensor(affine))}
        cleaned: NDArray[Any] = np.asarray(self.parts.clean(case)["pred"].as_tensor()[0])
        return cleaned.astype(labels.dtype, copy=False)

    def _warm_up(self) -> int:
        """Run one batch of windows, so that kernels are chosen and made, and return the memory it took."""
        parts, inferer = self.parts, self.parts.inferer
        size = find_window_size(inferer, [64] * parts.spatial_dims)
        image = torch.zeros((parts.channels, *size))
        image[..., 0] = 1
        windows = Windows(inferer, image, classes=parts.classes, device=parts.device)
        before = resident_bytes()
        self.watch.restart()
        if parts.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(parts.device)
        network = parts.network
        for _ in windows.rows(lambda one: network(one.expand(inferer.sw_batch_size, *one.shape[1:]))[:1]):
            pass
        if parts.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(parts.device))
        return max(0, self.watch.part_bytes() - before)

    def bytes_ahead(self, files: Sequence[str]) -> int:
        """Return what reading and preparing a scan takes; 0 where nothing bounds it.

        Raises:
            InputError: its header cannot be read.
        """
        return 0 if self.budget.memory is None else preparing_bytes(read_header(files[0]), self.parts)[0]

    def bytes_beside(self, prepared: Prepared) -> int:
        """Return what reading a scan once more takes, for its picture or statistics; 0 where nothing bounds it."""
        if self.budget.memory is None:
            return 0
        return reading_bytes(prod(prepared.scan_shape), channels=self.parts.channels)

    def holds(self, prepared: Prepared, more: int, *, uncertainty: bool) -> bool:
        """Tell whether memory suffices for segmenting a scan without strips, and for so many bytes more."""
        parts = self.parts
        windows = Windows(parts.inferer, prepared.image, classes=parts.classes, device=parts.device)
        own = prod(prepared.scan_shape) * (2 + 4 * uncertainty)
        return self.budget.holds(windows, own + more)

    def _require_memory(self, files: Sequence[str]) -> None:
        if self.budget.memory is None:
            return
        try:
            needed, shape = preparing_bytes(read_header(files[0]), self.parts)
        except InputError:
            # What is wrong with a file is told by reading it, better than by its header.
            return
        self.budget.require(needed, shape)


def _three(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with three axes."""
    return (*shape, 1, 1)[:3]


def _four(affine: Any) -> NDArray[np.float64]:
    """Return an affine as 4x4."""
    expanded: NDArray[np.float64] = to_affine_nd(3, np.asarray(affine, dtype=np.float64))
    return expanded


def _notes(shape: Sequence[int], dims: int) -> tuple[str, ...]:
    thin = [axis for axis in range(dims) if shape[axis] == 1]
    return tuple(f"one voxel thick along axis {axis}: the network sees nothing in that direction" for axis in thin)


def _mean_entropy(entropy: NDArray[np.float32], labels: NDArray[Any]) -> float:
    inside = entropy.reshape(labels.shape)[labels > 0]
    return float(inside.mean(dtype=np.float64)) if inside.size else float("nan")


class _Timed:
    """A network that counts the seconds it takes."""

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self.network = network
        self.seconds = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        start = time.perf_counter()
        # As under MONAI's runner, whose configs set a seed: the same scan gives the same bytes.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            output = self.network(x)
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        self.seconds += time.perf_counter() - start
        return output
