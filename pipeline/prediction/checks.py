"""What is looked at before the first scan is read: whether all that is asked for can be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..data.errors import InputError
from .inputs import ScanInput
from .outputs import FILE_ENDINGS, Outputs, Wanted
from .records import Records, refuse_existing

__all__ = [
    "REPORT",
    "STATISTICS",
    "check_apart",
    "check_known",
    "check_packages",
    "check_single",
    "check_writable",
]

REPORT = "report.json"
STATISTICS = "statistics.csv"


def check_single(output: Path, wanted: Wanted, scans: Sequence[ScanInput]) -> None:
    """Raise InputError where one file is named for several scans, or for another format than is asked for."""
    if len(scans) != 1:
        raise InputError(
            output,
            found=f"the name of one file for {len(scans)} scans",
            expected="a folder",
            remedy="give a folder: -o OUT",
        )
    endings = FILE_ENDINGS[wanted.format]
    if not output.name.lower().endswith(endings):
        raise InputError(
            output,
            found=f"an ending of another format than --format {wanted.format}",
            expected=f"a name that ends in {' or '.join(endings)}",
            remedy="correct the name, or the format",
        )


def check_packages(wanted: Wanted) -> None:
    """Raise InputError where a package is missing that only writing needs, at the end of all computing."""
    if wanted.format == "dicom-seg" and find_spec("highdicom") is None:
        raise InputError(
            "--format dicom-seg",
            found="no highdicom to write it with",
            expected="the packages for DICOM segmentations",
            remedy="install them: pip install 'lightskip[dicom]'",
        )


def check_apart(scans: Sequence[ScanInput], place: Callable[[str], Outputs]) -> None:
    """Raise InputError where an output would take the place of a scan, or lie among the slices of a series."""
    given = {os.path.realpath(file): file for scan in scans for file in scan.files}
    for scan in scans:
        for output in place(scan.name).files:
            path = Path(os.path.realpath(output))
            if str(path) in given or str(path.parent) in given:
                raise InputError(
                    output,
                    found="a scan to segment" if str(path) in given else "a place among the slices of a scan",
                    expected=f"a place for what is made of {scan.files[0]} that leaves all scans as they are",
                    remedy="write into another folder: -o OUT",
                )


def check_writable(folder: Path) -> None:
    """Make the folder and a file in it, before hours are spent on what could not be written."""
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, found="a file", expected="a folder to write to", remedy="give another one: -o OUT")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}.probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            folder,
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="one that can",
            remedy="give another one with -o, or see to its permissions and the room on its disk",
        ) from error


def check_known(folder: Path, wanted: Wanted) -> None:
    """Raise InputError where a file of all scans together is there that no prediction made."""
    names = (REPORT, "labels.ctbl", "labels.txt", *((STATISTICS,) if wanted.statistics else ()))
    if Records.are_in(folder):
        return
    refuse_existing(folder / name for name in names)
