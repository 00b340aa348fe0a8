"""Several processes that share the scans, as ``torchrun`` starts them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch.distributed.rendezvous import rendezvous

from ..data.errors import InputError

__all__ = ["Ranks"]

_Item = TypeVar("_Item")
_MAX_START = timedelta(minutes=10)
_PAUSE = 0.1  # seconds between two looks into the store


class Ranks:
    """This process among those that ``torchrun`` started, or the only process.

    The processes poll the store that ``torchrun`` provides: a collective operation would not release a waiting process
    when it is interrupted.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
        local: number of this process on its machine.

    Raises:
        InputError: the environment announces several processes, but the others do not start.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))
        # torchrun can restart all processes, and keeps the store.
        self._run = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = self._join_store() if self.count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process reports for all processes."""
        return self.rank == 0

    def share(self, items: Sequence[_Item]) -> list[_Item]:
        """Return this process's share of the items."""
        return list(items[self.rank :: self.count])

    def device(self, requested: str) -> str:
        """Return the device for this process: a GPU of its own, unless the user named one."""
        if self.count > 1 and requested in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local % torch.cuda.device_count()}"
        return requested

    def gather(self, item: Any) -> list[Any]:
        """Return every process's item, by rank, once all processes have called this. Call it once per process.

        Args:
            item: JSON types. Whoever reaches the store's port can write to it, so its content is data, and no pickle.
        """
        if self._store is None:
            return [item]
        self._store.set(self._key("result", self.rank), json.dumps(item))
        keys = [self._key("result", rank) for rank in range(self.count)]
        self._wait(keys)
        return [json.loads(self._store.get(key)) for key in keys]

    def publish(self, name: str, value: str) -> None:
        """Set a value that other processes receive. Only the first process does so."""
        if self._store is not None and self.first:
            self._store.set(self._key(name, self.rank), value)

    def receive(self, name: str) -> str:
        """Return the value that the first process has published, once it has."""
        if self._store is None:
            raise ValueError("one process alone has nothing to receive")
        key = self._key(name, 0)
        self._wait([key])
        return str(self._store.get(key).decode())

    def leave(self) -> None:
        """Wait until the first process has written everything; the first process then leaves last.

        ``torchrun`` ends all processes as soon as one fails, and the store can be in the first process.
        """
        if self._store is None:
            return
        if self.first:
            self._store.set(self._key("written", self.rank), "1")
            self._wait([self._key("gone", rank) for rank in range(1, self.count)])
        else:
            self._wait([self._key("written", 0)])
            self._store.set(self._key("gone", self.rank), "1")

    def _join_store(self) -> Any:
        try:
            store, *_ = next(rendezvous("env://", timeout=_MAX_START))
        except (RuntimeError, ValueError) as error:
            raise InputError(
                "WORLD_SIZE",
                found=f"{self.count} in the environment, but no other processes ({' '.join(str(error).split())[:200]})",
                expected=f"{self.count} processes that torchrun started",
                remedy="start with torchrun --nproc_per_node N -m pipeline predict …, or unset WORLD_SIZE",
            ) from error
        return store

    def _key(self, what: str, rank: int) -> str:
        return f"{self._run}/{what}/{rank}"

    def _wait(self, keys: list[str]) -> None:
        while self._store is not None and not self._store.check(keys):
            time.sleep(_PAUSE)
