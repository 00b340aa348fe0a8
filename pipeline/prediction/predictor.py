"""Segment one scan with a bundle, streamed so that memory does not grow with the number of classes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.utils import to_affine_nd
from numpy.typing import NDArray
from torch import Tensor

from ..bundle.at_hand.find import find_bundle
from ..data.errors import InputError
from ..data.images.door import read_header
from ..data.images.header import Header
from ..data.read_scan import read_scan
from ..data.reader import load_scan, loads_float
from ..inference.graph_network import count_graph_bytes
from ..inference.smaller_batches import with_smaller_batches
from ..inference.windows import Windows, find_window_size
from .arrays import as_files, as_scan
from .compare_scan import compare_scan, refuse_unlike
from .header_bytes import estimate_preparation
from .header_notes import header_notes
from .loaded_bundle import load_bundle
from .memory import Budget, MemoryWatch, reading_bytes, resident_bytes
from .option_checks import check_bundle, check_only, check_switches, check_window_count, list_weights
from .prediction import Prediction, Prepared
from .segment import segment_scan
from .settings import check_thread_count, memory_limit

__all__ = ["Predictor"]


class Predictor:
    """A loaded bundle, ready to segment any number of scans.

    Args:
        bundle: the bundle's folder, or its name: one that `lightskip bundles` lists.
        checkpoint: weights instead of the bundle's own; the probabilities of several are averaged.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over mirrored inputs, along the axes that training mirrored.
        dropout_samples: passes with dropout whose probabilities are averaged (Monte Carlo dropout), always the same for
            the same scan; 1: one pass without.
        fast: let windows overlap by a quarter, whatever the bundle says.
        memory: memory limit of this process, in bytes or as text such as ``"4GB"``; None: no limit.
        threads: CPU threads of PyTorch, for the whole process; None: unchanged.
        postprocessing: whether to post-process the label map as the bundle declares.
        settings: further overrides of the inference config, by id.
        runtime: ``"pytorch"``, ``"openvino"`` if that is installed, or ``"auto"``: the faster of the two here; or
            ``"int8"``, the network that `lightskip quantize` wrote beside the weights. On a GPU ``"auto"`` chooses how
            PyTorch runs: see `choose_gpu_way`.
        windows: number of windows that will be computed, which ``"auto"`` weighs against the time of converting the
            network for OpenVINO; None: many.
        only: runtime that ``"auto"`` continues, as its label maps are not mixed with another's; None if there is none.
        anyway: whether to segment scans that are unlike the training scans beyond reason, with a note, instead of
            refusing them.

    Raises:
        InputError: the bundle, a setting, the weights or the runtime cannot be used, weights are named twice, or an
            option is out of range or of another type.
    """

    def __init__(
        self,
        bundle: str | Path,
        *,
        checkpoint: str | Path | Sequence[str | Path] | None = None,
        device: str = "auto",
        tta: bool = False,
        dropout_samples: int = 1,
        fast: bool = False,
        memory: float | str | None = None,
        threads: int | None = None,
        postprocessing: bool = True,
        settings: Mapping[str, Any] | None = None,
        runtime: str = "auto",
        windows: float | None = None,
        only: str | None = None,
        anyway: bool = False,
    ) -> None:
        check_bundle(bundle)
        limit = memory_limit(memory)
        checkpoints = list_weights(checkpoint)
        check_switches(postprocessing=postprocessing, anyway=anyway)
        self.anyway = anyway
        check_window_count(windows)
        check_only(only)
        number = check_thread_count(threads)
        if number is not None:
            torch.set_num_threads(number)
        self.bundle = load_bundle(
            find_bundle(bundle),
            checkpoints=checkpoints,
            device=device,
            tta=tta,
            dropout_samples=dropout_samples,
            fast=fast,
            postprocessing=postprocessing,
            settings=settings,
            runtime=runtime,
            windows=windows,
            only=only,
        )
        self.watch = MemoryWatch()
        self.budget = Budget(limit, self.bundle.device, window=self._warm_up(windows))

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
            affine: 4x4, voxel to world (mm, RAS), of an array; a MetaTensor has its own. Without one the voxels are
                taken to have the bundle's orientation and spacing.
            probabilities: whether to return the probabilities of all classes or regions, in the scan's grid.
            uncertainty: whether to return the entropy and its mean.

        Raises:
            InputError: the scan cannot be used, is unlike the training scans beyond reason, or needs more memory than
                allowed.
        """
        check_switches(probabilities=probabilities, uncertainty=uncertainty)
        prepared = self.prepare(scan, affine=affine)
        kept = None
        if probabilities:
            self.budget.require(4 * self.bundle.classes * prod(prepared.scan_shape), prepared.scan_shape)
            kept = np.zeros((*prepared.scan_shape, self.bundle.classes), np.float32)
        return self.segment(prepared, probabilities=kept, uncertainty=uncertainty)

    def prepare(
        self, scan: str | Path | Sequence[str | Path] | NDArray[Any] | Tensor, *, affine: NDArray[Any] | None = None
    ) -> Prepared:
        """Read, check and pre-process a scan; arguments and errors are those of `__call__`."""
        start = time.perf_counter()
        notes: tuple[str, ...] = ()
        header: Header | None = None
        if isinstance(scan, np.ndarray | Tensor):
            image = as_scan(scan, affine, self.bundle)
        else:
            files = as_files(scan)
            image, header = self._read(files)
            notes = header_notes(header, modality=self.bundle.modality)
        notes += self._compare(image, header, "scan" if header is None else files[0])
        scan_shape, scan_affine = tuple(image.shape[1:]), _to_4x4(image.affine)
        for transform in self.bundle.preprocessing.transforms:
            # Keep only the last result: each takes as much memory as the scan.
            image = transform({"image": image})["image"]
        network_affine = _to_4x4(image.affine)
        return Prepared(
            image.as_tensor().cpu().contiguous(),
            network_affine,
            scan_shape,
            scan_affine,
            time.perf_counter() - start,
            (*notes, *_thin_axis_notes(scan_shape)),
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
            prepared: result of `prepare`.
            probabilities: float32 array (*scan's shape, K) to fill with the probabilities, or None.
            uncertainty: whether to return the entropy and its mean.
            reserved: bytes of the memory that other work takes at the same time.
            progress: called with the share of the windows that were done since the last call.

        Raises:
            InputError: the scan needs more memory than allowed.
        """
        return segment_scan(
            self.bundle,
            self.budget,
            prepared,
            probabilities=probabilities,
            uncertainty=uncertainty,
            reserved=reserved,
            progress=progress,
        )

    def _read(self, paths: Sequence[str]) -> tuple[MetaTensor, Header]:
        """Read and check a scan, decoding each file once, and return it with its first file's header."""
        self._require_memory(paths)
        channels, dims, loader = self.bundle.channels, self.bundle.spatial_dims, self.bundle.loader
        volumes = read_scan(paths, channels=channels, spatial_dims=dims, as_float=loads_float(loader))
        return load_scan(loader, paths, volumes), volumes[0].header

    def _compare(self, image: MetaTensor, header: Header | None, file: str) -> tuple[str, ...]:
        """Return notes on where a scan is unlike the training scans; raise InputError if it is so beyond reason."""
        bundle = self.bundle
        found = compare_scan(
            image.as_tensor().cpu().numpy(),
            _to_4x4(image.affine),
            bundle.training_scans,
            modality=bundle.modality,
            unit=None if header is None else header.unit,
        )
        if found.beyond and not self.anyway:
            raise refuse_unlike(file, found)
        unlike = f"unlike the training scans, and segmented anyway: {'; '.join(found.beyond)}" if found.beyond else ""
        return (*([unlike] if unlike else []), *(f"unlike the training scans: {note}" for note in found.notes))

    def _warm_up(self, count: float | None) -> int:
        """Run one batch of windows, so that kernels are chosen and compiled; return the bytes that it took.

        Args:
            count: number of windows that will be computed; None: many.
        """
        bundle, inferer = self.bundle, self.bundle.inferer
        size = find_window_size(inferer, [64] * bundle.spatial_dims)
        image = torch.zeros((bundle.channels, *size))
        image[..., 0] = 1
        windows = Windows(inferer, image, classes=bundle.classes, device=bundle.device)
        before = resident_bytes()
        self.watch.restart()
        if bundle.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(bundle.device)
        network = bundle.network

        def run_batch() -> None:
            # A scan of one window needs no more than that.
            batch = min(inferer.sw_batch_size, max(1, ceil(count or inferer.sw_batch_size)))
            for _ in windows.rows(lambda one: network(one.expand(batch, *one.shape[1:]))[:1]):
                pass

        with_smaller_batches(inferer, run_batch)
        if bundle.device.type == "cuda":
            # PyTorch counts the memory of graphs as free, and batches of another size need as much again without them.
            return int(torch.cuda.max_memory_allocated(bundle.device)) + 2 * count_graph_bytes(network)
        return max(0, self.watch.part_bytes() - before)

    def preparation_bytes(self, files: Sequence[str]) -> int:
        """Return the bytes that reading and preparing a scan takes; 0 without a memory limit.

        Raises:
            InputError: its header cannot be read.
        """
        return (
            0 if self.budget.memory is None else estimate_preparation(read_header(files[0], sized=True), self.bundle)[0]
        )

    def rereading_bytes(self, prepared: Prepared) -> int:
        """Return the bytes that reading a scan again takes, for preview or statistics; 0 without a memory limit."""
        if self.budget.memory is None:
            return 0
        return reading_bytes(prod(prepared.scan_shape), channels=self.bundle.channels)

    def has_room(self, prepared: Prepared, more: int, *, uncertainty: bool) -> bool:
        """Return whether segmenting a scan without strips, and `more` bytes, fit into memory."""
        bundle = self.bundle
        windows = Windows(bundle.inferer, prepared.image, classes=bundle.classes, device=bundle.device)
        own = prod(prepared.scan_shape) * (2 + 2 * (bundle.regions is not None) + 4 * uncertainty)
        return self.budget.has_room(windows, own + more)

    def _require_memory(self, files: Sequence[str]) -> None:
        if self.budget.memory is None:
            return
        try:
            needed, shape = estimate_preparation(read_header(files[0], sized=True), self.bundle)
        except InputError:
            # Reading the file reports its problems better than its header does.
            return
        self.budget.require(needed, shape)


def _to_4x4(affine: Any) -> NDArray[np.float64]:
    """Return an affine as 4x4."""
    expanded: NDArray[np.float64] = to_affine_nd(3, np.asarray(affine, dtype=np.float64))
    return expanded


def _thin_axis_notes(shape: Sequence[int]) -> tuple[str, ...]:
    thin = [axis for axis, length in enumerate(shape) if length == 1]
    return tuple(f"one voxel thick along axis {axis}: the network sees nothing in that direction" for axis in thin)
