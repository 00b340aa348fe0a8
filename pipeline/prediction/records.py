"""What is known of scans that were predicted before, so that a prediction of many goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..data.errors import InputError
from ..files import write_text
from .outputs import Outputs

__all__ = ["Records", "refuse_existing", "stamps"]

_FOLDER = ".predicted"


class Records:
    """One small file per scan, hidden in the output's folder.

    Args:
        folder: of the output.
        settings: what the label maps depend on besides the scan; JSON.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder / _FOLDER
        self.settings = json.loads(json.dumps(settings))

    def write(self, name: str, files: Sequence[str], content: Mapping[str, Any]) -> None:
        """Keep what there is to say of a scan, when its files are written."""
        record = {"settings": self.settings, "stamps": stamps(files), **content}
        write_text(self.folder / f"{name}.json", json.dumps(record, indent=2) + "\n")

    def finished(self, name: str, files: Sequence[str], outputs: Outputs) -> dict[str, Any] | None:
        """Return what was kept of a scan whose files are all there and up to date, or None where it is to be done.

        Raises:
            InputError: its label map is there, but was made with other settings, or by nothing that left a record.
        """
        record = self.read(name)
        if not outputs.label_map.exists():
            return None
        if record is None:
            refuse_existing(outputs.label_map)
            return None
        changed = [key for key in self.settings if record.get("settings", {}).get(key) != self.settings[key]]
        if changed:
            _refuse(outputs.label_map, f"a file of before, made with another {', '.join(changed)}")
        fresh = record.get("stamps") == stamps(files) and all(file.exists() for file in outputs.files)
        return record if fresh else None

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what was kept of a scan; None where there is nothing, or nothing that can be read."""
        try:
            record = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None


def stamps(files: Sequence[str]) -> list[list[Any]]:
    """Return each file's path, size and time of change; of a folder those of what lies in it."""
    found = []
    for file in files:
        path = Path(file).absolute()
        parts = sorted(path.iterdir()) if path.is_dir() else [path]
        states = [part.stat() for part in parts]
        found.append([str(path), sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)])
    return found


def refuse_existing(path: Path) -> None:
    """Raise InputError where a file is there of which nothing is known."""
    if path.exists():
        _refuse(path, "a file that is there already, without a record of how it was made")


def _refuse(path: Path, found: str) -> NoReturn:
    raise InputError(
        path,
        found=found,
        expected="nothing that would be lost",
        remedy="write into another folder, or replace it with --overwrite",
    )
