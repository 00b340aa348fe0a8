"""Segment many scans in turn; meanwhile the next is read and the last is written. A failed scan does not stop them."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any, Self, TypeVar

import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.errors import InputError
from ..data.reader import load_scan
from .inputs import ScanInput
from .outputs import Outputs, Wanted, probability_buffer
from .prediction import Prediction, Prepared
from .predictor import Predictor
from .progress import Bar
from .records import Records
from .result import Job, Result, as_record, failed, not_tried
from .verify import file_sizes
from .work import known_result
from .write import write_outputs

__all__ = ["predict_scans"]

_Returned = TypeVar("_Returned")

_OVERLAP_FROM = 2  # threads: with one, reading and writing would slow the network down


def predict_scans(
    predictor: Predictor,
    scans: Sequence[ScanInput],
    outputs_for: Callable[[str], Outputs],
    wanted: Wanted,
    *,
    records: Records | None = None,
    overwrite: bool = False,
    progress: bool = True,
    on_result: Callable[[Result], Any] | None = None,
) -> Iterator[Result]:
    """Segment scans and write their files; yield each result as soon as it is known.

    A scan that fails does not end the others, unless its disk is full or read-only.

    Args:
        predictor: predictor of a bundle.
        scans: scans to segment.
        outputs_for: returns the outputs of a scan by its name.
        wanted: the files to write for every scan.
        records: records of finished scans, which are read and updated.
        overwrite: repeat finished scans, and replace files.
        progress: whether to draw a bar with the time left on stderr, if that is a terminal.
        on_result: called with every result, while the bar is hidden.
    """
    with Bar(len(scans), silent=not progress) as bar:
        jobs = [Job(scan, outputs_for(scan.name), wanted) for scan in scans]
        for result in _results(predictor, jobs, records, bar, overwrite=overwrite):
            if on_result is not None:
                with tqdm.external_write_mode():
                    on_result(result)
            yield result


def _results(
    predictor: Predictor, jobs: Sequence[Job], records: Records | None, bar: Bar, *, overwrite: bool
) -> Iterator[Result]:
    left = []
    for job in jobs:
        known = known_result(job, records, overwrite=overwrite)
        if known is None:
            left.append(job)
        else:
            bar.skip()
            yield known
    with _Pipeline(predictor, records, bar) as line:
        yield from _leave_out_rest(line.run(left), left)


def _leave_out_rest(results: Iterator[Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """Yield results; behind one that ends all, no other scan is begun: those are not tried.

    Scans that were begun are finished. If their disk is full as well, they need no message of their own.
    """
    known: set[str] = set()
    has_ended = False
    for result in results:
        known.add(result.name)
        yield not_tried(result.name, result.files) if has_ended and result.ends_all else result
        has_ended = has_ended or result.ends_all
    yield from (not_tried(job.scan.name, job.scan.files) for job in jobs if has_ended and job.scan.name not in known)


class _Pipeline:
    """Reads, segments and writes scans: one of each at the same time."""

    def __init__(self, predictor: Predictor, records: Records | None, bar: Bar) -> None:
        self.predictor, self.records, self.bar = predictor, records, bar
        overlap = torch.get_num_threads() >= _OVERLAP_FROM
        self._reader = ThreadPoolExecutor(1) if overlap else None
        self._writer = ThreadPoolExecutor(1) if overlap else None
        # MONAI's readers keep state while they read, so another thread needs its own.
        self._loader = copy.deepcopy(predictor.bundle.loader)
        self._written: list[Result] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        if self._writer is not None:
            # Segmented scans are written, even after Ctrl-C.
            self._writer.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Yield the results, in the order of the jobs."""
        ahead: list[Future[Prepared]] = []
        writing: list[Future[Result]] = []
        reported: set[str] = set()
        try:
            for job, following in zip(jobs, [*jobs[1:], None], strict=False):
                if any(future.done() and future.result().ends_all for future in writing):
                    break
                self.bar.begin(job.scan.name)
                writing.append(self._start_scan(job, following, ahead, writing))
                if len(writing) > 1:
                    # Delete the result only once it is known, so that an interrupt does not lose it.
                    first = writing[0].result()
                    del writing[0]
                    reported.add(first.name)
                    yield first
                    if first.ends_all:
                        break
                self.bar.end()
        except KeyboardInterrupt:
            # Write and report what was segmented before, even if the interrupt came before `writing` had it.
            if self._writer is not None:
                self._writer.shutdown()
            known = {result.name: result for result in (*self._written, *(future.result() for future in writing))}
            yield from (result for name, result in known.items() if name not in reported)
            raise
        yield from (written.result() for written in writing)

    def _start_scan(
        self, job: Job, following: Job | None, ahead: list[Future[Prepared]], writing: Sequence[Future[Result]]
    ) -> Future[Result]:
        """Segment a scan, and start writing it and reading the next.

        The scan is in `ahead` if it was read already; the next one is put there. This is a method of its own so that a
        failed scan does not stay in memory while the next one is read.
        """
        try:
            if not ahead:
                # The scan before still takes memory: with a limit, reading waits until it is written.
                self._wait_for_writing(writing)
            prepared = ahead.pop().result() if ahead else self.predictor.prepare(job.scan.files)
            busy = self._bytes_writing(job, prepared) if writing else 0
            reserved = self._reading_ahead_bytes(job, prepared, following, busy)
            if reserved is None and busy:
                self._wait_for_writing(writing)
                busy = 0
                reserved = self._reading_ahead_bytes(job, prepared, following, busy)
            if reserved is not None and following is not None:
                ahead.append(_submit(self._reader, self.predictor.prepare, following.scan.files))
            return self._segment(job, prepared, reserved=busy + (reserved or 0), writing=writing)
        except Exception as error:
            return _submit(None, failed, job, error)

    def _wait_for_writing(self, writing: Sequence[Future[Result]]) -> None:
        """Wait until all is written, if memory is limited."""
        if self.predictor.budget.memory is not None:
            wait(writing)

    @staticmethod
    def _needs_voxels(job: Job) -> bool:
        return job.wanted.statistics or job.wanted.preview

    def _bytes_writing(self, job: Job, prepared: Prepared) -> int:
        """Return the bytes that writing takes meanwhile: it reads the scan again for preview and statistics."""
        return self.predictor.rereading_bytes(prepared) if self._needs_voxels(job) else 0

    def _segment(
        self, job: Job, prepared: Prepared, *, reserved: int, writing: Sequence[Future[Result]]
    ) -> Future[Result]:
        """Segment a prepared scan and start writing it."""
        with ExitStack() as buffers:
            classes = self.predictor.bundle.classes
            probabilities = buffers.enter_context(
                probability_buffer(job.outputs.probabilities, prepared.scan_shape, classes)
            )
            prediction = self.predictor.segment(
                prepared,
                probabilities=probabilities,
                uncertainty=job.wanted.uncertainty,
                reserved=reserved,
                progress=self.bar.advance,
            )
            # At most one scan waits for the disk.
            wait(writing)
            return _submit(self._writer, self._write, job, prediction, buffers.pop_all())

    def _write(self, job: Job, prediction: Prediction, buffers: ExitStack) -> Result:
        """Write a scan's files and its record, while the next scan is segmented."""
        scan, start = job.scan, time.perf_counter()
        try:
            with buffers:
                if self.records is not None:
                    self.records.begin(scan.name, scan.files, job.outputs)
                write_outputs(prediction, job.outputs, name=scan.name, read=self._voxels(scan))
            result = Result(
                name=scan.name,
                files=scan.files,
                status="done",
                outputs=tuple(str(file) for file in job.outputs.files),
                seconds={**prediction.seconds, "writing": time.perf_counter() - start},
                uncertainty=prediction.uncertainty,
                notes=(*scan.notes, *prediction.notes),
                only_label=prediction.only_label,
                sizes=file_sizes(job.outputs.files),
            )
            if self.records is not None:
                self.records.finish(scan.name, job.outputs, as_record(result))
        except Exception as error:
            result = failed(job, error)
        self._written.append(result)
        return result

    def _voxels(self, scan: ScanInput) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            voxels: NDArray[Any] = load_scan(self._loader, scan.files).numpy()
            return voxels

        return read

    def _reading_ahead_bytes(self, job: Job, prepared: Prepared, following: Job | None, busy: int) -> int | None:
        """Return the bytes to reserve for reading the next scan meanwhile, or None if it has to wait."""
        if self._reader is None or following is None:
            return None
        try:
            needed = self.predictor.preparation_bytes(following.scan.files)
        except InputError:
            # That scan's problem is reported in its turn.
            return None
        fits = self.predictor.has_room(prepared, needed + busy, uncertainty=job.wanted.uncertainty)
        return needed if fits else None


def _submit(
    workers: ThreadPoolExecutor | None, function: Callable[..., _Returned], *arguments: Any
) -> Future[_Returned]:
    """Call a function in a worker, or right here if there is none, and return its future."""
    if workers is not None:
        return workers.submit(function, *arguments)
    future: Future[_Returned] = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future
