"""Segment a cohort: run the shards that are left as jobs, and merge their reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from ..data.amounts import parse_memory
from ..disk import full_disk_message
from ..prediction.merge import merge_shards
from ..prediction.request import Request
from ..prediction.settings import memory_budget
from ..prediction.shard_plan import ShardPlan
from ..prediction.shards import Shard
from ..workflow.lock import lock_workflow
from ..workflow.progress import Progress
from ..workflow.run import Failure, Outcome, run_workflow
from ..workflow.start import Start, check_start
from .describe import describe_division, describe_dry_run, describe_failures, find_reason
from .division import name_shard
from .prepare import Cohort, find_left, prepare_cohort

__all__ = ["FOLDER", "CohortOptions", "run_cohort"]

FOLDER = ".cohort"
_VERB = "lightskip cohort"
_SNAKEFILE = Path(__file__).with_name("Snakefile")
_ALL_FAILED = 2  # exit status
_RETRIES = 1
_CLUSTER_THREADS = 4
# Of the memory that a job asks for, `--memory` is this share: Python and its packages take the rest.
_MEMORY_SHARE = 0.8
_MAX_NAMED = 5

Say = Callable[[str], None]


@dataclass(frozen=True)
class CohortOptions:
    """What a user asks for.

    Attributes:
        request: the options of a prediction.
        words: words of `lightskip predict` for further options, without threads and memory.
        shards: number of shards; None for the default.
        jobs: shards at the same time; None for the profile's number, or 1.
        profile: see `find_profile`.
        memory: ``--memory`` of a job; None for its share of what is free, or what the profile says.
    """

    request: Request
    words: Sequence[str] = ()
    shards: int | None = None
    jobs: int | None = None
    profile: str | None = None
    memory: str | None = None


def run_cohort(options: CohortOptions, *, say: Say, warn: Say, dry_run: bool = False) -> int:
    """Segment a cohort, or say what would be done.

    A second start continues: finished shards do not run again, unless one of their scans failed or has changed since.

    Args:
        options: what to do.
        say: shows a line.
        warn: shows a line about something that failed.
        dry_run: run and write nothing; show the shards and their commands.

    Returns:
        The exit status: that of one `lightskip predict` for all scans; 1 if some shards did not finish, 2 if none did.

    Raises:
        InputError: see `prepare_cohort` and `run_workflow`.
        KeyboardInterrupt: interrupted; a second start continues.
    """
    start = check_start(options.jobs, options.profile, verb=_VERB)
    cohort = prepare_cohort(options.request, shards=options.shards, jobs=start.jobs)
    words = ["predict", *map(_as_path, (cohort.request.bundle, *options.request.inputs))]
    words += ["-o", str(cohort.request.output), *options.words]
    if dry_run:
        left = find_left(cohort, cohort.plan)
        say(describe_division(cohort, left=len(left), jobs=start.jobs))
        say(describe_dry_run(cohort, left, words, start.profile.file))
        return 0
    with lock_workflow(cohort.request.output / FOLDER, verb=_VERB) as locks:
        plan = ShardPlan.open(cohort.request, cohort.settings, cohort.names)
        left = find_left(cohort, plan)
        say(describe_division(cohort, left=len(left), jobs=start.jobs))
        if left:
            outcome = _run(options, cohort, left, words, start, locks, say)
            if plan.unfinished():
                return _report_unfinished(cohort, plan, outcome, warn)
    return _report(cohort, say, warn)


def _as_path(path: str | Path) -> str:
    """Return a path as a word that is no option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _run(
    options: CohortOptions,
    cohort: Cohort,
    left: Sequence[Shard],
    words: Sequence[str],
    start: Start,
    locks: Sequence[int],
    say: Say,
) -> Outcome:
    """Run the shards that are left."""
    output = cohort.request.output
    folder = output / FOLDER
    shards = {name_shard(shard): {"shard": str(shard), "report": str(output / shard.report_name)} for shard in left}
    targets = {f"shards/{name}.json": f"shard {entry['shard']}" for name, entry in shards.items()}
    for file in (*(folder / target for target in targets), *(output / shard.report_name for shard in left)):
        # They are unfinished from now on.
        file.unlink(missing_ok=True)
    threads = _count_threads(cohort.request, start)
    return run_workflow(
        _SNAKEFILE,
        folder=folder,
        targets=list(targets),
        config={
            "shards": shards,
            "words": list(words),
            "folder": str(Path.cwd()),
            "threads": threads,
            **_memory(options.memory, start, min(start.jobs, len(left))),
        },
        jobs=options.jobs,
        threads=threads,
        profile=options.profile,
        retries=_RETRIES,
        on_event=Progress(say, folder=folder, attempts=1 + _RETRIES, name=lambda target: targets.get(target, target)),
        verb=_VERB,
        locks=locks,
    )


def _count_threads(request: Request, start: Start) -> int:
    """Return the threads of a job: what the user named, or its share of this machine's."""
    if request.threads is not None:
        return request.threads
    return max(1, (os.cpu_count() or 1) // start.jobs) if start.is_local else _CLUSTER_THREADS


def _memory(given: str | None, start: Start, jobs: int) -> dict[str, Any]:
    """Return the entries of the Snakefile's config on memory.

    What a user names is each job's, then what the profile says. Otherwise jobs on this machine share what is free.
    """
    asked = "mem_mb" in (start.profile.settings.get("default-resources") or {})
    own = memory_budget(None) // jobs if start.is_local and not asked else None
    budget = own if given is None else parse_memory(given)
    resources = {} if budget is None else {"mem_mb": ceil(budget / _MEMORY_SHARE / 1e6)}
    return {"memory": given, "memory_share": _MEMORY_SHARE, "resources": resources}


def _report_unfinished(cohort: Cohort, plan: ShardPlan, outcome: Outcome, warn: Say) -> int:
    """Say which shards have not finished, and why."""
    folder = cohort.request.output / FOLDER
    reasons: dict[str, list[Failure]] = {}
    # Then the logs are cut off.
    full = full_disk_message(folder)
    for failure in () if full is not None else outcome.failed:
        reasons.setdefault(find_reason(folder / failure.log), []).append(failure)
    for reason, failures in list(reasons.items())[:_MAX_NAMED]:
        names = ", ".join(Path(failure.target).stem for failure in failures[:_MAX_NAMED])
        more = f" and {len(failures) - _MAX_NAMED} more" * (len(failures) > _MAX_NAMED)
        warn(f"error: {names}{more}: {reason} (log: {folder / failures[0].log})")
    left = plan.unfinished()
    if full is not None:
        warn(f"error: {full}")
    warn(f"{len(left)} of {cohort.count} shards have not finished; the same command runs them again")
    return 1 if len(left) < cohort.count or full is not None else 2


def _report(cohort: Cohort, say: Say, warn: Say) -> int:
    """Merge the shards' reports, and say what they found."""
    summary = merge_shards(cohort.request.output, bundle=cohort.request.bundle)
    for error in describe_failures(summary.report):
        warn(f"error: {error}")
    say(summary.text)
    # All scans may have failed for a disk that is full, as the only one of `predict` would.
    is_full = summary.status == _ALL_FAILED and full_disk_message(cohort.request.output) is not None
    return 1 if is_full else summary.status
