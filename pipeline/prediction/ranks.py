"""Several processes that share the scans, as ``torchrun`` starts them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed

__all__ = ["Ranks"]

_Item = TypeVar("_Item")
# One process may have to wait for another's last scan.
_LONGEST = timedelta(days=7)


class Ranks:
    """This process among those that ``torchrun`` started, or the only one.

    Attributes:
        rank: number of this process, from 0.
        count: of processes.
        local: number of this process on its machine.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local = int(os.environ.get("LOCAL_RANK", "0"))

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
        """Return what each process gives here, in their order; all wait for the last."""
        if self.count == 1:
            return [item]
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo", timeout=_LONGEST)
        items: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(items, item)
        return items

    def leave(self) -> None:
        """End the connection, where there is one."""
        if self.count > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
