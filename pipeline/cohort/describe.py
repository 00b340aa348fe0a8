"""The texts of `lightskip cohort`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.words import as_text
from ..prediction.shards import Shard
from .prepare import Cohort

__all__ = ["describe_division", "describe_dry_run", "describe_failures", "find_reason"]

_MAX_SHOWN = 10


def describe_division(cohort: Cohort, *, left: int, jobs: int) -> str:
    """Return the line on scans and shards that a start begins with."""
    scans, count = len(cohort.scans), cohort.count
    least, most = scans // count, -(-scans // count)
    each = f"{least}" if least == most else f"{least} or {most}"
    text = f"{scans} scan{'s' * (scans != 1)} in {count} shard{'s' * (count != 1)} of {each}"
    done = f"; {count - left} finished earlier" * (left < count)
    return f"{text}{done}; {left} to run, {min(jobs, max(left, 1))} at a time"


def describe_dry_run(cohort: Cohort, left: Sequence[Shard], words: Sequence[str], profile: Path | None) -> str:
    """Return the shards with their scans, and the command of each that has to run."""
    lines = [] if profile is None else [f"profile: {profile}"]
    for shard in cohort.plan.shards:
        number = len(shard.share(cohort.names))
        state = "to run" if shard in left else "finished"
        lines.append(f"shard {shard}: {number} scan{'s' * (number != 1)}, {state}")
    lines += [as_text(["lightskip", *words, "--shard", str(shard)]) for shard in left]
    return "\n".join([*lines, as_text(["lightskip", "predict", words[1], "-o", str(cohort.request.output), "--merge"])])


def describe_failures(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the errors of scans that failed, from the merged report, without those that an earlier one explains."""
    failed = [scan for scan in report["scans"] if scan["status"] == "failed" and not scan.get("not_tried")]
    yield from (str(scan.get("error")) for scan in failed)


def find_reason(log: Path) -> str:
    """Return the last line of a shard's log, which says why it failed; a killed one says nothing of it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return "no log"
    told = [line.strip() for line in lines if line.strip()]
    errors = [line for line in told if line.startswith("error:")]
    last = (errors or told or ["no reason in its log: it was killed, such as for its memory"])[-1]
    return last.removeprefix("error: ")
