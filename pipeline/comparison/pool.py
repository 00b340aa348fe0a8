"""Do the same work for many cases, in this process or in several, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import zip_longest
from typing import Any, Self, TypeVar

from tqdm import tqdm

from ..data.errors import InputError
from ..data.faults import name_items
from ..parent import end_worker_with_parent

__all__ = ["Pool", "count_jobs"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

MAX_JOBS = 8
# A process takes seconds to start, as long as many small cases take.
MIN_CASES_PER_JOB = 8


def count_jobs(jobs: int | None, cases: int) -> int:
    """Return the number of processes: the user's, else one per free CPU, at most 8 and one per eight cases.

    Raises:
        InputError: the user's is below 1.
    """
    if jobs is not None:
        if jobs < 1:
            raise InputError("--jobs", found=str(jobs), expected="1 or more", remedy="leave it out, or give a number")
        return min(jobs, max(cases, 1))
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, MAX_JOBS, cases // MIN_CASES_PER_JOB))


class Pool:
    """Processes that share the work; with one job everything is done in this process.

    Args:
        jobs: number of processes.
        progress: whether to show bars on stderr, if that is a terminal.
    """

    def __init__(self, jobs: int, *, progress: bool = True) -> None:
        self._progress = progress
        self._jobs = jobs
        self.at_a_time = jobs
        """Number of items that are worked on at the same time; it may be lowered between two calls of `map`."""
        self._executor: ProcessPoolExecutor | None = None
        if jobs > 1:
            method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            context = multiprocessing.get_context(method)
            # The server imports the modules once, for all processes.
            context.set_forkserver_preload([f"{__package__}.check_cases", f"{__package__}.measure"])
            self._executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._executor is None:
            return
        if kind is not None:
            # After Ctrl-C running cases are not waited for.
            for process in list(getattr(self._executor, "_processes", None) or {}):
                with suppress(OSError):
                    os.kill(process, signal.SIGTERM)
        self._executor.shutdown(cancel_futures=True)

    def map(
        self,
        work: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        title: str,
        name: Callable[[_Item], str] = str,
    ) -> list[_Result]:
        """Return the results of the work for all items, in their order.

        Args:
            work: a function of a module, or a `functools.partial` of one.
            items: what it is called with.
            title: words in front of the bar.
            name: returns the name of an item for messages.

        Raises:
            InputError: a process was killed, as a system with too little memory does.
        """
        futures: list[Future[_Result]] = []
        results: Iterable[_Result] = map(work, items)
        if self._executor is not None and self.at_a_time > 1:
            size = len(items) if self.at_a_time >= self._jobs else self.at_a_time
            results = _work_in_parts(self._executor, work, items, max(size, 1), futures)
        bar = tqdm(results, total=len(items), desc=title, unit="case", disable=None if self._progress else True)
        try:
            return list(bar)
        except BrokenProcessPool as error:
            # All that had no result yet: as many of the first as there are processes were at work.
            left = [item for item, future in zip_longest(items, futures) if future is None or not _has_result(future)]
            named = name_items([name(item) for item in left[: self._jobs]])
            raise InputError(
                f"--jobs {self._jobs}",
                found=f"a process that was ended by the system while it was {title.lower()} one of {named}",
                expected="all processes until the end; nothing is written",
                remedy="run the same command with --jobs 1: it takes less memory, and a system with too little of it "
                "ends processes like this",
            ) from error


def _work_in_parts(
    executor: ProcessPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    size: int,
    futures: list[Future[_Result]],
) -> Iterator[_Result]:
    """Yield the results in order. Each part of this size waits for the one before it; `futures` gets all begun."""
    for start in range(0, len(items), size):
        part = [executor.submit(work, item) for item in items[start : start + size]]
        futures += part
        for future in part:
            yield future.result()


def _has_result(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _begin() -> None:
    # The first process answers Ctrl-C for all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_worker_with_parent()
