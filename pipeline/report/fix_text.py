"""Format the result of `lightskip check --fix` for a terminal: repaired files, others, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..data.fix import FixResult
from ..data.resample import Change
from .text import count_of, printable

__all__ = ["fix_text"]

_DONE = {
    "grid-rounding": "position copied from its image",
    "label-float": "stored as integers",
    "label-rounding": "rounded to whole numbers",
    "sform-singular": "qform copied to the sform",
}
_MAX_FILES = 10
_MIN_ANGLE = 0.01  # degrees: below, files differ by rounding


def fix_text(fixed: FixResult) -> str:
    """Return the repaired files and the others, at most ten of each, and the next command."""
    return "\n".join(_list_lines(fixed))


def _list_lines(fixed: FixResult) -> Iterator[str]:
    if fixed.datalist is None:
        yield "repaired: nothing, and nothing was written, since no finding can be repaired automatically"
    else:
        yield f"repaired: {count_of(len(fixed.repaired), 'file')}, in {_format_path(fixed.datalist.parent)}"
        yield from _indent_lines(
            f"{name}: {_describe_repair(kinds, fixed.resampled.get(name))}" for name, kinds in fixed.repaired.items()
        )
        yield f"new datalist: {_format_path(fixed.datalist)}; it names all other files in their old folders"
    if fixed.unable:
        yield f"not repaired: {count_of(len(fixed.unable), 'file')}"
        yield from _indent_lines(f"{name}: {why}" for name, why in fixed.unable.items())
    if fixed.datalist is not None:
        yield f"next: lightskip check {shlex.quote(str(_shorten(fixed.datalist)))}"


def _describe_repair(kinds: Sequence[str], change: Change | None) -> str:
    done = list(dict.fromkeys(_DONE[kind] for kind in kinds if kind in _DONE))
    return ", ".join(done if change is None else [*done, _describe_change(change)])


def _describe_change(change: Change) -> str:
    """Return how a file was resampled: both grids, their distance and angle, the smoothing, what was outside."""
    words = f"resampled from {_format_grid(change.shape, change.spacing)}"
    words += f" to {_format_grid(change.new_shape, change.new_spacing)}; centre {change.offset:.3g} mm away"
    if change.angle > _MIN_ANGLE:
        words += f", turned by {change.angle:.3g} degrees"
    if any(change.sigmas):
        words += f", smoothed by {_join(change.sigmas)} mm"
    return words + f"; {100 * change.uncovered:.3g} % of the first channel's grid not covered"


def _format_grid(shape: Sequence[int], spacing: Sequence[float]) -> str:
    return f"{' x '.join(map(str, shape))} voxels of {_join(spacing)} mm"


def _join(lengths: Sequence[float]) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths)


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
