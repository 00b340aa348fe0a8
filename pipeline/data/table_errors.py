"""Explain in one message why a table cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import InputError

__all__ = ["explain_table"]


@contextmanager
def explain_table(path: str | Path) -> Iterator[None]:
    """Raise InputError where a table is no text in UTF-8, is damaged, or cannot be read, within the block.

    Args:
        path: the table's file.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        remedy = "save the table again as text in UTF-8"
        found = "a file that is not text in UTF-8"
        raise InputError(path, found=found, expected="a table in CSV", remedy=remedy) from error
    except csv.Error as error:
        found = f"a damaged table ({error})"
        expected = "lines of cells with commas between them, as a spreadsheet saves CSV"
        raise InputError(path, found=found, expected=expected, remedy="correct it, or copy it again") from error
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise InputError(path, found=found, expected="a table", remedy="check the path") from error
