"""Let one prediction at a time write to an output; of a shared one, each share once. Needs neither torch nor MONAI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.one_at_a_time import lock_name, one_at_a_time, require_unlocked
from .request import Request

__all__ = ["lock_output"]

_VERB = "lightskip predict"


@contextmanager
def lock_output(request: Request) -> Iterator[None]:
    """Refuse a prediction if another one writes to its output.

    Shards of one output work together, except two of the same number. Of the processes that ``torchrun`` starts the
    first one holds the lock for all.

    Raises:
        InputError: another prediction is at work there.
    """
    if int(os.environ.get("RANK", "0")) > 0:
        yield
        return
    folder = request.output.parent if request.single else request.output
    file = folder / lock_name(request.output.name if request.single else "", "predict")
    if request.shard is None:
        with one_at_a_time(file, request.output, verb=_VERB):
            for other in sorted(_list_shards(folder)):
                require_unlocked(other, request.output)
            yield
        return
    own = folder / lock_name(request.shard.report_name.removesuffix(".json"), "predict")
    # A cluster starts a shard again when its machine fails. A shard that runs twice writes the same files.
    with one_at_a_time(own, request.output, verb=f"{_VERB} --shard {request.shard}", trust_silence=False):
        require_unlocked(file, request.output)
        yield


def _list_shards(folder: Path) -> list[Path]:
    """Return the locks of an output folder's shards."""
    return list(folder.glob(".report.shard_*.predict.lock"))
