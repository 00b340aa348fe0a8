"""The middle of a dataset check's page: parts, folds, geometry, labels and intensities, in tables with histograms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from .check_cards import swatch
from .check_plots import histogram
from .check_summary import (
    Spread,
    axis_spreads,
    class_sizes,
    intensity_values,
    orientations,
    part_counts,
    sample_word,
    size_unit,
)
from .check_words import amount, printable

__all__ = ["overview"]

Report = Mapping[str, Any]

_MEASURES = {"min": "lowest", "mean": "mean", "max": "highest"}


def overview(report: Report) -> Iterator[str]:
    """Give the ``<section>`` that says what the dataset is like as a whole.

    Args:
        report: the content of ``check.json``.
    """
    yield '<section id="dataset">\n<h2>The dataset</h2>\n<div class="columns">\n'
    yield from _counts("Parts and folds", ("part", "cases"), _parts(report))
    yield from _counts("Orientation", ("axes point to", "cases"), orientations(report))
    types = Counter(
        " + ".join(dict.fromkeys(map(str, case["dtypes"]))) for case in report["cases"] if case.get("dtypes")
    )
    yield from _counts("Voxel types", ("image + label", "cases"), types.most_common())
    yield "</div>\n"
    yield from _geometry(report)
    yield from _classes(report)
    yield from _intensities(report)
    yield "</section>\n"


def _parts(report: Report) -> list[tuple[str, int]]:
    rows = []
    for part, folds in part_counts(report).items():
        rows += [(part if fold is None else f"{part}, fold {fold}", number) for fold, number in folds.items()]
    return rows


def _counts(title: str, heads: tuple[str, str], rows: Sequence[tuple[str, int]]) -> Iterator[str]:
    if rows:
        body = [(escape(printable(name)), f"{number:,}") for name, number in rows]
        yield f"<div><h3>{title}</h3>\n{_table(title, heads, body)}</div>\n"


def _geometry(report: Report) -> Iterator[str]:
    rows = []
    for title, key, unit in (("Spacing", "spacing", "mm"), ("Shape", "shape", sample_word(report))):
        for axis, spread in enumerate(axis_spreads(report, key), start=1):
            values = [float(case[key][axis - 1]) for case in report["cases"] if len(case.get(key) or ()) >= axis]
            name = f"{title} along axis {axis}"
            rows.append((f"{name} <small>{unit}</small>", *_spread(spread), histogram(values, title=name, unit=unit)))
    if rows:
        heads = ("axis of the array", "smallest", "median", "largest", "")
        yield f"<h3>Geometry</h3>\n{_table('Geometry', heads, rows)}"


def _classes(report: Report) -> Iterator[str]:
    unit = size_unit(report).replace("2", "²")
    labelled = sum(bool(case.get("classes")) for case in report["cases"])
    rows = []
    for name, sizes in class_sizes(report).items():
        value, text = report["labels"][name], printable(name)
        plot = histogram(sizes, title=text, unit=unit)
        label = f"{swatch(report, name)}<bdi>{escape(text)}</bdi> <small>{escape(printable(value))}</small>"
        rows.append((label, f"{len(sizes):,} of {labelled:,}", *_spread(Spread.of(sizes)), plot))
    if rows:
        heads = ("label and its value", "in cases", f"smallest, {unit}", f"median, {unit}", f"largest, {unit}", "")
        yield f"<h3>Labels</h3>\n{_table('Labels', heads, rows)}"


def _intensities(report: Report) -> Iterator[str]:
    rows = []
    for name, channel in zip(report["channels"], intensity_values(report), strict=True):
        for key, values in channel.items():
            if values:
                text = f"{printable(name)}, {_MEASURES[key]}"
                rows.append((escape(text), *_spread(Spread.of(values)), histogram(values, title=text, unit="")))
    if rows:
        heads = ("channel, voxel of each case", "smallest", "median", "largest", "")
        yield f"<h3>Intensities</h3>\n{_table('Intensities', heads, rows)}"


def _spread(spread: Spread | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if spread is None else (amount(spread.low), amount(spread.middle), amount(spread.high))


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML; the first column names the row, an empty head is one for pictures."""
    head = "".join(f'<th scope="col">{text}</th>' if text else '<td class="plot">distribution</td>' for text in heads)
    body = []
    for name, *cells in rows:
        inner = "".join(f"<td>{cell}</td>" for cell in cells)
        body.append(f'<tr><th scope="row">{name}</th>{inner}</tr>\n')
    inside = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(body)}</tbody>"
    # Wide tables scroll by themselves; the focus lets the keyboard do it.
    scroll = f'<div class="scroll" role="region" aria-label="{title}" tabindex="0">'
    return f'{scroll}<table class="numbers">{inside}</table></div>\n'
