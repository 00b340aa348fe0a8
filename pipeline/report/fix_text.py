"""Format the result of `lightskip check --fix` for a terminal: repaired files, others, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..data.fix import FixResult
from .text import count_of, printable

__all__ = ["fix_text"]

_DONE = {
    "grid-rounding": "position copied from its image",
    "label-float": "stored as integers",
    "label-rounding": "rounded to whole numbers",
}
_MAX_FILES = 10


def fix_text(fixed: FixResult) -> str:
    """Return the repaired files and the others, at most ten of each, and the next command."""
    return "\n".join(_list_lines(fixed))


def _list_lines(fixed: FixResult) -> Iterator[str]:
    if fixed.datalist is None:
        yield "repaired: nothing, and nothing was written, since no finding can be repaired automatically"
    else:
        yield f"repaired: {count_of(len(fixed.repaired), 'file')}, in {_format_path(fixed.datalist.parent)}"
        yield from _indent_lines(
            f"{name}: {', '.join(dict.fromkeys(_DONE[kind] for kind in kinds))}"
            for name, kinds in fixed.repaired.items()
        )
        yield f"new datalist: {_format_path(fixed.datalist)}; it names all other files in their old folders"
    if fixed.unable:
        yield f"not repaired: {count_of(len(fixed.unable), 'file')}"
        yield from _indent_lines(f"{name}: {why}" for name, why in fixed.unable.items())
    if fixed.datalist is not None:
        yield f"next: lightskip check {shlex.quote(str(_shorten(fixed.datalist)))}"


def _indent_lines(lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    yield from (f"  {printable(line)}" for line in listed[:_MAX_FILES])
    if len(listed) > _MAX_FILES:
        yield f"  and {len(listed) - _MAX_FILES:,} more"


def _shorten(path: Path) -> Path:
    """Return a path inside the working directory relative to it, and other paths unchanged."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _format_path(path: Path) -> str:
    return printable(_shorten(path))
