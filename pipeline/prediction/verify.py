"""Check at the end that the files of a prediction are there: somebody may have removed them meanwhile.

Needs neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..disk import is_unreachable
from .result import Result

__all__ = ["file_sizes", "verify_records", "verify_results"]

_GONE = -1


def file_sizes(files: Sequence[str | Path]) -> tuple[int, ...]:
    """Return the sizes of files in bytes, -1 for one that is not there."""
    return tuple(map(_size, files))


def verify_results(results: Sequence[Result]) -> list[Result]:
    """Return results, with those as failed whose files are no longer there, or no longer have their size."""
    return [_verify(result) for result in results]


def verify_records(scans: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return the records of scans in a report, with those as failed whose files are not in a folder.

    Args:
        scans: records as of `as_record`.
        folder: the folder that has the files now.
    """
    checked = []
    for scan in scans:
        lost = [file for name in scan.get("outputs", ()) if not (file := folder / Path(name).name).is_file()]
        if scan["status"] == "failed" or not lost:
            checked.append(dict(scan))
        else:
            left = [name for name in scan["outputs"] if folder / Path(name).name not in lost]
            checked.append({**scan, "status": "failed", "outputs": left, "error": _message(lost[-1], "no such file")})
    return checked


def _verify(result: Result) -> Result:
    if result.status == "failed":
        return result
    sizes = result.sizes or file_sizes(result.outputs)
    now = file_sizes(result.outputs)
    changed = [
        file for file, before, size in zip(result.outputs, sizes, now, strict=True) if size != before or size < 0
    ]
    if not changed or is_unreachable(Path(changed[-1]).parent):
        # Without its server a disk says nothing about them; that is a message of its own.
        return result
    # The label map is the last one.
    found = "no such file" if _size(changed[-1]) == _GONE else "a file of another size"
    left = tuple(file for file in result.outputs if file not in changed)
    return replace(result, status="failed", outputs=left, sizes=(), error=_message(changed[-1], found))


def _message(file: str | Path, found: str) -> str:
    return (
        f"{file}: found {found}; expected the file that was written, or found, before. Something else has removed or "
        "changed it. What to do: run the same command again, and leave the folder alone meanwhile."
    )


def _size(file: str | Path) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:
        return _GONE
