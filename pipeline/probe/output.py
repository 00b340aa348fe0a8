"""The output folder of a run: all of its files, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..data.errors import InputError
from ..files import name_disk
from ..leftovers import temporary_path

__all__ = ["require_free", "whole_folder"]


def require_free(output: Path) -> None:
    """Raise InputError if the output is a file, or a folder with files."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    raise InputError(
        output,
        found="a folder with files" if output.is_dir() else "a file",
        expected="a new or empty folder: results of two runs must not mix",
        remedy="name another folder with -o, or empty this one",
    )


@contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """Yield a temporary folder next to the output, which becomes the output when the block succeeds."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_path(output.absolute())
    partial.mkdir()
    try:
        with name_disk(output, partial):
            yield partial
        if output.exists():
            output.rmdir()
        partial.replace(output)
    except OSError as error:
        # The temporary folder's name would mean nothing to the user.
        if str(partial) in str(error.filename):
            error.filename, error.filename2 = str(output), None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
