"""The memory, device and hours of a plan, and estimates of what a network takes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ...data.amounts import check_hours
from ...data.errors import InputError
from ...memory import free_bytes
from ..least_memory import GIB, require_memory, require_process
from .choice import Choice
from .fingerprint import Fingerprint
from .geometry import shape_at
from .memory import MemoryEstimate, estimate_memory
from .pace import ASSUMED_SPEEDUP, measure_pace
from .size import PATCHES, Size

__all__ = ["GIB", "Resources"]

_RAM_SHARE = 0.8
_GPU_SHARE = 0.9
_SpecOf = Callable[[Size], dict[str, Any]]


class Resources:
    """The memory, device and hours for training. Estimates and measurements are cached.

    Args:
        memory: bytes; None takes 80 % of the free memory, or 90 % of a GPU's memory.
        device: "cpu" or "cuda"; None takes a GPU if there is one.
        hours: limit for the training, at most a year.

    Raises:
        InputError: an argument is out of range, the memory is less than a training takes without network and scans,
            this machine has GPUs but not this one, or there is no GPU here and its memory is not given.
    """

    def __init__(self, *, memory: int | None = None, device: str | None = None, hours: float = 1.0) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if re.fullmatch(r"cpu|cuda(:\d+)?", self.device) is None:
            raise InputError("--device", found=device or "", expected="cpu, cuda or cuda:N", remedy="use one of these")
        here, number = torch.cuda.device_count(), int(self.device.partition(":")[2] or 0)
        if self.device != "cpu" and 0 < here <= number:
            raise InputError(
                "--device",
                found=f"{self.device}, with {here} GPU{'s' * (here > 1)} in this machine",
                expected=f"cuda:0{f' to cuda:{here - 1}' * (here > 1)}",
                remedy="use one of these",
            )
        check_hours(hours)
        self.hours = hours
        self.memory = memory if memory is not None else self._find_memory()
        # Before any scan is read or network timed.
        require_process(self.memory, self.device)
        self._estimates: dict[Any, MemoryEstimate] = {}
        self._paces: dict[Any, float] = {}
        self._context: tuple[Fingerprint, _SpecOf] | None = None
        self.spacing: list[float] = []

    def plan_for(self, fingerprint: Fingerprint, spacing: list[float], spec: _SpecOf) -> None:
        """Set what the estimates are for: a dataset, a spacing (mm), and the network's spec for a size."""
        self._context = (fingerprint, spec)
        self.spacing = spacing
        self._estimates.clear()

    def estimate(self, size: Size) -> MemoryEstimate:
        """Estimate the memory of a training with this size, with all prepared cases in memory."""
        key = (size.width, size.batch, tuple(size.levels.patch))
        if key not in self._estimates:
            fingerprint, spec = self._require_task()
            shapes = fingerprint.shapes * fingerprint.spacings / np.asarray(self.spacing)
            training = [int(voxels) for voxels in shapes.prod(axis=1)]
            self._estimates[key] = estimate_memory(
                spec(size),
                patch=size.levels.patch,
                batch=size.batch,
                window=size.levels.patch,
                largest_scan=shape_at(fingerprint, self.spacing, largest=True).tolist(),
                largest_native=fingerprint.shapes[np.argmax(fingerprint.shapes.prod(axis=1))].tolist(),
                cases_voxels=training,
                device=self.device,
            )
        return self._estimates[key]

    def memory_of(self, size: Size) -> int:
        """Return the bytes that training takes at least, with the prepared cases on disk."""
        estimate = self.estimate(size)
        # A GPU's total does not count the prepared cases: they are in the machine's memory.
        return int(estimate.total - (estimate.cache if estimate.device == "cpu" else 0))

    def planned_memory(self, size: Size) -> int:
        """Return the bytes of the device that training takes with the prepared cases that `cache_rate` keeps there."""
        kept = self.cache_rate(size).value * self.estimate(size).cache if self.device == "cpu" else 0
        return self.memory_of(size) + int(kept)

    def seconds_of(self, size: Size) -> float:
        """Return the seconds per patch in training, from a small patch that is timed on this machine."""
        _, spec = self._require_task()
        # The finest two levels take nearly all of the time, so another depth below them is not timed again.
        key = (size.width, tuple(map(tuple, size.levels.kernels[:2])))
        if key not in self._paces:
            self._paces[key] = measure_pace(spec(size), size.levels.divisor, device=self.device)
        return self._paces[key] * size.voxels

    @property
    def threads(self) -> int | None:
        """Threads of the CPU with which patches are timed, and with which training computes too; None on a GPU."""
        return torch.get_num_threads() if self.device == "cpu" else None

    def pace_source(self) -> str:
        """Return the source of the seconds per patch, in words."""
        threads = self.threads
        if threads is not None:
            return f"timed on this machine with {threads} thread{'s' * (threads > 1)}"
        if torch.cuda.is_available():
            return "timed on this machine's GPU"
        return f"assumed {ASSUMED_SPEEDUP:g} times as fast as this machine's CPU, as there is no GPU here"

    def width_reason(self, size: Size) -> str:
        """Return the reason for the network's width."""
        if self.seconds_of(size) * PATCHES > self.hours * 3600:
            return f"the narrowest, although {PATCHES:,} patches take more than {self.hours:g} h"
        return f"the widest for {PATCHES:,} patches in {self.hours:g} h and a step in {self.memory / GIB:.3g} GiB"

    def cache_rate(self, size: Size) -> Choice:
        """Choose the share of the prepared cases that stays in memory."""
        estimate = self.estimate(size)
        # A machine with a GPU is assumed to have as much RAM as this one.
        ram = self.memory if self.device == "cpu" else _RAM_SHARE * free_bytes()
        room = ram - (estimate.host - estimate.cache)
        of_machine = "" if self.device == "cpu" else " (RAM, not the GPU's)"
        if room >= estimate.cache:
            return Choice(1.0, f"all prepared cases in memory{of_machine}: {estimate.cache / GIB:.2g} GiB")
        rate = float(np.floor(max(room, 0) / estimate.cache * 100) / 100)
        return Choice(
            rate,
            f"of the prepared cases in memory{of_machine}, the others on disk: all of them take "
            f"{estimate.cache / GIB:.2g} GiB",
        )

    def require_enough(self, size: Size) -> None:
        """Raise InputError where not even this size fits into memory."""
        require_memory(
            self.memory,
            self.memory_of(size),
            purpose="for the smallest network and this dataset's scans",
            or_else=", or choose a coarser --spacing",
        )

    def _require_task(self) -> tuple[Fingerprint, _SpecOf]:
        if self._context is None:
            msg = "call Resources.plan_for first"
            raise RuntimeError(msg)
        return self._context

    def _find_memory(self) -> int:
        if self.device == "cpu":
            return int(_RAM_SHARE * free_bytes())
        if not torch.cuda.is_available():
            raise InputError(
                "--memory",
                found="no value, and no GPU here to ask",
                expected="the memory of the GPU that will train",
                remedy="add it, such as --memory 24GB",
            )
        return int(_GPU_SHARE * torch.cuda.get_device_properties(self.device).total_memory)
