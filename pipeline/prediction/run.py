"""Many scans: each in turn, the next one read and the last one written meanwhile; one that fails does not stop them."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from numpy.typing import NDArray
from tqdm import tqdm

from ..data.errors import InputError
from ..data.images.endings import is_store
from ..data.reader import load_scan
from ..labelmaps.dicom_series import read_series
from .inputs import ScanInput
from .outputs import Outputs, Wanted, probability_room, write_outputs
from .prediction import Prediction, Prepared
from .predictor import Predictor
from .progress import Bar
from .records import Records, refuse_existing
from .result import Job, Result, as_record, failed

__all__ = ["predict_scans"]

_Given = TypeVar("_Given")

_OVERLAP_FROM = 2  # threads: with one, reading and writing would take it from the network


def predict_scans(
    predictor: Predictor,
    scans: Sequence[ScanInput],
    place: Callable[[str], Outputs],
    wanted: Wanted,
    *,
    records: Records | None = None,
    overwrite: bool = False,
    progress: bool = True,
    tell: Callable[[Result], Any] | None = None,
) -> Iterator[Result]:
    """Segment scans and write their files; yield what became of each as soon as it is known.

    Args:
        predictor: of a bundle.
        scans: to segment.
        place: gives the outputs of a scan by its name.
        wanted: what is to be written.
        records: of what was finished before, and where to keep what is finished now.
        overwrite: do again what was finished before, and replace files.
        progress: whether to draw a bar with the time left on stderr, if that is a terminal.
        tell: called with every result, while the bar is out of the way.
    """
    with Bar(len(scans), silent=not progress) as bar:
        jobs = [Job(scan, place(scan.name), wanted) for scan in scans]
        for result in _results(predictor, jobs, records, bar, overwrite=overwrite):
            if tell is not None:
                with tqdm.external_write_mode():
                    tell(result)
            yield result


def _results(
    predictor: Predictor, jobs: Sequence[Job], records: Records | None, bar: Bar, *, overwrite: bool
) -> Iterator[Result]:
    left = []
    for job in jobs:
        known = _settled(job, records, overwrite=overwrite)
        if known is None:
            left.append(job)
        else:
            bar.advance(1)
            yield known
    with _Line(predictor, records, bar) as line:
        yield from line.run(left)


class _Line:
    """Scans on their way: one is read, one segmented and one written at a time."""

    def __init__(self, predictor: Predictor, records: Records | None, bar: Bar) -> None:
        self.predictor, self.records, self.bar = predictor, records, bar
        overlap = torch.get_num_threads() >= _OVERLAP_FROM
        self._reader = ThreadPoolExecutor(1) if overlap else None
        self._writer = ThreadPoolExecutor(1) if overlap else None
        # MONAI's readers keep state while they read: what another thread reads needs one of its own.
        self._loader = copy.deepcopy(predictor.parts.loader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        if self._writer is not None:
            # What was handed over is written, also after Ctrl-C.
            self._writer.shutdown()

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Yield the results, in the order of the jobs."""
        ahead: list[Future[Prepared]] = []
        writing: list[Future[Result]] = []
        try:
            for job, following in zip(jobs, [*jobs[1:], None], strict=False):
                self.bar.begin(job.scan.name)
                writing.append(self._do(job, following, ahead, writing))
                if len(writing) > 1:
                    # It leaves the list only when it is known, so that an interrupt meanwhile does not lose it.
                    first = writing[0].result()
                    del writing[0]
                    yield first
                self.bar.end()
        except KeyboardInterrupt:
            # What was segmented before is written and told.
            yield from (written.result() for written in writing)
            raise
        yield from (written.result() for written in writing)

    def _do(
        self, job: Job, following: Job | None, ahead: list[Future[Prepared]], writing: Sequence[Future[Result]]
    ) -> Future[Result]:
        """Read and segment a scan, unless it was read `ahead`, and put there the one that is read meanwhile.

        A method of its own, so that nothing of a scan that failed stays in memory while the next one is read.
        """
        try:
            if not ahead:
                # What the one before takes is counted as taken: reading waits for it where memory is bounded.
                self._settle(writing)
            prepared = ahead.pop().result() if ahead else self.predictor.prepare(job.scan.files)
            busy = self._bytes_writing(job, prepared) if writing else 0
            reserved = self._bytes_ahead(job, prepared, following, busy)
            if reserved is None and busy:
                self._settle(writing)
                busy = 0
                reserved = self._bytes_ahead(job, prepared, following, busy)
            if reserved is not None and following is not None:
                ahead.append(_submit(self._reader, self.predictor.prepare, following.scan.files))
            return self._segment(job, prepared, reserved=busy + (reserved or 0), writing=writing)
        except Exception as error:
            return _submit(None, failed, job, error)

    def _settle(self, writing: Sequence[Future[Result]]) -> None:
        """Wait until nothing is written any more, where memory has a bound."""
        if self.predictor.budget.memory is not None:
            wait(writing)

    @staticmethod
    def _needs_voxels(job: Job) -> bool:
        return job.wanted.statistics or job.wanted.preview

    def _bytes_writing(self, job: Job, prepared: Prepared) -> int:
        """Return what the writer takes meanwhile, reading a scan of about this size for picture and statistics."""
        return self.predictor.bytes_beside(prepared) if self._needs_voxels(job) else 0

    def _segment(
        self, job: Job, prepared: Prepared, *, reserved: int, writing: Sequence[Future[Result]]
    ) -> Future[Result]:
        """Segment a prepared scan and hand it over for writing."""
        with ExitStack() as room:
            classes = self.predictor.parts.classes
            probabilities = room.enter_context(
                probability_room(job.outputs.probabilities, prepared.scan_shape, classes)
            )
            prediction = self.predictor.segment(
                prepared,
                probabilities=probabilities,
                uncertainty=job.wanted.uncertainty,
                reserved=reserved,
                progress=self.bar.advance,
            )
            # No more than one scan waits for the disk.
            wait(writing)
            return _submit(self._writer, self._write, job, prediction, room.pop_all())

    def _write(self, job: Job, prediction: Prediction, room: ExitStack) -> Result:
        """Write a scan's files and its record; runs beside the next scan."""
        scan, start = job.scan, time.perf_counter()
        try:
            with room:
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
            )
            if self.records is not None:
                self.records.finish(scan.name, job.outputs, as_record(result))
        except Exception as error:
            return failed(job, error)
        return result

    def _voxels(self, scan: ScanInput) -> Callable[[], NDArray[Any]]:
        def read() -> NDArray[Any]:
            voxels: NDArray[Any] = load_scan(self._loader, scan.files).numpy()
            return voxels

        return read

    def _bytes_ahead(self, job: Job, prepared: Prepared, following: Job | None, busy: int) -> int | None:
        """Return the bytes to leave to reading the next scan meanwhile, or None where it has to wait."""
        if self._reader is None or following is None:
            return None
        try:
            needed = self.predictor.bytes_ahead(following.scan.files)
        except InputError:
            # What is wrong with that scan is told when it is its turn.
            return None
        fits = self.predictor.holds(prepared, needed + busy, uncertainty=job.wanted.uncertainty)
        return needed if fits else None


def _settled(job: Job, records: Records | None, *, overwrite: bool) -> Result | None:
    """Return what is known of a scan already, or None where it is to be done."""
    scan = job.scan
    if scan.problem is not None:
        return failed(job, scan.problem)
    try:
        if job.wanted.format == "dicom-seg" and (is_store(scan.files[0]) or not Path(scan.files[0]).is_dir()):
            # It raises what writing would raise after all computing.
            read_series(scan.files[0])
        if overwrite:
            return None
        if records is None:
            refuse_existing(job.outputs.files)
            return None
        record = records.finished(scan.name, scan.files, job.outputs)
    except (InputError, OSError) as error:
        return failed(job, error)
    if record is None:
        return None
    outputs = tuple(str(file) for file in job.outputs.files)
    known = record.get("uncertainty")
    uncertainty = (math.nan if known is None else known) if job.wanted.uncertainty else None
    return Result(scan.name, scan.files, "skipped", outputs, uncertainty=uncertainty)


def _submit(workers: ThreadPoolExecutor | None, function: Callable[..., _Given], *arguments: Any) -> Future[_Given]:
    """Have a function called by a worker, or here and now where there is none."""
    if workers is not None:
        return workers.submit(function, *arguments)
    future: Future[_Given] = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future
