"""Segment many scans in one process: its memory must not grow, and no file may stay open."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import nibabel
import numpy as np

from .started_verbs import StartedVerb, start_verb
from .tries import Try
from .workspace import Workspace

__all__ = ["segment_many"]

MAX_GROWTH = 0.05
# The memory is compared with that after this share of the scans: then every shape has come several times.
_WARM_UP = 0.1
# As many shapes as a clinic's protocols have (voxels).
_SHAPES = [(32, 32, 32), (40, 36, 28), (24, 48, 20), (33, 31, 35), (48, 48, 16), (20, 20, 20)]
_LOOK_SECONDS = 0.05
_LOOKS = 20


def segment_many(workspace: Workspace, scans: int, seed: int) -> Try:
    """Segment scans of changing shapes with one start of `lightskip predict`.

    A fault is: it fails, its memory grew by more than 5 % after the first tenth of the scans, more files are open than
    then.
    """
    folder, log = workspace.folder / "many", workspace.folder / "log.txt"
    shutil.rmtree(folder, ignore_errors=True)
    _write_scans(folder / "scans", scans, seed)
    words = ["predict", str(workspace.inputs / "bundle"), "scans", "-o", "out", "--runtime", "pytorch"]
    started = start_verb(words, folder, log)
    first = _measure_after(started, folder / "out", int(scans * _WARM_UP))
    last = _measure_after(started, folder / "out", int(scans * (1 - _WARM_UP)))
    ended = started.wait()
    faults = []
    if ended is None or ended.status:
        faults.append("hangs" if ended is None else f"ends with {ended.status}: {ended.text[-300:]}")
    growth = last[0] / first[0] - 1 if first and last and first[0] else 0.0
    if first is None or last is None:
        faults.append("it ended before its memory was measured")
    else:
        faults += [f"the memory grew by {growth:.1%}"] if growth > MAX_GROWTH else []
        faults += [f"{last[1] - first[1]} more open files"] if last[1] > first[1] else []
    shutil.rmtree(folder)
    megabytes = [found[0] >> 20 if found else 0 for found in (first, last)]
    detail = f"{scans} scans; {megabytes[0]} MB after {int(scans * _WARM_UP)}, {megabytes[1]} MB near the end"
    return Try("many scans", "predict", 0, detail, f"{growth:+.1%} memory", "; ".join(faults))


def _write_scans(folder: Path, scans: int, seed: int) -> None:
    """Write a few scans, and link them under many names."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for number, shape in enumerate(_SHAPES):
        voxels = generator.normal(100, 30, shape).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"scan_{number:05d}.nii.gz")
    for number in range(len(_SHAPES), scans):
        source = folder / f"scan_{generator.integers(len(_SHAPES)):05d}.nii.gz"
        (folder / f"scan_{number:05d}.nii.gz").hardlink_to(source)


def _measure_after(started: StartedVerb, output: Path, scans: int) -> tuple[int, int] | None:
    """Return a process's memory (bytes) and its number of open files once so many label maps are there."""
    process = Path(f"/proc/{started.process}")
    while sum(entry.name.endswith("_seg.nii.gz") for entry in os.scandir(output)) < scans if output.is_dir() else True:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            return None
        time.sleep(_LOOK_SECONDS)
    resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, min(_count_open_files(process) for _ in range(_LOOKS))


def _count_open_files(process: Path) -> int:
    # Scans that are being read or written are open for a moment.
    time.sleep(_LOOK_SECONDS / 5)
    try:
        return len(list((process / "fd").iterdir()))
    except OSError:  # it has ended meanwhile
        return 0
