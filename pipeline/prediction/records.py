"""What is known of scans that were predicted before, so that a prediction of many goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..data.errors import InputError
from ..data.layouts.image_files import parts_of
from ..files import write_text
from .outputs import Outputs

__all__ = ["Records", "refuse_existing", "stamps"]

_FOLDER = ".predicted"


class Records:
    """One small file per scan, hidden in the output's folder.

    Args:
        folder: of the output.
        settings: what the label maps depend on besides the scan; JSON.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder / _FOLDER
        self.settings = json.loads(json.dumps(settings))
        self.folder.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def are_in(folder: Path) -> bool:
        """Tell whether a prediction was begun in a folder before."""
        return (folder / _FOLDER).is_dir()

    def begin(self, name: str, files: Sequence[str], outputs: Outputs) -> None:
        """Note that a scan's files are about to be written: whoever kills the process does not make them strangers."""
        earlier = self._read(name)
        now = {"settings": self.settings, "stamps": stamps(files)}
        # Those of other settings are ours as well, but no longer what was asked for.
        same = earlier["outputs"] if all(earlier.get(key) == now[key] for key in now) else []
        wanted = _names(outputs.files)
        record = {
            **now,
            "status": "begun",
            "outputs": sorted(set(same) - set(wanted)),
            "written": sorted({*earlier["written"], *wanted}),
        }
        write_text(self._file(name), json.dumps(record, indent=2) + "\n")

    def finish(self, name: str, outputs: Outputs, content: Mapping[str, Any]) -> None:
        """Keep what there is to say of a scan, when its files are written."""
        begun = self._read(name)
        names = sorted({*begun["outputs"], *_names(outputs.files)})
        write_text(self._file(name), json.dumps({**begun, **content, "outputs": names}, indent=2) + "\n")

    def finished(self, name: str, files: Sequence[str], outputs: Outputs) -> dict[str, Any] | None:
        """Return what was kept of a scan whose files are all there and up to date, or None where it is to be done.

        Raises:
            InputError: a file of it is there, but was made with other settings, or by nothing that left a record.
        """
        record = self._read(name)
        there = [file for file in outputs.files if file.exists()]
        refuse_existing(file for file in there if file.name not in record["written"])
        changed = [key for key in self.settings if record.get("settings", {}).get(key) != self.settings[key]]
        if there and changed:
            _refuse(there[-1], f"a file of before, made with another {', '.join(changed)}")
        complete = len(there) == len(outputs.files) and set(_names(there)) <= set(record["outputs"])
        fresh = complete and record.get("status") == "done" and record.get("stamps") == stamps(files)
        return record if fresh else None

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        """Return what was kept of a scan, with no files where there is nothing, or nothing that can be read."""
        try:
            record = json.loads(self._file(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            record = None
        known = isinstance(record, dict) and all(isinstance(record.get(key), list) for key in ("outputs", "written"))
        return record if known else {"outputs": [], "written": []}


def stamps(files: Sequence[str]) -> list[list[Any]]:
    """Return each scan file's path, size and time of change, of all parts together where it has several.

    Raises:
        OSError: one is not there any more.
        InputError: a folder is empty now.
    """
    found = []
    for file in files:
        path = Path(file).absolute()
        states = [part.stat() for part in parts_of(path)]
        newest = max(state.st_mtime_ns for state in states)
        found.append([str(path), len(states), sum(state.st_size for state in states), newest])
    return found


def refuse_existing(files: Iterable[Path]) -> None:
    """Raise InputError for the last of the files that is there: nothing is known of it."""
    there = [file for file in files if file.exists()]
    if there:
        _refuse(there[-1], "a file that is there already, without a record of how it was made")


def _names(files: Iterable[Path]) -> list[str]:
    return [file.name for file in files]


def _refuse(path: Path, found: str) -> NoReturn:
    raise InputError(
        path,
        found=found,
        expected="nothing that would be lost",
        remedy="write into another folder, or replace it with --overwrite",
    )
