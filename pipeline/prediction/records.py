"""What is known of scans that were predicted before, so that a prediction of many goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..data.errors import InputError
from ..data.images.door import check_parts
from ..data.images.files import parts_of
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
        for stale in set(earlier["written"]) - set(same) - set(wanted):
            # Statistics or a picture of another label map than the one that comes.
            (self.folder.parent / stale).unlink(missing_ok=True)
        record = {
            **now,
            "status": "begun",
            "states": {name: state for name, state in earlier.get("states", {}).items() if name in same},
            "outputs": sorted(set(same) - set(wanted)),
            "written": sorted({*same, *wanted}),
        }
        write_text(self._file(name), json.dumps(record, indent=2) + "\n")

    def finish(self, name: str, outputs: Outputs, content: Mapping[str, Any]) -> None:
        """Keep what there is to say of a scan, when its files are written."""
        begun = self._read(name)
        names = sorted({*begun["outputs"], *_names(outputs.files)})
        states = {**begun.get("states", {}), **{file.name: _state(file) for file in outputs.files}}
        record = {**begun, **content, "outputs": names, "states": states}
        write_text(self._file(name), json.dumps(record, indent=2) + "\n")

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
            before = record.get("settings", {})
            told = ", ".join(f"{key} {_short(before.get(key))} (now {_short(self.settings[key])})" for key in changed)
            _refuse(there[-1], f"a file of before, made with {told}")
        now, before = stamps(files), record.get("stamps", [])
        same = [stamp[1:] for stamp in now] == [stamp[1:] for stamp in before]
        if there and not same and [stamp[0] for stamp in now] != [stamp[0] for stamp in before]:
            _refuse(there[-1], f"a label map of another scan of this name, {before[0][0] if before else 'unknown'}")
        states = record.get("states", {})
        edited = [file for file in there if file.name in states and states[file.name] != _state(file)]
        if edited and same:
            _refuse(edited[-1], "a file that was changed after it was made")
        complete = len(there) == len(outputs.files) and set(_names(there)) <= set(record["outputs"])
        return record if complete and same and record.get("status") == "done" else None

    def finished_files(self, ending: str) -> dict[str, Path]:
        """Return the files with this ending, by their scans' names, of all scans that are done with these settings."""
        found = {}
        for file in sorted(self.folder.glob("*.json")):
            name = file.stem
            record = self._read(name)
            target = self.folder.parent / (name + ending)
            done = record.get("status") == "done" and record.get("settings") == self.settings
            if done and target.name in record["outputs"] and target.is_file():
                found[name] = target
        return found

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
        InputError: a folder is empty now, or one file of a pair is missing.
    """
    found = []
    for file in files:
        path = Path(file).absolute()
        try:
            states = [part.stat() for part in parts_of(path)]
        except FileNotFoundError:
            check_parts(file)
            raise
        newest = max(state.st_mtime_ns for state in states)
        found.append([str(path), len(states), sum(state.st_size for state in states), newest])
    return found


def _short(value: Any) -> str:
    """Return a setting in few letters: of a checksum its beginning."""
    values = value if isinstance(value, list) else [value]
    return " ".join(str(one)[:12] for one in values)


def _state(file: Path) -> list[int]:
    """Return a file's size and time of change."""
    state = file.stat()
    return [state.st_size, state.st_mtime_ns]


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
