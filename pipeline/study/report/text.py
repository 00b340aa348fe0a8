"""Write a study's report as Markdown for GitHub."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from ...report.html.parts import Table
from ...report.text import printable
from .content import READING, Content, Part
from .lines import clean_lines
from .markdown import escape, fence, write_list, write_table
from .measured import make_membrane_table, make_probe_table
from .origin import list_facts, list_lost, list_origins, make_run_table
from .results import OVERALL
from .robust_tables import make_area_table
from .robustness import AREA
from .tables import (
    make_accuracy_table,
    make_contrast_table,
    make_cost_table,
    make_label_table,
    make_level_table,
    make_matrix,
)
from .verdict import Verdict

__all__ = ["format_markdown"]


def format_markdown(content: Content) -> str:
    """Return the report as Markdown: the verdict first, then the numbers, the runs and the study file."""
    return "\n\n".join(piece for piece in _write(content) if piece) + "\n"


def _write(content: Content) -> Iterator[str]:
    given = content.given
    yield f"# Study {escape(given.name)}"
    yield escape(given.question)
    yield escape(given.about)
    yield f"**{escape(content.headline)}**"
    yield escape(" · ".join(list_facts(given, [part.group for part in content.parts])))
    matrix = make_matrix(content.verdicts)
    yield write_table(matrix) if matrix else ""
    for part in content.parts:
        yield f"## {escape(part.group.title)}"
        yield from _write_part(part, given.baseline)
    lost = list_lost(given)
    if lost:
        yield "## Runs that are not in the numbers"
        yield write_list([escape(one) for one in lost])
    yield "## How to read the numbers"
    yield write_list([escape(one) for one in READING])
    yield "## What was run"
    yield write_list([f"{escape(title)}: {escape(text)}" for title, text in list_origins(given).items()])
    runs = make_run_table(given)
    yield _fold("Runs", write_table(runs)) if runs.rows else ""
    yield _fold("Study file", fence("\n".join(clean_lines(given.text)), "yaml"))


def _write_part(part: Part, baseline: str) -> Iterator[str]:
    group, result, robust = part.group, part.result, part.robust
    yield escape(part.warning)
    yield _list_verdicts(part.verdicts)
    if part.area_verdicts:
        yield "Robustness, the area under Dice by level of perturbation:"
        yield _list_verdicts(part.area_verdicts)
    yield write_table(make_accuracy_table(group, result, baseline, robust))
    yield _show(make_cost_table(group, result, baseline))
    yield write_list([escape(note) for note in part.notes])
    yield _unfold(f"Each {group.structure}", make_label_table(group, result, baseline))
    length = group.unit
    for metric, title, unit in (("dice", "Dice", ""), ("hd95_mm", f"HD95 ({length})", length), ("nsd", "NSD", "")):
        table = make_contrast_table(group, result.select(metric), title, unit)
        yield _unfold(f"{title} against {baseline}", table)
    single = [one for one in result.contrasts if one.label != OVERALL]
    table = make_contrast_table(group, single, f"Dice by {group.structure}")
    yield _unfold(f"Dice of each {group.structure} against {baseline}", table)
    if robust is not None:
        yield "### Robustness"
        yield write_table(make_area_table(group, robust, baseline))
        areas = [one for one in robust.contrasts if one.label == AREA]
        yield _unfold(f"Area against {baseline}", make_contrast_table(group, areas, "Area of robustness"))
    for title, table in (
        ("Membranes", make_membrane_table(group, baseline)),
        ("Probes: change of Dice", make_probe_table(group, baseline)),
    ):
        yield f"### {title}" if table else ""
        yield _show(table)
    yield _unfold("Bytes of the skips, level by level", make_level_table(group, baseline))


def _list_verdicts(verdicts: Sequence[Verdict]) -> str:
    return write_list([f"**{escape(one.skip)}**: {escape(one.text)}" for one in verdicts])


def _show(table: Table | None) -> str:
    return "" if table is None else write_table(table)


def _unfold(title: str, table: Table | None) -> str:
    return "" if table is None else _fold(title, write_table(table))


def _fold(title: str, text: str) -> str:
    """Return text that opens on a click. GitHub needs empty lines around Markdown in HTML."""
    return f"<details><summary>{html.escape(printable(title))}</summary>\n\n{text}\n\n</details>"
