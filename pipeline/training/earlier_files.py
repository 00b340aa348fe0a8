"""The names of a training's files, and the folders for those of an earlier training."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from pathlib import Path

from ..networks.spec_file import spec_file
from .started_from import STARTED
from .summary import SUMMARY
from .weight_changes import CHANGES

__all__ = ["BEST", "HISTORY", "LAST", "RUN", "copy_files", "move_earlier_files"]

LAST = "last.pt"
BEST = "model.pt"
HISTORY = "history.csv"
RUN = "mlflow.json"  # names the training's run in MLflow
CURVES = "tensorboard"

_EVENTS = "events.out.tfevents."

logger = logging.getLogger(__name__)


def copy_files(folder: Path) -> Path:
    """Copy a training's files, for those who want its weights before it was lengthened."""
    names = (LAST, BEST, spec_file(Path(BEST)).name, HISTORY, SUMMARY)
    destination = _new_folder(folder)
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, destination / name)
    return destination


def _new_folder(folder: Path) -> Path:
    number = 1
    while (folder / f"previous_{number}").exists():
        number += 1
    destination = folder / f"previous_{number}"
    destination.mkdir()
    return destination


def move_earlier_files(folder: Path) -> None:
    """Move an earlier training's files to a new folder in theirs, TensorBoard events included; none, nothing."""
    names = (LAST, BEST, spec_file(Path(BEST)).name, HISTORY, CHANGES, SUMMARY, STARTED, RUN)
    earlier = [folder / name for name in names if (folder / name).exists()]
    if not earlier:
        return
    destination = _new_folder(folder)
    last_written = max(path.stat().st_mtime for path in earlier)
    for path in _find_earlier_events(folder / CURVES, last_written=last_written):
        (destination / CURVES).mkdir(exist_ok=True)
        path.rename(destination / CURVES / path.name)
    for path in earlier:
        path.rename(destination / path.name)
    logger.info(f"moved an earlier training's files to {destination}")


def _find_earlier_events(folder: Path, *, last_written: float) -> list[Path]:
    """Return the TensorBoard files of earlier runs.

    This run's writers have already created their file and open it by name at every write, so it must stay. A file name
    has the second, the host and the process. A process in a container may have the number of an earlier one, but it
    starts after the earlier one last wrote.
    """
    own = f".{socket.gethostname()}.{os.getpid()}."
    start_seconds = {path: path.name.removeprefix(_EVENTS).partition(".")[0] for path in folder.glob(f"{_EVENTS}*")}
    return [
        path
        for path, second in start_seconds.items()
        if own not in path.name or (second.isdecimal() and int(second) < int(last_written))
    ]
