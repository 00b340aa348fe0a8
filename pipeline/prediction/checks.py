"""Checks before the first scan is read: whether all requested outputs can be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from ..data.errors import InputError
from ..leftovers import temporary_path
from .inputs import ScanInput
from .outputs import FILE_ENDINGS, Outputs, Wanted
from .records import Records, refuse_existing

__all__ = ["REPORT", "STATISTICS", "check_outputs"]

REPORT = "report.json"
STATISTICS = "statistics.csv"


def check_outputs(
    output: Path,
    wanted: Wanted,
    scans: Sequence[ScanInput],
    outputs_for: Callable[[str], Outputs],
    *,
    single: bool,
    overwrite: bool,
) -> None:
    """Make the output folder, and check that all outputs can be written into it.

    Args:
        output: a folder; or a file, if `single`.
        wanted: the files to write for every scan.
        scans: the scans to segment.
        outputs_for: returns the outputs of a scan by its name.
        single: whether `output` is the label map of the only scan.
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: an output cannot be written, or would replace a scan or a file that prediction did not make.
    """
    if single:
        _check_single(output, wanted, scans)
    _check_packages(wanted)
    _check_apart(scans, outputs_for)
    folder = output.parent if single else output
    _check_writable(folder)
    if not single and not overwrite:
        _check_known(folder, wanted)


def _check_single(output: Path, wanted: Wanted, scans: Sequence[ScanInput]) -> None:
    """Raise InputError if one file is named for several scans, or its ending does not fit the format."""
    if len(scans) != 1:
        raise InputError(
            output,
            found=f"the name of one file for {len(scans)} scans",
            expected="a folder",
            remedy="name a folder: -o OUT",
        )
    endings, name = FILE_ENDINGS[wanted.format], output.name.lower()
    fitting = next((known for known, own in FILE_ENDINGS.items() if name.endswith(own)), None)
    if fitting != wanted.format:
        raise InputError(
            output,
            found=f"an ending of another format than --format {wanted.format}",
            expected=f"a name that ends in {' or '.join(endings)}",
            remedy="correct the name, or the format",
        )


def _check_packages(wanted: Wanted) -> None:
    """Raise InputError if a package that writing needs is missing: after hours of computing is too late."""
    if wanted.format == "dicom-seg" and find_spec("highdicom") is None:
        raise InputError(
            "--format dicom-seg",
            found="no package highdicom",
            expected="the packages for DICOM segmentations",
            remedy="install them: pip install 'lightskip[dicom]'",
        )


def _check_apart(scans: Sequence[ScanInput], outputs_for: Callable[[str], Outputs]) -> None:
    """Raise InputError if an output would replace a scan, or be among the slices of a series."""
    given = {os.path.realpath(file): file for scan in scans for file in scan.files}
    for scan in scans:
        for output in outputs_for(scan.name).files:
            path = Path(os.path.realpath(output))
            if str(path) in given or str(path.parent) in given:
                raise InputError(
                    output,
                    found="a scan to segment" if str(path) in given else "an output path among the slices of a scan",
                    expected=f"a path for the output of {scan.files[0]} that leaves all scans unchanged",
                    remedy="write into another folder: -o OUT",
                )


def _check_writable(folder: Path) -> None:
    """Make the folder and a file in it, to fail now rather than after hours of computing."""
    if folder.exists() and not folder.is_dir():
        raise InputError(folder, found="a file", expected="a folder to write to", remedy="name another one: -o OUT")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A shared folder may have a process of the same number on another machine.
        probe = temporary_path(folder / "probe")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(
            folder,
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a writable folder",
            remedy="name another one with -o, or check its permissions and the free space on its disk",
        ) from error


def _check_known(folder: Path, wanted: Wanted) -> None:
    """Raise InputError if a file with the name of a summary of all scans exists that prediction did not make."""
    names = (REPORT, "labels.ctbl", "labels.txt", *((STATISTICS,) if wanted.statistics else ()))
    if Records.exist_in(folder):
        return
    refuse_existing(folder / name for name in names)
