"""Make the cards of the check page, one per case: picture, grid, classes and findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data.length_units import shown_unit
from .check_colours import list_structures, swatch_class
from .check_summary import length_unit, sample_word, size_unit
from .check_words import SEVERITIES, Group, case_severities
from .html.parts import Badge, Card, Measure, embed_picture
from .text import amount, count_of, printable

__all__ = ["MAX_SORTABLE", "card_anchor", "group_anchor", "list_cards", "part_text"]

Report = Mapping[str, Any]

MAX_SORTABLE = 12  # classes whose sizes the page sorts by
_MAX_CLASSES = 6  # on a card; a case of whole-body CT has more than a hundred
_TIMES = " \N{MULTIPLICATION SIGN} "


def list_cards(report: Report, groups: Sequence[Group], thumbnails: Mapping[str, bytes]) -> Iterator[Card]:
    """Yield a card for each case: first cases with problems, then with warnings, then others, each in listed order.

    Args:
        report: the content of ``check.json``.
        groups: its findings.
        thumbnails: PNG, JPEG or WebP pictures by the case's name. A case without one is marked so.
    """
    worst = case_severities(groups)
    kinds: dict[str, dict[str, Group]] = {}
    for group in groups:
        for finding in group.findings:
            kinds.setdefault(finding.get("case") or "", {})[group_anchor(group)] = group
    order = {severity: rank for rank, severity in enumerate(SEVERITIES[:2])}
    listed = list(enumerate(report["cases"]))
    listed.sort(key=lambda item: order.get(worst.get(item[1]["name"], ""), len(order)))
    for index, case in listed:
        name = case["name"]
        yield _make_card(report, case, index, worst.get(name) or "clean", kinds.get(name, {}), thumbnails.get(name))


def card_anchor(index: int) -> str:
    """Return the ``id`` of the card of the case at this index of the report."""
    return f"case-{index}"


def group_anchor(group: Group) -> str:
    """Return the ``id`` of a group of findings."""
    return f"{group.severity}-{''.join(c if c.isascii() and c.isalnum() else '-' for c in group.kind)}"


def part_text(case: Mapping[str, Any]) -> str:
    """Return the part and fold of a case, such as ``training, fold 0``."""
    return printable(case["part"] if case.get("fold") is None else f"{case['part']}, fold {case['fold']}")


def _make_card(
    report: Report,
    case: Mapping[str, Any],
    index: int,
    severity: str,
    kinds: Mapping[str, Group],
    picture: bytes | None,
) -> Card:
    name, part = printable(case["name"]), part_text(case)
    words = [name, part, case.get("orientation") or "", case.get("subject") or ""]
    words += [f"{group.severity} {group.kind} {group.title}" for group in kinds.values()]
    measures = _list_measures(report, case)
    more = len(measures or ()) - _MAX_CLASSES
    return Card(
        anchor=card_anchor(index),
        name=name,
        style=severity,
        picture=embed_picture(picture, f"One slice of {name}"),
        badges=[Badge(group.title, group.severity, anchor) for anchor, group in kinds.items()],
        facts=[part, *_list_facts(report, case)],
        measures=measures[:_MAX_CLASSES] if measures is not None and more > 1 else measures,
        more=f"and {count_of(more, 'more label')}" if more > 1 else "",
        data={
            "severity": severity,
            "part": part,
            "sizes": _format_sizes(report, case),
            "words": " ".join(map(printable, words)).lower(),
        },
    )


def _list_facts(report: Report, case: Mapping[str, Any]) -> Iterator[str]:
    if case.get("subject") is not None and str(case["subject"]) != str(case["name"]):
        yield f"subject {case['subject']}"
    if case.get("shape"):
        yield f"{_TIMES.join(map(str, case['shape']))} {sample_word(report)}"
    if case.get("spacing"):
        code = f", {case['orientation']}" if case.get("orientation") else ""
        yield f"{_TIMES.join(map(amount, case['spacing']))} {length_unit(report)}{code}"

    if case.get("ignored") and case.get("shape"):
        yield f"{100 * case['ignored'] / math.prod(case['shape']):.3g} % ignored"
    if case.get("annotated") is not None:
        yield f"annotated: {', '.join(map(printable, case['annotated']))}"


def _format_sizes(report: Report, case: Mapping[str, Any]) -> str:
    """Return the sizes of the first classes for the page's sorting, separated by spaces; ``-`` for an unknown one."""
    unit, classes = size_unit(report), case.get("classes") or {}
    names = list_structures(report)[:MAX_SORTABLE]
    sizes = [(classes.get(name) or {}).get(unit) for name in names]
    return " ".join("-" if size is None else f"{size:.6g}" for size in sizes)


def _list_measures(report: Report, case: Mapping[str, Any]) -> list[Measure] | None:
    """Return the sizes of a case's classes; None if they were not measured."""
    if case.get("classes") is None:
        return None
    unit = size_unit(report)
    shown = shown_unit(unit)
    return [
        Measure(swatch_class(report, name), name, f"{amount(case['classes'][name].get(unit))} {shown}")
        for name in list_structures(report)
        if case["classes"].get(name) is not None
    ]
