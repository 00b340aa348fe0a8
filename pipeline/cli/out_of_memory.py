"""Run a verb, and explain in one message what to set or free if memory runs out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ..memory_errors import EXPECTED, REMEDY, address_space, describe_shortage, find_memory_error

__all__ = ["run_within_memory"]

# NumPy does not start in less, and may wait for ever; PyTorch does not either, and ends the process without a message.
_MIN_BYTES, _MIN_TORCH = 2**28, 2**30
_WITH_TORCH = ("bench", "evaluate", "export", "predict", "probe", "quantize", "train")
# What needs less memory, by verb: its own options.
_REMEDIES = {
    "check": "use --workers 1",
    "cohort": "set --memory, or run fewer jobs at the same time: -j 1",
    "compare": "measure fewer cases at the same time: --jobs 1",
    "evaluate": "segment fewer windows at the same time: --validate#inferer#sw_batch_size 1",
    "fit": "set --memory to what is free",
    "plan": "set --memory to what is free, and make its check with lightskip check --workers 1",
    "predict": "set --memory to what is free",
    "study": "do fewer runs at the same time: -j 1",
    "train": "set a smaller --batch or --patch, or --cache_rate 0; or plan again with --memory",
}


def run_within_memory(options: argparse.Namespace) -> int:
    """Return the exit status of the verb: its own, or 2 after a message if memory ran out.

    What the verb was writing is not there then, as after every other error.
    """
    run: Callable[[argparse.Namespace], int] = options.run
    limit = address_space()
    if limit is not None and limit < (_MIN_TORCH if options.verb in _WITH_TORCH else _MIN_BYTES):
        return _explain(options.verb, f"a limit of {limit / 2**20:.0f} MiB for this process")
    try:
        return int(run(options))
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        found = find_memory_error(error)
        if found is None:
            raise
        said = f"{type(found).__name__}: {found}"
    # Outside the block: the error holds what the verb had in memory.
    return _explain(options.verb, describe_shortage(said))


def _explain(verb: str, found: str) -> int:
    own = f"{_REMEDIES[verb]}; or " if verb in _REMEDIES else ""
    sys.stderr.write(f"error: lightskip {verb}: found {found}; expected {EXPECTED}. What to do: {own}{REMEDY}.\n")
    return 2
