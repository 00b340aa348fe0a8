"""What became of one scan: done, skipped or failed, and why."""

from __future__ import annotations

import errno
import math
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..data.errors import input_error_behind
from .inputs import ScanInput
from .outputs import Outputs, Wanted

__all__ = ["Job", "Result", "as_record", "failed"]

_NO_MEMORY = ("can't allocate memory", "out of memory", "Unable to allocate")


@dataclass(frozen=True)
class Job:
    """A scan, where its files go, and which."""

    scan: ScanInput
    outputs: Outputs
    wanted: Wanted


@dataclass(frozen=True)
class Result:
    """What became of one scan.

    Attributes:
        name: of the scan.
        files: it was read from.
        status: ``"done"``, ``"skipped"`` (finished before) or ``"failed"``.
        outputs: files that are there now.
        seconds: by what they were spent on: preparing, network, windows, writing.
        uncertainty: mean entropy of the labelled voxels, where it was asked for.
        notes: what a user should know.
        error: what went wrong.
        traceback: of an error that nobody foresaw.
    """

    name: str
    files: tuple[str, ...]
    status: str
    outputs: tuple[str, ...] = ()
    seconds: Mapping[str, float] | None = None
    uncertainty: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    traceback: str | None = None


def as_record(result: Result) -> dict[str, Any]:
    """Return a result as JSON has it, without what is not known."""
    content = {key: value for key, value in asdict(result).items() if value is not None}
    if isinstance(content.get("uncertainty"), float):
        # JSON has no NaN: nothing was found, so nothing has an entropy.
        content["uncertainty"] = None if math.isnan(content["uncertainty"]) else round(content["uncertainty"], 6)
    if "seconds" in content:
        content["seconds"] = {key: round(value, 3) for key, value in content["seconds"].items()}
    return content


def failed(job: Job, error: Exception) -> Result:
    """Say what went wrong with a scan."""
    explained = input_error_behind(error)
    trace = None
    if explained is not None:
        message = str(explained)
        if not any(str(file) in message for file in (*job.scan.files, *job.outputs.files)):
            # As of --memory, of which one scan has enough and another has not.
            message = f"{job.scan.files[0]}: {message}"
    elif isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        message = f"{job.scan.files[0]}: found more than fits into memory; expected a scan that does. What to do: give "
        message += "--memory what this machine has, or close other programs."
    elif isinstance(error, OSError) and error.strerror is not None:
        # Without a name it is what comes of writing, such as a full disk.
        where = job.outputs.label_map.parent if error.filename is None else error.filename
        message = f"{where}: found {str(error.strerror).lower()}; expected to read or write it. "
        what = "see to its permissions and to the room on its disk"
        if error.errno == errno.ENAMETOOLONG:
            what = "give the scan a shorter name, or name one output file with -o"
        message += f"What to do: {what}."
    else:
        message = f"{job.scan.name}: {type(error).__name__}: {error} (a bug, or a damaged installation)"
        trace = "".join(traceback.format_exception(error))
    return Result(job.scan.name, job.scan.files, "failed", error=message, traceback=trace)
