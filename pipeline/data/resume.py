"""The results of a check so far, in a file from which an interrupted check resumes."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from .errors import InputError
from .findings import Finding
from .inspection import Inspection
from .json_file import parse_json

__all__ = ["NO_ROOM", "Progress"]

# The remedy for a report that cannot be written.
NO_ROOM = "free some space, or name another folder: -o FOLDER of `lightskip check`, --check FOLDER of `lightskip plan`"

_FILE = "cases.jsonl"


class Progress:
    """A file `cases.jsonl` in the output folder, with one line of JSON per case that was read. Thread-safe.

    Args:
        folder: the output folder, created if missing; None keeps nothing.
        settings: a text for everything but the files that findings depend on; lines whose settings start differently
            are not used.
        resume: whether to use the existing lines; otherwise the file is overwritten.

    Raises:
        InputError: the folder cannot be created or written to.
    """

    def __init__(self, folder: str | Path | None, *, settings: str, resume: bool) -> None:
        self.folder = folder
        self.settings = settings
        self.known: dict[str, Inspection] = {}
        self.lock = threading.Lock()
        self.stream: TextIO | None = None
        if folder is None:
            return
        path = Path(folder) / _FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if resume and path.exists():
                self._read(path)
            self.stream = path.open("a" if resume else "w", encoding="utf-8")
            # The last line of a killed check may be incomplete.
            self.stream.write("\n")
        except OSError as error:
            raise self._write_error(error) from error

    def find(self, key: str) -> Inspection | None:
        """Return the result for this state of a case's files, if there is one."""
        return self.known.get(key)

    def add(self, key: str, inspection: Inspection) -> None:
        """Write the result of a case.

        Raises:
            InputError: the folder cannot be written to any more.
        """
        if self.stream is None:
            return
        line = json.dumps({"key": key, "settings": self.settings, **_pack(inspection)}, allow_nan=False) + "\n"
        try:
            with self.lock:
                self.stream.write(line)
                self.stream.flush()
        except OSError as error:
            raise self._write_error(error) from error

    def close(self) -> None:
        """Close the file. Write errors were raised by `add`."""
        if self.stream is not None:
            with contextlib.suppress(OSError):
                self.stream.close()

    def _write_error(self, error: OSError) -> InputError:
        return InputError(
            str(self.folder),
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a folder with room for the report",
            remedy=NO_ROOM,
        )

    def _read(self, path: Path) -> None:
        for line in filter(None, path.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                item = parse_json(line)
                if str(item["settings"]).startswith(self.settings):
                    self.known[item["key"]] = _unpack(item)
            except (ValueError, KeyError, TypeError):
                # An incomplete line of a killed check, or another version's line: its case is read again.
                continue


def _pack(inspection: Inspection) -> dict[str, Any]:
    picture = inspection.thumbnail
    return {
        "findings": [asdict(finding) for finding in inspection.findings],
        "record": inspection.record,
        "voxels": inspection.voxels,
        "thumbnail": None if picture is None else base64.b64encode(picture).decode(),
    }


def _unpack(item: dict[str, Any]) -> Inspection:
    return Inspection(
        [Finding(**finding) for finding in item["findings"]],
        item["record"],
        item["voxels"],
        None if item["thumbnail"] is None else base64.b64decode(item["thumbnail"]),
    )
