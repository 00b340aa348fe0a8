"""Go on with fewer windows at a time where memory does not suffice for a batch of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ..data.faults import is_out_of_memory

__all__ = ["with_smaller_batches"]

_Returned = TypeVar("_Returned")

logger = logging.getLogger(__name__)


def with_smaller_batches(inferer: Any, work: Callable[[], _Returned]) -> _Returned:
    """Return the result of some work; repeat it with half as many windows at a time as often as memory is too small.

    The smaller number stays, so that later scans do not try again.

    Args:
        inferer: whose ``sw_batch_size``, the windows at a time, the work reads and this lowers, down to 1.
        work: what to do. It must be repeatable.

    Raises:
        Errors of the work that are not about memory, or with one window at a time.
    """
    while True:
        before = int(inferer.sw_batch_size)
        try:
            return work()
        except Exception as error:
            if before <= 1 or not is_out_of_memory(error):
                raise
        # Behind the block, because the error holds the tensors of the failed batch.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        inferer.sw_batch_size = before // 2
        logger.warning(f"too little memory for {before} windows at a time: continuing with {before // 2}")
