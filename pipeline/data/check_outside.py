"""Report the files of a case that are outside the dataset's folder."""

from __future__ import annotations

import os
from pathlib import Path

from .dataset import Case, read_dataset, report_name
from .findings import Finding
from .outside import find_outside

__all__ = ["describe_files_outside", "find_files_outside"]


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


def describe_files_outside(datalist: str | Path) -> str:
    """Return a line on a datalist's files outside the dataset's folder; an empty text if there are none."""
    dataset = read_dataset(datalist)
    found = [finding for case in dataset.cases for finding in find_files_outside(case, dataset.folder)]
    if not found:
        return ""
    files = f"{len(found)} file{'s' * (len(found) > 1)} outside {os.path.abspath(dataset.folder)}"  # noqa: PTH100
    return f"{files}, the first is {found[0].found} ({found[0].file}); if they are yours: lightskip plan --outside"
