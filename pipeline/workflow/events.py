"""What happens to the jobs of a workflow, from the lines that the logger plugin writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Event", "Journal", "OnEvent"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    Attributes:
        kind: ``"started"`` (on a cluster: submitted), ``"done"`` or ``"failed"``.
        target: the job's first output file, relative to the workflow's folder.
        log: the job's log file, relative to the folder; empty if it has none.
        attempt: 1 for the first time that this start runs the job, 2 for the next.
        seconds: since the job started.
        done: number of jobs that are done in this start.
        total: number of jobs to run in this start.
    """

    kind: str
    target: str
    log: str
    attempt: int
    seconds: float
    done: int
    total: int


OnEvent = Callable[[Event], None]
# In Snakemake's table of jobs: the rule that makes nothing, and the sum.
_NO_RULES = ("all", "total")
_SENT = " (send to storage)"


@dataclass
class _Job:
    target: str
    log: str
    attempt: int
    start: float


@dataclass
class Journal:
    """The jobs of one start of a workflow, as events tell about them.

    Attributes:
        folder: the workflow's folder.
        total: number of jobs to run.
        done: targets of the jobs that are done.
        failed: by target, the log of each job whose last attempt failed.
    """

    folder: Path
    total: int = 0
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    _jobs: dict[int, _Job] = field(default_factory=dict)

    def read(self, lines: Iterable[str]) -> Iterator[Event]:
        """Yield the events of jobs that make files, one by one as the lines come."""
        for line in lines:
            try:
                content = json.loads(line)
            except ValueError:
                # The end of a line that was being written when Snakemake was killed.
                continue
            kind, number = content["event"], content.get("jobid", content.get("job_id"))
            if kind == "run_info":
                self.total = sum(count for rule, count in content["stats"].items() if rule not in _NO_RULES)
            elif kind == "job_info":
                yield from self._start(number, content)
            elif number in self._jobs:
                yield self._end(self._jobs[number], kind)

    def _start(self, number: int, content: dict[str, object]) -> Iterator[Event]:
        output, log = content["output"], content["log"]
        if not isinstance(output, list) or not output:
            return
        attempt = self._jobs[number].attempt + 1 if number in self._jobs else 1
        target, log = self._name(output), self._name(log)
        self._jobs[number] = job = _Job(target, log, attempt, time.monotonic())
        self.failed.pop(target, None)
        yield self._event("started", job)

    def _name(self, files: object) -> str:
        """Return the first of some files relative to the folder; an empty text if there is none."""
        if not isinstance(files, list) or not files:
            return ""
        # Without a shared folder Snakemake names files as it would send them.
        file = Path(str(files[0]).removesuffix(_SENT))
        return str(file.relative_to(self.folder) if file.is_relative_to(self.folder) else file)

    def _end(self, job: _Job, kind: str) -> Event:
        if kind == "job_finished":
            self.done.append(job.target)
            return self._event("done", job)
        self.failed[job.target] = job.log
        return self._event("failed", job)

    def _event(self, kind: str, job: _Job) -> Event:
        seconds = time.monotonic() - job.start
        return Event(kind, job.target, job.log, job.attempt, seconds, len(self.done), self.total)
