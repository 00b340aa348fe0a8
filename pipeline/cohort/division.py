"""How many shards a cohort has, and what they are called."""

from __future__ import annotations

from ..data.errors import InputError
from ..prediction.shards import MAX_SHARDS, Shard

__all__ = ["choose_count", "name_shard"]

# A start takes some seconds, and a shard that runs last keeps the others waiting.
_SCANS, _PER_JOB = 25, 4


def choose_count(given: int | None, *, scans: int, jobs: int) -> int:
    """Return the number of shards.

    By default there are enough for `_PER_JOB` rounds, as long as a shard has `_SCANS` scans; and at least as many as
    jobs, as long as there are scans.

    Args:
        given: what the user asked for; None for the default.
        scans: number of scans, 1 or more.
        jobs: jobs at the same time.

    Raises:
        InputError: it is less than 1, or more than there are scans.
    """
    limit = min(scans, MAX_SHARDS)
    if given is None:
        return max(1, min(limit, max(jobs, min(_PER_JOB * jobs, scans // _SCANS))))
    if not 1 <= given <= limit:
        raise InputError(
            "--shards",
            found=f"{given} for {scans} scan{'s' * (scans != 1)}",
            expected=f"1 to {limit}: each shard has a scan",
            remedy="leave it out, or choose a smaller number" if given > limit else "leave it out, or correct it",
        )
    return given


def name_shard(shard: Shard) -> str:
    """Return the name of a shard's files, such as ``shard_03_of_20``."""
    return shard.report_name.removeprefix("report.").removesuffix(".json")
