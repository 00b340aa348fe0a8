"""What a check has found so far, kept in a file so that an interrupted one continues from there."""

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

__all__ = ["Progress"]

_FILE = "cases.jsonl"


class Progress:
    """One line of JSON per case that was read, in `cases.jsonl` of the output folder. Safe to use from threads.

    Args:
        folder: the output folder, made when missing; None keeps nothing.
        settings: what a line's findings depend on besides the files; lines whose settings begin otherwise are not used.
        resume: whether to use the lines that are there; otherwise the file is begun anew.

    Raises:
        InputError: the folder cannot be made or written to.
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
            # The last line of a check that was killed may have no end.
            self.stream.write("\n")
        except OSError as error:
            raise self._write_error(error) from error

    def find(self, key: str) -> Inspection | None:
        """Return what is known for this state of a case's files, if anything."""
        return self.known.get(key)

    def add(self, key: str, inspection: Inspection) -> None:
        """Write down what was found in a case.

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
        """Close the file. What could not be written was reported when it was added."""
        if self.stream is not None:
            with contextlib.suppress(OSError):
                self.stream.close()

    def _write_error(self, error: OSError) -> InputError:
        return InputError(
            str(self.folder),
            found=f"a folder that cannot be written to ({error.strerror})",
            expected="a folder with room for the report",
            remedy="name another one, or make room: -o FOLDER",
        )

    def _read(self, path: Path) -> None:
        for line in filter(None, path.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                item = json.loads(line)
                if str(item["settings"]).startswith(self.settings):
                    self.known[item["key"]] = _unpack(item)
            except (ValueError, KeyError, TypeError):
                # The line at which an earlier check was killed, or another version's: its case is read again.
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
