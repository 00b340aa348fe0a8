"""The result of one scan: done, skipped or failed, and why."""

from __future__ import annotations

import errno
import math
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..data.errors import input_error_behind
from ..disk import explain_disk_error, is_unreachable, is_unwritable
from ..memory_errors import find_memory_error
from .inputs import ScanInput
from .outputs import Outputs, Wanted

__all__ = ["Job", "Result", "as_record", "failed", "from_json", "not_tried", "to_json"]


@dataclass(frozen=True)
class Job:
    """A scan and the files to write for it."""

    scan: ScanInput
    outputs: Outputs
    wanted: Wanted


_OF_THIS_START = ("sizes", "of_disk", "ends_all")
_NOT_TRIED = (
    "{file}: not segmented, as the disk was full or read-only at an earlier scan. What to do: free some space, or "
    "write to another disk; then run the same command again."
)


@dataclass(frozen=True)
class Result:
    """The result of one scan.

    Attributes:
        name: the scan's name.
        files: the scan's files.
        status: ``"done"``, ``"skipped"`` (finished earlier) or ``"failed"``.
        outputs: the files that exist now.
        sizes: their sizes when they were written, in bytes; empty if unknown.
        of_disk: whether it failed because the disk is full or broken.
        ends_all: whether further scans would fail as well, as the disk is full, read-only or out of reach.
        not_tried: whether it was left out, or could not be written, as an earlier one had ended all.
        seconds: time by step: preparing, network, windows, writing.
        uncertainty: mean entropy of the labelled voxels, if requested.
        notes: what a user should know.
        only_label: the label of every voxel, if there is only one, such as the background in an empty label map.
        error: the error message.
        traceback: traceback of an unexpected error.
    """

    name: str
    files: tuple[str, ...]
    status: str
    outputs: tuple[str, ...] = ()
    seconds: Mapping[str, float] | None = None
    uncertainty: float | None = None
    notes: tuple[str, ...] = ()
    only_label: str | None = None
    error: str | None = None
    traceback: str | None = None
    sizes: tuple[int, ...] = ()
    of_disk: bool = False
    ends_all: bool = False
    not_tried: bool = False


def as_record(result: Result) -> dict[str, Any]:
    """Return a result as JSON types, without the fields that are None or only for this start."""
    content = {key: value for key, value in asdict(result).items() if value is not None and key not in _OF_THIS_START}
    if not result.not_tried:
        del content["not_tried"]
    if isinstance(content.get("uncertainty"), float):
        # JSON has no NaN, which means that no voxel is labelled.
        content["uncertainty"] = None if math.isnan(content["uncertainty"]) else round(content["uncertainty"], 6)
    if "seconds" in content:
        content["seconds"] = {key: round(value, 3) for key, value in content["seconds"].items()}
    return content


def to_json(result: Result) -> dict[str, Any]:
    """Return all of a result as JSON types, for `from_json` in another process."""
    content = asdict(result)
    if content["seconds"] is not None:
        content["seconds"] = {key: float(value) for key, value in content["seconds"].items()}
    return content if content["uncertainty"] is None else content | {"uncertainty": float(content["uncertainty"])}


def from_json(content: Mapping[str, Any]) -> Result:
    """Return the result that `to_json` has described."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return Result(**values)


def failed(job: Job, error: Exception) -> Result:
    """Return the result of a scan that failed, with a message for people."""
    explained = input_error_behind(error)
    trace, of_disk = None, False
    if explained is not None:
        message = str(explained)
        if not any(str(file) in message for file in (*job.scan.files, *job.outputs.files)):
            # Such as about --memory, which can be too small for one scan only.
            message = f"{job.scan.files[0]}: {message}"
    elif find_memory_error(error) is not None:
        message = f"{job.scan.files[0]}: found a scan that does not fit into memory; expected one that fits. "
        message += "What to do: set --memory to what this machine has, or close other programs."
    elif (full := explain_disk_error(error, where=job.outputs.label_map.parent)) is not None:
        message, of_disk = full, True
    elif isinstance(error, OSError) and error.strerror is not None:
        # Errors without a file name come from writing.
        where = job.outputs.label_map.parent if error.filename is None else error.filename
        message = f"{where}: found {str(error.strerror).lower()}; expected a file or folder to read or write. "
        remedy = "check its permissions and the free space on its disk"
        if error.errno == errno.ENAMETOOLONG:
            remedy = "give the scan a shorter name, or name one output file with -o"
        message += f"What to do: {remedy}."
    else:
        message = f"{job.scan.name}: {type(error).__name__}: {error} (a bug, or a damaged installation)"
        trace = "".join(traceback.format_exception(error))
    return Result(
        job.scan.name,
        job.scan.files,
        "failed",
        error=message,
        traceback=trace,
        of_disk=of_disk,
        ends_all=(of_disk and is_unwritable(error)) or is_unreachable(job.outputs.label_map.parent),
    )


def not_tried(name: str, files: tuple[str, ...]) -> Result:
    """Return the result of a scan that is left out because an earlier one has found that nothing can be written."""
    message = _NOT_TRIED.format(file=files[0])
    return Result(name, files, "failed", error=message, of_disk=True, not_tried=True)
