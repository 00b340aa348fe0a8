"""The memory of a comparison: how much a case takes, from its headers, and how many cases are read at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..data.check_memory import default_limit, estimate_file, too_large_error
from .check_cases import raise_all
from .join import JoinedCase
from .pool import Pool
from .probabilities import file_of_probabilities

__all__ = ["choose_at_a_time", "estimate_case"]

# Bytes per voxel: of both label maps and the work on them, if their structures are solid; of a label map that is read.
# Measured with a structure that fills the scan: 8 to 13, and 28 of float64.
_WORK = 14
_COPIES = 3.5
_FLOAT = 12  # of a probability: as stored, and as float32 twice


def choose_at_a_time(
    cases: Sequence[JoinedCase], pool: Pool, *, memory: int | None = None, probabilities: bool = False
) -> int:
    """Return how many cases may be in memory at the same time, at least 1.

    Args:
        cases: the cases.
        pool: the processes that read their headers.
        memory: bytes that they may take together; None for 80 % of the free memory.
        probabilities: whether probabilities next to predictions are read.

    Raises:
        InputError: a case alone takes more; the message has every such case.
    """
    limit = default_limit() if memory is None else memory
    needed = pool.map(partial(estimate_case, probabilities=probabilities), cases, title="Looking")
    raise_all(
        [
            too_large_error(
                str(case.reference),
                found=f"a case whose comparison takes about {{}} of memory ({case.name})",
                needed=one,
                limit=limit,
                verb="compare",
            )
            for case, one in zip(cases, needed, strict=True)
            if one > limit
        ]
    )
    return max(1, limit // max([1, *needed]))


def estimate_case(case: JoinedCase, *, probabilities: bool = False) -> int:
    """Return an estimate of the memory (bytes) that a case takes. Label maps that are noise take up to seven times it.

    Files that cannot be opened, or whose header promises more than they hold, count as nothing: reading them says so.
    """
    needed = 0
    for path in (case.reference, *case.predictions.values()):
        if path is None:
            continue
        stored, voxels = estimate_file(path)
        needed = max(needed, int(max(_COPIES * stored, _WORK * voxels)))
    if probabilities:
        files = [file_of_probabilities(path) for path in case.predictions.values() if path is not None]
        needed += max((_FLOAT * estimate_file(file)[1] for file in files), default=0)
    return needed
