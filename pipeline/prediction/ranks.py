"""Several processes that share the scans, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch.distributed.rendezvous import rendezvous

from ..data.errors import InputError

__all__ = ["Ranks"]

_Item = TypeVar("_Item")
_LONGEST_START = timedelta(minutes=10)
_PAUSE = 0.1  # seconds between two looks at what the others say


class Ranks:
    """This process among those that ``torchrun`` started, or the only one.

    They meet in the store that ``torchrun`` has for them and look into it again and again: a collective operation would
    not let go of a process that waits for another one when it is interrupted.

    Attributes:
        rank: number of this process, from 0.
        count: of processes.
        local: number of this process on its machine.

    Raises:
        InputError: the environment speaks of several processes, but the others do not come.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))
        # torchrun may start all of them once more, and keeps the store.
        self._run = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = self._met() if self.count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def share(self, items: Sequence[_Item]) -> list[_Item]:
        """Return those of the items that are this process's."""
        return list(items[self.rank :: self.count])

    def device(self, asked: str) -> str:
        """Return the device for this process: each takes a GPU of its own where GPUs are chosen by themselves."""
        if self.count > 1 and asked in ("auto", "cuda") and torch.cuda.is_available():
            return f"cuda:{self.local % torch.cuda.device_count()}"
        return asked

    def gathered(self, item: Any) -> list[Any]:
        """Return what each process gives here, in their order; all wait for the last. Once in a process's life."""
        if self._store is None:
            return [item]
        self._store.set(self._key("result", self.rank), pickle.dumps(item))
        keys = [self._key("result", rank) for rank in range(self.count)]
        self._wait(keys)
        return [pickle.loads(self._store.get(key)) for key in keys]

    def leave(self) -> None:
        """Let the first process, which calls this when all is written, and then the others go.

        ``torchrun`` ends every process as soon as one has gone with a failure, and the store may live in the first.
        """
        if self._store is None:
            return
        if self.first:
            self._store.set(self._key("written", self.rank), "1")
            self._wait([self._key("gone", rank) for rank in range(1, self.count)])
        else:
            self._wait([self._key("written", 0)])
            self._store.set(self._key("gone", self.rank), "1")

    def _met(self) -> Any:
        try:
            store, *_ = next(rendezvous("env://", timeout=_LONGEST_START))
        except (RuntimeError, ValueError) as error:
            raise InputError(
                "WORLD_SIZE",
                found=f"{self.count} in the environment, but no other processes ({' '.join(str(error).split())[:200]})",
                expected="processes that torchrun started",
                remedy="start with torchrun --nproc_per_node N -m pipeline predict …, or unset WORLD_SIZE",
            ) from error
        return store

    def _key(self, what: str, rank: int) -> str:
        return f"{self._run}/{what}/{rank}"

    def _wait(self, keys: list[str]) -> None:
        while self._store is not None and not self._store.check(keys):
            time.sleep(_PAUSE)
