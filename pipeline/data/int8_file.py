"""The int8 form of a file of weights, which `lightskip quantize` writes beside it.

For ``model.pt`` these are ``model.int8.xml`` and ``model.int8.bin``, OpenVINO's model, and ``model.int8.json``: its
checksums, that of the weights that it was made from, and what was measured. Needs neither torch nor OpenVINO.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..disk import unknown_disk_error
from ..files import name_disk
from ..leftovers import temporary_folder
from .errors import InputError
from .json_file import load_json

__all__ = ["FORMAT", "copy_int8", "find_int8", "list_int8_files", "read_int8_record", "write_int8"]

FORMAT = 1  # of the record
_RUNTIME = "--runtime int8"


def list_int8_files(weights: str | Path) -> dict[str, Path]:
    """Return the paths ``xml``, ``bin`` and ``json`` of the int8 form of a file of weights; they may be missing."""
    weights = Path(weights)
    return {ending: weights.with_name(f"{weights.stem}.int8.{ending}") for ending in ("xml", "bin", "json")}


def find_int8(weights: str | Path, *, shape: Sequence[int] | None = None) -> Path:
    """Return the int8 model of a file of weights, for OpenVINO.

    Args:
        weights: the file of the weights.
        shape: shape of a window, (C, *spatial), that it must take; None: any.

    Raises:
        InputError: there is none, one of its files is missing or was changed, the weights were changed since, or it is
            for another window.
    """
    weights = Path(weights)
    files, record = list_int8_files(weights), read_int8_record(weights)
    if _checksum(weights, weights) != record["weights_sha256"]:
        raise InputError(
            files["json"],
            found=f"an int8 network of other weights than those in {weights.name} now",
            expected="one that was made from these weights",
            remedy=f"make it again: lightskip quantize; or leave {_RUNTIME} out",
        )
    for ending in ("xml", "bin"):
        if _checksum(files[ending], weights) != record["files"].get(ending):
            raise InputError(
                files[ending],
                found="a file that was changed after it was written",
                expected=f"the checksum in {files['json'].name}",
                remedy=f"make it again: lightskip quantize; or leave {_RUNTIME} out",
            )
    if shape is not None and list(shape) != record["window"]:
        raise InputError(
            _RUNTIME,
            found=f"windows of {_words(shape)}",
            expected=f"{_words(record['window'])} (channels first), as {files['json']} says",
            remedy="leave the window as it is; or make it again for this window: lightskip quantize",
        )
    return files["xml"]


def read_int8_record(weights: str | Path) -> dict[str, Any]:
    """Return what is known of the int8 form of a file of weights.

    Raises:
        InputError: there is none, or it is damaged.
    """
    file = list_int8_files(weights)["json"]
    try:
        record = load_json(file)
    except FileNotFoundError:
        raise _missing(file, Path(weights)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            file, found=f"a file that cannot be read ({error})", expected="JSON", remedy="lightskip quantize"
        ) from error
    keys = {"format": int, "weights_sha256": str, "files": dict, "window": list}
    sound = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in keys.items())
    if not sound or record["format"] != FORMAT or not all(type(n) is int and n > 0 for n in record["window"]):
        raise InputError(
            file,
            found="a record of another form",
            expected=f"format {FORMAT}, with the keys {', '.join(keys)}",
            remedy="make it again with this version: lightskip quantize",
        )
    return dict(record)


def write_int8(weights: str | Path, save: Callable[[Path], Any], known: Mapping[str, Any]) -> list[Path]:
    """Write the int8 form of a file of weights, as a whole or not at all.

    Args:
        weights: the file of the weights.
        save: writes OpenVINO's model to the path that it is called with, and its numbers next to it, as ``.bin``.
        known: further entries of the record; ``window`` is one, (C, *spatial).

    Returns:
        The files that were written.

    Raises:
        OSError: a file cannot be written.
    """
    weights = Path(weights)
    files = list_int8_files(weights)
    with temporary_folder(weights.parent, weights.stem) as folder:
        made = folder / files["xml"].name
        try:
            save(made)
        except RuntimeError as error:
            # OpenVINO's, as on a full disk.
            raise unknown_disk_error(files["xml"]) from error
        record = {
            "format": FORMAT,
            "weights": weights.name,
            "weights_sha256": _checksum(weights, weights),
            "files": {ending: _checksum(made.with_suffix(f".{ending}"), weights) for ending in ("xml", "bin")},
            **known,
        }
        with name_disk(files["json"], made.with_suffix(".json")):
            made.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        # Without a record there is no int8 form, so it goes first and comes last.
        files["json"].unlink(missing_ok=True)
        for ending in ("xml", "bin", "json"):
            made.with_suffix(f".{ending}").replace(files[ending])
    return list(files.values())


def copy_int8(weights: str | Path, target: str | Path) -> list[Path]:
    """Copy the int8 form of a file of weights to another file of the same network.

    Args:
        weights: the file of the weights.
        target: another file with the same weights, or with fewer that compute the same.

    Returns:
        The files that were written.

    Raises:
        InputError: see `find_int8`.
    """
    model, record = find_int8(weights), read_int8_record(weights)

    def save(path: Path) -> None:
        for ending in (".xml", ".bin"):
            shutil.copyfile(model.with_suffix(ending), path.with_suffix(ending))

    return write_int8(target, save, {key: value for key, value in record.items() if key not in _OWN_KEYS})


_OWN_KEYS = ("format", "weights", "weights_sha256", "files")


def _checksum(file: Path, weights: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise _missing(file, weights) from None


def _missing(file: Path, weights: Path) -> InputError:
    return InputError(
        file,
        found="no such file",
        expected=f"the int8 form of {weights.name}",
        remedy=f"make it: lightskip quantize; or leave {_RUNTIME} out",
    )


def _words(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
