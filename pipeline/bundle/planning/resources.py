"""Memory, device and hours that a plan is made for, and what a network takes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...data.errors import InputError
from ...memory import free_bytes
from ..render import read_skip, recipes_folder
from .choice import Choice
from .fingerprint import Fingerprint
from .geometry import shape_at
from .memory import MemoryEstimate, estimate_memory
from .pace import ASSUMED_SPEEDUP, measure_pace
from .size import PATCHES, Size

__all__ = ["GIB", "Resources"]

GIB = 2**30
_OF_FREE_RAM = 0.8
_OF_GPU = 0.9
_SpecOf = Callable[[Size], dict[str, Any]]


class Resources:
    """What there is to train with. Estimates and measurements are kept, so that asking again costs nothing.

    Args:
        memory: bytes; None takes 80 % of the memory that is free now, of a GPU 90 % of what it has.
        device: "cpu" or "cuda"; None takes a GPU if there is one.
        hours: that training may take.

    Raises:
        InputError: an argument is out of range, this machine has GPUs but not this one, or memory is not given for a
            GPU that is not here.
    """

    def __init__(self, *, memory: int | None = None, device: str | None = None, hours: float = 1.0) -> None:
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if re.fullmatch(r"cpu|cuda(:\d+)?", self.device) is None:
            raise InputError("--device", found=device or "", expected="cpu, cuda or cuda:N", remedy="give one of these")
        here, number = torch.cuda.device_count(), int(self.device.partition(":")[2] or 0)
        if self.device != "cpu" and 0 < here <= number:
            raise InputError(
                "--device",
                found=f"{self.device}, with {here} GPU{'s' * (here > 1)} in this machine",
                expected=f"cuda:0{f' to cuda:{here - 1}' * (here > 1)}",
                remedy="give one of these",
            )
        if not 0 < hours < float("inf"):
            raise InputError("--hours", found=str(hours), expected="a number above 0", remedy="give another one")
        self.hours = hours
        self.memory = memory if memory is not None else self._found_memory()
        self._estimates: dict[Any, MemoryEstimate] = {}
        self._paces: dict[Any, float] = {}
        self._context: tuple[Fingerprint, _SpecOf] | None = None
        self.spacing: list[float] = []

    def at(self, fingerprint: Fingerprint, spacing: list[float], spec: _SpecOf) -> None:
        """Say what is planned: a dataset, at a spacing (mm), with the network whose spec `spec` returns for a size."""
        self._context = (fingerprint, spec)
        self.spacing = spacing
        self._estimates.clear()

    def estimate(self, size: Size) -> MemoryEstimate:
        """Estimate what training with this size takes, with all prepared cases in memory."""
        key = (size.width, size.batch, tuple(size.levels.patch))
        if key not in self._estimates:
            fingerprint, spec = self._planned()
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
        """Bytes that training takes at least: prepared cases can stay on disk."""
        estimate = self.estimate(size)
        # On a GPU the prepared cases lie in the machine's memory, not in its own.
        return int(estimate.total - (estimate.cache if estimate.device == "cpu" else 0))

    def planned_memory(self, size: Size) -> int:
        """Bytes of the device's memory that training takes with the cases that `cache_rate` keeps there."""
        kept = self.cache_rate(size).value * self.estimate(size).cache if self.device == "cpu" else 0
        return self.memory_of(size) + int(kept)

    def seconds_of(self, size: Size) -> float:
        """Seconds per patch in training, from a small patch that was timed on this machine."""
        _, spec = self._planned()
        # The finest two levels take nearly all of the time, so a level more or less below them is not timed anew.
        key = (size.width, tuple(map(tuple, size.levels.kernels[:2])))
        if key not in self._paces:
            self._paces[key] = measure_pace(spec(size), size.levels.divisor, device=self.device)
        return self._paces[key] * size.voxels

    def pace_source(self) -> str:
        """Say where the seconds per patch come from."""
        if self.device == "cpu":
            threads = torch.get_num_threads()
            return f"timed on this machine with {threads} thread{'s' * (threads > 1)}"
        if torch.cuda.is_available():
            return "timed on this machine's GPU"
        return f"assumed: {ASSUMED_SPEEDUP:g} times as fast as this machine's CPU, having no GPU here"

    def width_reason(self, size: Size) -> str:
        """Say why the network is as wide as it is."""
        if self.seconds_of(size) * PATCHES > self.hours * 3600:
            return f"the narrowest, and not even with it {PATCHES:,} patches fit into {self.hours:g} h"
        return (
            f"the widest with which {PATCHES:,} patches fit into {self.hours:g} h, and a step into "
            f"{self.memory / GIB:.3g} GiB"
        )

    def cache_rate(self, size: Size) -> Choice:
        """Choose the share of the prepared cases that stays in memory."""
        estimate = self.estimate(size)
        # Of a machine that is not here, no more RAM is assumed than this one has.
        ram = self.memory if self.device == "cpu" else _OF_FREE_RAM * free_bytes()
        room = ram - (estimate.host - estimate.cache)
        of_machine = "" if self.device == "cpu" else " (RAM, not the GPU's)"
        if room >= estimate.cache:
            return Choice(1.0, f"all prepared cases in memory{of_machine}: {estimate.cache / GIB:.2g} GiB")
        rate = float(np.floor(max(room, 0) / estimate.cache * 100) / 100)
        return Choice(
            rate,
            f"of the prepared cases in memory{of_machine}, the others on disk: all would take "
            f"{estimate.cache / GIB:.2g} GiB",
        )

    def skip_argument(self, skip: str) -> Any:
        """Give what a skip's name stands for in the network's arguments."""
        return read_skip(skip, recipes_folder() / "skips", Path("--skip"))["skip"]

    def require_enough(self, size: Size) -> None:
        """Raise InputError where not even this size fits into memory."""
        needed = self.memory_of(size)
        if needed > self.memory:
            raise InputError(
                "--memory",
                found=f"{self.memory / GIB:.2g} GiB",
                expected=f"at least {needed / GIB:.2g} GiB, which the smallest network takes with this dataset's scans",
                remedy="give more memory, or work at a coarser --spacing",
            )

    def _planned(self) -> tuple[Fingerprint, _SpecOf]:
        if self._context is None:
            msg = "say what is planned first: Resources.at"
            raise RuntimeError(msg)
        return self._context

    def _found_memory(self) -> int:
        if self.device == "cpu":
            return int(_OF_FREE_RAM * free_bytes())
        if not torch.cuda.is_available():
            raise InputError(
                "--memory",
                found="no GPU here to ask how much memory it has",
                expected="the memory of the GPU that will train",
                remedy="give it: --memory 24GB",
            )
        return int(_OF_GPU * torch.cuda.get_device_properties(self.device).total_memory)
