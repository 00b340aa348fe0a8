"""The result of `lightskip check --fix` as text for a terminal: files repaired, files that were not, the next step."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..data.fix import FixResult
from .text import count_of, printable

__all__ = ["fix_text"]

_DONE = {
    "grid-rounding": "place taken from its image",
    "label-float": "stored as integers",
    "label-rounding": "rounded to whole numbers",
}
_MAX_FILES = 10


def fix_text(fixed: FixResult) -> str:
    """Return what was repaired, ten files at most of each sort, and the command to continue with."""
    return "\n".join(_lines(fixed))


def _lines(fixed: FixResult) -> Iterator[str]:
    if fixed.datalist is None:
        yield "repaired: nothing, and nothing was written: no finding is one that can be repaired without looking"
    else:
        yield f"repaired: {count_of(len(fixed.repaired), 'file')}, in {_shown(fixed.datalist.parent)}"
        yield from _listed(
            f"{name}: {', '.join(dict.fromkeys(_DONE[kind] for kind in kinds))}"
            for name, kinds in fixed.repaired.items()
        )
        yield f"new datalist: {_shown(fixed.datalist)}; files without a repair it names where they are"
    if fixed.unable:
        yield f"not repaired: {count_of(len(fixed.unable), 'file')}"
        yield from _listed(f"{name}: {why}" for name, why in fixed.unable.items())
    if fixed.datalist is not None:
        yield f"next: lightskip check {shlex.quote(str(_shorten(fixed.datalist)))}"


def _listed(lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    yield from (f"  {printable(line)}" for line in listed[:_MAX_FILES])
    if len(listed) > _MAX_FILES:
        yield f"  and {len(listed) - _MAX_FILES:,} more"


def _shorten(path: Path) -> Path:
    """Return a path below the working directory relative to it, others as they are."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _shown(path: Path) -> str:
    return printable(_shorten(path))
