"""Keep which sample each loading process works on, so that a message can name the case of one that was killed."""

from __future__ import annotations

import mmap
import struct
from typing import Any

from torch.utils.data import get_worker_info

__all__ = ["BusyPlaces"]

_MAX_PROCESSES = 256
_NUMBER = struct.Struct("q")


class BusyPlaces:
    """The place of the sample that each process of a data loader works on.

    It is in memory that forked processes share, and stays when one is killed. Copies, and processes that are not
    forked, have none and keep nothing.
    """

    def __init__(self) -> None:
        self._shared: mmap.mmap | None = mmap.mmap(-1, _MAX_PROCESSES * _NUMBER.size)

    def __getstate__(self) -> dict[str, Any]:
        return {"_shared": None}

    def begin(self, place: int) -> None:
        """Keep that this process works on a sample; in the main process nothing is kept."""
        self._write(place + 1)

    def end(self) -> None:
        """Keep that this process works on none."""
        self._write(0)

    def list(self) -> list[int]:
        """Return the places of all samples that are worked on, in the order of the processes."""
        if self._shared is None:
            return []
        numbers = (number for (number,) in _NUMBER.iter_unpack(self._shared[:]))
        return [number - 1 for number in numbers if number > 0]

    def _write(self, number: int) -> None:
        worker = get_worker_info()
        if worker is not None and self._shared is not None and worker.id < _MAX_PROCESSES:
            _NUMBER.pack_into(self._shared, worker.id * _NUMBER.size, number)
