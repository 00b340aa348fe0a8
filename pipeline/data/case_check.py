"""The state of one case's check: what it has found so far."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .check_file import (
    spatial_shape,
)
from .dataset import Case, locate, report_name
from .errors import InputError
from .findings import Finding
from .images.door import read_volume
from .images.header import Volume
from .measure_case import Measures
from .wanted import Wanted

__all__ = ["CaseCheck", "Stopped"]


class Stopped(Exception):  # noqa: N818 - not an error
    """The check of a case was stopped because the whole check is to end."""


@dataclass
class CaseCheck:
    """The state of one case's check."""

    case: Case
    folder: Path
    wanted: Wanted
    stop: threading.Event | None
    measures: Measures | None
    keep: Callable[[Volume], object] | None
    as_float: bool
    findings: list[Finding] = field(default_factory=list)
    unit: str | None = None
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    label_sample: np.ndarray | None = None

    def require_time(self) -> None:
        """Raise Stopped if the whole check is to end."""
        if self.stop is not None and self.stop.is_set():
            raise Stopped

    def add(self, problem: InputError, file: str, *, fixable: bool | None = None) -> None:
        """Add the finding of an error that a file would cause."""
        self.findings.append(Finding.from_error(problem, case=self.case.name, file=file, fixable=fixable))

    def add_new(self, kind: str, file: str, *, found: str, expected: str, remedy: str) -> None:
        """Add a finding that is no error of a reader."""
        self.findings.append(Finding(kind, found, expected, remedy, self.case.name, file))

    def read(self, path: str, *, channels: int) -> tuple[Volume, tuple[int, ...]] | None:
        """Return a file's content and its shape in space; None, with a finding, if it cannot be read."""
        self.require_time()
        file = str(locate(self.folder, path))
        notes: tuple[InputError, ...] = ()
        try:
            volume = read_volume(file, as_float=self.as_float)
            # Also of a file with other axes: three channels that are read as one may be why.
            notes = volume.header.notes
            return volume, spatial_shape(file, volume.voxels.shape, channels, self.wanted.spatial_dims)
        except InputError as problem:
            for note in notes:
                self.add(note, report_name(path))
            self.findings.append(Finding.from_read_error(problem, case=self.case.name, file=report_name(path)))
            return None
