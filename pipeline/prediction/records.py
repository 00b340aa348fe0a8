"""Records of finished scans, so that an interrupted prediction continues where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..data.errors import InputError
from ..data.images.files import check_parts, parts_of
from ..data.json_file import load_json
from ..files import write_text
from .outputs import Outputs

__all__ = ["RECORDS", "Records", "refuse_existing", "stamps"]

RECORDS = ".predicted"


class Records:
    """One small file per scan, in a hidden folder of the output folder.

    Args:
        folder: the output folder.
        settings: everything but the scan that label maps depend on, as JSON types.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder / RECORDS
        self.settings = json.loads(json.dumps(settings))

    @staticmethod
    def exist_in(folder: Path) -> bool:
        """Return whether a prediction was started in a folder."""
        return (folder / RECORDS).is_dir()

    def claim(self) -> None:
        """Mark the output folder as prediction's own, even if no scan was finished.

        Raises:
            OSError: the mark cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(self, name: str, files: Sequence[str], outputs: Outputs) -> None:
        """Record that a scan's files are about to be written, so that they stay known if the process is killed."""
        earlier = self._read(name)
        now = {"settings": self.settings, "stamps": stamps(files)}
        # Files of other settings are prediction's own as well, but out of date.
        same = earlier["outputs"] if all(earlier.get(key) == now[key] for key in now) else []
        wanted = _names(outputs.files)
        for stale in set(earlier["written"]) - set(same) - set(wanted):
            # Statistics or a preview of the label map that is about to be replaced.
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
        """Record a scan's result, after its files are written."""
        begun = self._read(name)
        names = sorted({*begun["outputs"], *_names(outputs.files)})
        states = {**begun.get("states", {}), **{file.name: _size_and_time(file) for file in outputs.files}}
        record = {**begun, **content, "outputs": names, "states": states}
        write_text(self._file(name), json.dumps(record, indent=2) + "\n")

    def finished(self, name: str, files: Sequence[str], outputs: Outputs) -> dict[str, Any] | None:
        """Return the record of a scan if all its files exist and are up to date, or None if it has to be segmented.

        Raises:
            InputError: a file of the scan exists that was made with other settings, from another scan or without a
                record, or that was changed since.
        """
        record = self._read(name)
        existing = [file for file in outputs.files if file.exists()]
        refuse_existing(file for file in existing if file.name not in record["written"])
        earlier = record.get("settings", {})
        changed = [key for key in self.settings if earlier.get(key) != self.settings[key]]
        if existing and changed:
            changes = [f"{key} {_short(earlier.get(key))} (now {_short(self.settings[key])})" for key in changed]
            _refuse(existing[-1], f"an earlier file, made with {', '.join(changes)}")
        now, before = stamps(files), record.get("stamps", [])
        same = [stamp[1:] for stamp in now] == [stamp[1:] for stamp in before]
        if existing and not same and [stamp[0] for stamp in now] != [stamp[0] for stamp in before]:
            _refuse(existing[-1], f"a label map of another scan of this name, {before[0][0] if before else 'unknown'}")
        states = record.get("states", {})
        edited = [file for file in existing if file.name in states and states[file.name] != _size_and_time(file)]
        if edited and same:
            _refuse(edited[-1], "a file that was changed after it was made")
        complete = len(existing) == len(outputs.files) and set(_names(existing)) <= set(record["outputs"])
        return record if complete and same and record.get("status") == "done" else None

    def finished_files(self, ending: str) -> dict[str, Path]:
        """Return the files with this ending, by scan, of all scans that were finished with these settings."""
        found = {}
        for file in sorted(self.folder.glob("*.json")):
            name = file.stem
            record = self._read(name)
            target = self.folder.parent / (name + ending)
            done = record.get("status") == "done" and self._has_settings(record)
            if done and target.name in record["outputs"] and target.is_file():
                found[name] = target
        return found

    def find_choice(self) -> dict[str, str]:
        """Return runtime and precision of the first scan that was finished with these settings; nothing if none was.

        Call it on records whose settings lack the two.
        """
        for file in sorted(self.folder.glob("*.json")):
            record = self._read(file.stem)
            if record.get("status") == "done" and self._has_settings(record):
                return {key: record["settings"][key] for key in ("precision", "runtime") if key in record["settings"]}
        return {}

    def _has_settings(self, record: Mapping[str, Any]) -> bool:
        earlier = record.get("settings", {})
        return all(key in earlier and earlier[key] == value for key, value in self.settings.items())

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        """Return the record of a scan; a record without files if there is none or it cannot be read."""
        try:
            record = load_json(self._file(name))
        except (OSError, ValueError):
            record = None
        known = isinstance(record, dict) and all(isinstance(record.get(key), list) for key in ("outputs", "written"))
        return record if known else {"outputs": [], "written": []}


def stamps(files: Sequence[str]) -> list[list[Any]]:
    """Return each scan file's path, number of parts, total size (bytes) and last time of change (ns).

    Raises:
        OSError: a file no longer exists.
        InputError: a folder is now empty, or a file is a link to one that is not there.
    """
    found = []
    for file in files:
        path = Path(file).absolute()
        try:
            states = [part.stat() for part in parts_of(path)]
        except OSError:  # a link in a circle has another kind than a missing file
            check_parts(file)
            raise
        newest = max(state.st_mtime_ns for state in states)
        found.append([str(path), len(states), sum(state.st_size for state in states), newest])
    return found


def _short(value: Any) -> str:
    """Return a setting as short text, with checksums cut to 12 letters."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={one}" for key, one in value.items()) or "none"
    values = value if isinstance(value, list) else [value]
    return " ".join(str(one)[:12] for one in values)


def _size_and_time(file: Path) -> list[int]:
    """Return a file's size and time of change."""
    state = file.stat()
    return [state.st_size, state.st_mtime_ns]


def refuse_existing(files: Iterable[Path]) -> None:
    """Raise InputError for the last of the files that exists: there is no record of it."""
    existing = [file for file in files if file.exists()]
    if existing:
        _refuse(existing[-1], "an existing file without a record of how it was made")


def _names(files: Iterable[Path]) -> list[str]:
    return [file.name for file in files]


def _refuse(path: Path, found: str) -> NoReturn:
    raise InputError(
        path,
        found=found,
        expected="no existing file at the output path",
        remedy="write into another folder, or replace it with --overwrite",
    )
