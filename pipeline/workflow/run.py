"""Run a Snakefile: one start at a time, in a folder that a second start continues."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..files import whole_file, write_text
from ..locks import hold_lock
from .events import Event, OnEvent
from .find_profile import LOCAL, Profile, find_profile
from .jobs import find_running, job_command
from .launch import launch

__all__ = ["Failure", "Outcome", "run_workflow"]

_STATE = ".workflow"
_MAX_NAMED = 5
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

    Raises:
        InputError: Snakemake or what the profile needs is missing, the profile or the number of jobs cannot be used,
            another start or a job of an earlier one is at work in the folder, or Snakemake refused to run.
        KeyboardInterrupt: interrupted; jobs that were running have ended, and a second start continues.
    """
    require_snakemake(verb)
    if jobs is not None and jobs < 1:
        raise InputError(
            "-j", found=f"{jobs}", expected="a number of jobs from 1 on", remedy="correct it, such as -j 2"
        )
    found = find_profile(profile)
    state = folder / _STATE
    with _lock(folder, state, verb) as locks:
        with whole_file(state / "Snakefile") as copy:
            copy.write_bytes(snakefile.read_bytes())
        content = {"job": job_command(), **(config or {}), "targets": list(targets), "locks": f"{_STATE}/jobs"}
        write_text(state / "config.json", json.dumps(content, indent=1) + "\n")
        command = [*_words(found, jobs, threads, retries), *words]
        status, journal = launch(command, folder=folder, log=state / "snakemake.log", locks=locks, on_event=on_event)
    missing = [target for target in targets if not (folder / target).exists()]
    if missing and status != 0 and not journal.failed:
        raise _refusal(state / "snakemake.log", status, found, verb)
    failed = tuple(Failure(target, log) for target, log in journal.failed.items())
    return Outcome(tuple(journal.done), failed, tuple(missing))


def require_snakemake(verb: str) -> None:
    """Raise InputError if Snakemake is not installed, or this is Windows."""
    if sys.platform == "win32":
        raise InputError(
            verb,
            found="Windows",
            expected="Linux or macOS, whose processes can be ended as a group",
            remedy="start it in the Windows Subsystem for Linux",
        )
    if find_spec("snakemake") is None:
        raise InputError(
            verb,
            found="no package snakemake",
            expected="the packages that run many jobs",
            remedy="install them: pip install 'lightskip[study]'",
        )


def _words(profile: Profile, jobs: int | None, threads: int, retries: int) -> list[str]:
    words = ["--snakefile", f"{_STATE}/Snakefile", "--configfile", f"{_STATE}/config.json"]
    # Not those of the environment or next to the Snakefile.
    words += ["--profile", str(profile.file or "none"), "--workflow-profile", "none"]
    words += ["--keep-going", "--rerun-incomplete", "--rerun-triggers", "mtime", "--retries", str(retries)]
    # The lock is LightSkip's: one of Snakemake stays behind after a kill.
    words += ["--nolock", "--scheduler", "greedy", "--nocolor"]
    wanted = jobs or profile.settings.get("jobs")
    if profile.executor == LOCAL:
        own = jobs is None and "cores" in profile.settings
        return words if own else [*words, "--cores", str((int(wanted or 1)) * threads)]
    return [*words, "--jobs", str(wanted or 1)]


@contextmanager
def _lock(folder: Path, state: Path, verb: str) -> Iterator[tuple[int, ...]]:
    """Let only one start work in a folder.

    Raises:
        InputError: another one works there, or jobs of an earlier one; or the folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            (state / "jobs").mkdir(parents=True, exist_ok=True)
            locks = stack.enter_context(hold_lock(state / "lock"))
        except BlockingIOError as error:
            raise InputError(
                folder,
                found=f"another {verb} at work in it, or the Snakemake of one that was killed",
                expected="one at a time",
                remedy="wait for its end, or end it first",
            ) from error
        except OSError as error:
            raise InputError(
                folder,
                found=f"a folder that cannot be written to ({str(error.strerror).lower()})",
                expected="a folder for the results",
                remedy="name another one: -o OUT",
            ) from error
        running = find_running(state / "jobs")
        if running:
            named = ", ".join(running[:_MAX_NAMED]) + f" and {len(running) - _MAX_NAMED} more" * (
                len(running) > _MAX_NAMED
            )
            raise InputError(
                folder,
                found=f"jobs of an earlier start, which was killed, still at work: {named}",
                expected="one start at a time",
                remedy="wait for their end, or end them first",
            )
        yield locks


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
