"""The list of imported bundles, so that each is found by its name from any working directory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ...data.json_file import load_json
from ...files import write_text

__all__ = ["data_folder", "list_imported", "remember_import"]

_FILE = "imported.json"
_MAX_BUNDLES = 1000


def data_folder() -> Path:
    """Return the folder for what LightSkip remembers of the user.

    It is ``LIGHTSKIP_DATA`` if set, else ``lightskip`` in the user's data folder (``XDG_DATA_HOME``,
    ``~/.local/share``).
    """
    own = os.environ.get("LIGHTSKIP_DATA")
    if own:
        return _expand(own)
    return _expand(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "lightskip"


def list_imported() -> list[Path]:
    """Return the folders of imported bundles that still exist, the last one first.

    A list that is missing or damaged counts as empty: it is only a shortcut to paths that the user can name.
    """
    try:
        content = load_json(data_folder() / _FILE)
    except (OSError, ValueError, RecursionError):
        return []
    folders = content.get("folders") if isinstance(content, dict) else None
    names = [one for one in folders if isinstance(one, str)] if isinstance(folders, list) else []
    return [Path(name) for name in names[:_MAX_BUNDLES] if _is_folder(name)]


def remember_import(folder: Path) -> str:
    """Add a bundle to the list.

    Args:
        folder: where the bundle was unpacked.

    Returns:
        A note for the user if the list cannot be written; an empty text if it was.
    """
    folder = folder.resolve()
    folders = [folder, *(one for one in list_imported() if one != folder)]
    file = data_folder() / _FILE
    try:
        write_text(file, _format(folders[:_MAX_BUNDLES]))
    except OSError as error:
        return f"{file} cannot be written ({error.strerror}): from other folders, name the bundle by its path"
    return ""


def _format(folders: Sequence[Path]) -> str:
    return json.dumps({"folders": [str(one) for one in folders]}, indent=1) + "\n"


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):
        return False


def _expand(folder: str) -> Path:
    # Path.expanduser raises RuntimeError for the home of an unknown user.
    return Path(os.path.expanduser(folder))  # noqa: PTH111
