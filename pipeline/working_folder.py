"""Notice that the working folder was removed while this process works in it. Imports nothing of LightSkip.

Relative paths then lead nowhere, and whatever asks for the folder fails without a file's name: Python, PyTorch, MONAI.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["find_removed", "leave_removed", "remember_folder"]

_UNKNOWN = "the working folder"
_first: list[str] = []


def remember_folder() -> None:
    """Note the folder that this process was started in, for messages."""
    with contextlib.suppress(OSError):
        _first[:] = [os.getcwd()]  # noqa: PTH109 - Path.cwd() is the same call


def find_removed() -> str | None:
    """Return the working folder's path if the folder was removed, or words for it; None if it is there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return _first[0] if _first else _UNKNOWN
    except OSError:
        # There, but not to be read.
        return None
    return None


def leave_removed() -> None:
    """Move to a folder that exists if the working folder was removed.

    What other packages do at the end of the process may need one, and would print a traceback of its own.
    """
    if find_removed() is not None:
        with contextlib.suppress(OSError):
            os.chdir(os.sep)
