"""Find what there is to do, and what needs no network: finished scans, and mistakes. Needs neither torch nor MONAI."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.errors import InputError
from ..data.images.door import open_image, require_size
from ..data.images.endings import is_store
from ..data.images.header import Header
from ..labelmaps.dicom_seg import check_source
from ..labelmaps.png import check_png
from ..labelmaps.rtstruct import check_rtstruct_source
from .checks import check_outputs
from .inputs import ScanInput, read_inputs
from .records import Records, refuse_existing
from .request import Request
from .result import Job, Result, failed

__all__ = ["Work", "find_known", "find_work", "known_result"]

_MAX_HEADERS = 50  # scans whose headers are read before the network is loaded


@dataclass(frozen=True)
class Work:
    """The scans of a request.

    Attributes:
        scans: all of them; of a shard, its share.
        results: results of those that are known without the network.
        headers: headers of the first others, at most `_MAX_HEADERS`.
        names: names of all scans, those of other shards included.
    """

    scans: tuple[ScanInput, ...]
    results: tuple[Result, ...] = ()
    headers: tuple[Header, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """Number of scans to segment."""
        return len(self.scans) - len(self.results)


def find_work(request: Request, *, channels: int) -> Work:
    """Return the scans of a request, after a check that their outputs can be written.

    Args:
        request: the options.
        channels: channels of a scan.

    Raises:
        InputError: the inputs as a whole or the output cannot be used.
    """
    found = read_inputs(request.inputs, channels=channels, series=request.series, outside=request.outside)
    scans = _note_folder(found, request)
    check_outputs(
        request.output,
        request.wanted,
        scans,
        request.outputs_for,
        single=request.single,
        overwrite=request.overwrite,
    )
    names = tuple(scan.name for scan in scans)
    own = set(names) if request.shard is None else request.shard.share(names)
    return Work(tuple(scan for scan in scans if scan.name in own), names=names)


def _note_folder(scans: Sequence[ScanInput], request: Request) -> tuple[ScanInput, ...]:
    """Return the scans; the first one that is in the output folder has a note on what will be among the scans."""
    folder = os.path.realpath(request.output)
    if request.single:
        return tuple(scans)
    inside = (
        number
        for number, scan in enumerate(scans)
        if folder in (os.path.realpath(scan.files[0]), os.path.dirname(os.path.realpath(scan.files[0])))  # noqa: PTH120
    )
    first = next(inside, None)
    note = (
        "label maps are written among the scans: predict takes none for a scan, other programs may; -o names a folder"
    )
    return tuple(
        replace(scan, notes=(*scan.notes, note)) if number == first else scan for number, scan in enumerate(scans)
    )


def find_known(work: Work, request: Request, records: Records | None) -> Work:
    """Return the work with the results that need no network, and the headers of other scans.

    Args:
        work: the scans.
        request: the options.
        records: records of scans that were finished with the same settings; None for a single output file.
    """
    results: list[Result] = []
    headers: list[Header] = []
    for scan in work.scans:
        job = Job(scan, request.outputs_for(scan.name), request.wanted)
        result = known_result(job, records, overwrite=request.overwrite)
        try:
            if result is None and len(headers) < _MAX_HEADERS:
                headers += _read_headers(scan)
        except (InputError, OSError) as error:
            result = failed(job, error)
        if result is not None:
            results.append(result)
    return replace(work, results=tuple(results), headers=tuple(headers))


def _read_headers(scan: ScanInput) -> list[Header]:
    """Return the header of a scan's first file, if it is quick to read; raise InputError if it cannot be used."""
    path = Path(scan.files[0])
    if path.is_dir() or is_store(path):
        # A series has a header per slice, and a store may be on a network.
        return []
    with open_image(str(path)) as image:
        image.check()
        require_size(image)
        return [image.header]


def known_result(job: Job, records: Records | None, *, overwrite: bool) -> Result | None:
    """Return the result of a scan that failed or was finished earlier, or None if it has to be segmented."""
    scan = job.scan
    if scan.problem is not None:
        return failed(job, scan.problem)
    record = None
    try:
        if records is not None and not overwrite:
            record = records.finished(scan.name, scan.files, job.outputs)
        elif not overwrite:
            refuse_existing(job.outputs.files)
        if record is None and job.wanted.format == "dicom-seg":
            # Raise now what writing would raise after all computing.
            check_source(scan.files[0])
        if record is None and job.wanted.format == "rtstruct":
            check_rtstruct_source(scan.files[0])
        if record is None and job.wanted.format == "png":
            check_png(scan.files[0])
    except (InputError, OSError) as error:
        return failed(job, error)
    if record is None:
        return None
    outputs = tuple(str(file) for file in job.outputs.files)
    known = record.get("uncertainty")
    uncertainty = (math.nan if known is None else known) if job.wanted.uncertainty else None
    return Result(
        scan.name, scan.files, "skipped", outputs, uncertainty=uncertainty, only_label=record.get("only_label")
    )
