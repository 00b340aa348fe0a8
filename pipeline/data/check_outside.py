"""Report the files of a case that are outside the dataset's folder."""

from __future__ import annotations

from pathlib import Path

from .dataset import Case, report_name
from .findings import Finding
from .outside import find_outside

__all__ = ["find_files_outside"]


def find_files_outside(case: Case, folder: Path) -> list[Finding]:
    """Return a finding for each file of a case that an absolute path or a link leads to outside the folder."""
    files = [*case.images, *([case.label] if case.label else [])]
    return [
        Finding(
            one.kind,
            found=one.words,
            expected="files in the dataset's folder",
            remedy="leave it if this file is yours: lightskip plan --outside, or lightskip train --outside True; "
            "otherwise do not use this datalist",
            case=case.name,
            file=report_name(one.path),
        )
        for one in find_outside(files, folder)
    ]
