"""Run a Snakefile: one start at a time, in a folder that a second start continues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..files import whole_file, write_text
from .events import Event, OnEvent
from .find_profile import Profile
from .jobs import job_command
from .launch import launch
from .lock import JOBS, STATE, lock_workflow
from .slurm import cancel_queued, slurm_words
from .start import Start, check_start

__all__ = ["Failure", "Outcome", "run_workflow"]

_MAX_LINES = 3
# Lines of Snakemake that come with every failure and say nothing about its reason.
_EMPTY_WORDS = ("Complete log", "Elapsed time", "WorkflowError:", "At least one job did not", "Exiting because")


@dataclass(frozen=True)
class Failure:
    """A job that failed in its last attempt.

    Attributes:
        target: the file that it should make, relative to the workflow's folder.
        log: its log, relative to the folder; empty if it has none.
    """

    target: str
    log: str


@dataclass(frozen=True)
class Outcome:
    """What a start of a workflow has done.

    Attributes:
        done: files that it made.
        failed: jobs that failed.
        missing: targets that are not there: those of failed jobs, and of jobs that need those.
    """

    done: tuple[str, ...]
    failed: tuple[Failure, ...]
    missing: tuple[str, ...]

    @property
    def status(self) -> int:
        """0 if all targets are there, otherwise 1."""
        return int(bool(self.missing))


def _ignore(_: Event) -> None:
    """Do nothing with an event."""


def run_workflow(
    snakefile: Path,
    *,
    folder: Path,
    targets: Sequence[str],
    config: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    threads: int = 1,
    profile: str | Path | None = None,
    retries: int = 0,
    words: Sequence[str] = (),
    on_event: OnEvent = _ignore,
    verb: str = "lightskip",
    locks: Sequence[int] | None = None,
) -> Outcome:
    """Make files with the jobs of a Snakefile; see the room's first lines for what a Snakefile finds.

    A job that fails does not stop the others. Files that are there are not made again, unless a job was making them
    when it was killed. Snakemake's log is ``.workflow/snakemake.log`` in the folder.

    Args:
        snakefile: the workflow.
        folder: where it runs; it is made if it is missing.
        targets: files to make, relative to the folder.
        config: entries of the Snakefile's ``config``, as JSON types.
        jobs: jobs at the same time, at least 1; None for the profile's number, or 1.
        threads: threads of the largest job.
        profile: see `find_profile`.
        retries: how often a failed job is tried again in this start.
        words: further words of Snakemake's command line.
        on_event: called with each event.
        verb: the command's name in messages.
        locks: those of `lock_workflow`, if the caller holds it already.

    Raises:
        InputError: Snakemake or what the profile needs is missing, the profile or the number of jobs cannot be used,
            another start or a job of an earlier one is at work in the folder, or Snakemake refused to run.
        KeyboardInterrupt: interrupted; jobs that were running have ended, and a second start continues.
    """
    start = check_start(jobs, profile, verb=verb)
    if locks is None:
        with lock_workflow(folder, verb=verb) as held:
            return run_workflow(
                snakefile,
                folder=folder,
                targets=targets,
                config=config,
                jobs=jobs,
                threads=threads,
                profile=profile,
                retries=retries,
                words=words,
                on_event=on_event,
                verb=verb,
                locks=held,
            )
    state = folder.absolute() / STATE
    with whole_file(state / "Snakefile") as copy:
        copy.write_bytes(snakefile.read_bytes())
    content = {
        "job": job_command(start.profile.python, is_local=start.is_local),
        **(config or {}),
        "targets": list(targets),
        "locks": str(state / JOBS),
    }
    write_text(state / "config.json", json.dumps(content, indent=1) + "\n")
    command = [*_words(start, folder.absolute(), threads, retries), *slurm_words(start.profile), *words]
    log = state / "snakemake.log"
    cancel_queued(start.profile, log)
    status, journal = launch(command, folder=folder, log=log, locks=locks, on_event=on_event)
    missing = [target for target in targets if not (folder / target).exists()]
    if missing and status != 0 and not journal.failed:
        raise _refusal(log, status, start.profile, verb)
    failed = tuple(Failure(target, log) for target, log in journal.failed.items())
    return Outcome(tuple(journal.done), failed, tuple(missing))


def _words(start: Start, folder: Path, threads: int, retries: int) -> list[str]:
    words = ["--snakefile", f"{STATE}/Snakefile", "--configfile", f"{STATE}/config.json"]
    # Not those of the environment or next to the Snakefile.
    words += ["--profile", str(start.profile.file or "none"), "--workflow-profile", "none"]
    words += ["--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime", "--retries", str(retries)]
    if start.profile.settings.get("default-storage-provider") == "fs":
        # Files of jobs belong into the workflow's folder.
        words += ["--default-storage-prefix", str(folder)]
    # The lock is LightSkip's: one of Snakemake stays behind after a kill.
    words += ["--nolock", "--scheduler", "greedy", "--nocolor"]
    return [*words, *(["--cores", str(start.jobs * threads)] if start.is_local else ["--jobs", str(start.jobs)])]


def _refusal(log: Path, status: int, profile: Profile, verb: str) -> InputError:
    """Return the error of a Snakemake that ended before or between its jobs."""
    if status < 0:
        return InputError(
            log.parents[1],
            found=f"Snakemake ended by signal {-status}",
            expected="the end of all jobs",
            remedy=f"start the same {verb} again: it continues",
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(_EMPTY_WORDS)] or lines or ["nothing"]
    return InputError(
        profile.file or log,
        found=f"Snakemake ended before all jobs ran: {' '.join(told[-_MAX_LINES:])}"[:500],
        expected="the end of all jobs",
        remedy=f"correct the profile or the options; the whole message is in {log}",
    )
