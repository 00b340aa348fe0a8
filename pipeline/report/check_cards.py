"""The cases of a dataset check as cards for its page: a picture, the grid, the classes and what was found."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..labelmaps.palette import UNDECLARED_COLOUR, hex_colour
from .check_summary import sample_word, size_unit
from .check_words import SEVERITIES, Group, amount, case_severities, count_of, printable

__all__ = ["MOST_SORTABLE", "card_anchor", "cards", "part_text", "swatch", "swatch_style"]

Report = Mapping[str, Any]

MOST_SORTABLE = 12  # classes whose sizes the page sorts by
_MOST_CLASSES = 6  # on a card; a case of whole-body CT has more than a hundred
_TIMES = " \N{MULTIPLICATION SIGN} "
_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"RIFF", "webp"))


def cards(report: Report, groups: Sequence[Group], thumbnails: Mapping[str, bytes]) -> Iterator[str]:
    """Give an ``<article>`` for each case: those with problems, those with warnings, then all others, as listed.

    Args:
        report: the content of ``check.json``.
        groups: its findings.
        thumbnails: pictures by the case's name: PNG, JPEG or WebP; a case without one says so.
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
        yield _card(report, case, index, worst.get(name), kinds.get(name, {}), thumbnails.get(name))


def card_anchor(index: int) -> str:
    """The ``id`` of the card of the case at this place of the report."""
    return f"case-{index}"


def group_anchor(group: Group) -> str:
    """The ``id`` of a group of findings."""
    return f"{group.severity}-{''.join(c if c.isascii() and c.isalnum() else '-' for c in group.kind)}"


def part_text(case: Mapping[str, Any]) -> str:
    """Where a case belongs, such as ``training, fold 0``."""
    return case["part"] if case.get("fold") is None else f"{case['part']}, fold {case['fold']}"


def structures(report: Report) -> list[str]:
    """Names of the labels, but for the background, whatever value that has."""
    return [name for name in report["labels"] if name != "background"]


def swatch(report: Report, name: str) -> str:
    """Return a spot of the colour that outlines this label in the pictures: see `swatch_style`."""
    return f'<i class="swatch s{int(report["labels"][name])}"></i>'


def swatch_style(report: Report) -> str:
    """Return the style rules of all labels' spots, and of undeclared values'."""
    values = [int(report["labels"][name]) for name in structures(report)]
    colours = {f"s{value}": hex_colour(value) for value in values} | {"undeclared": UNDECLARED_COLOUR}
    return "".join(f".swatch.{name}{{background:{colour}}}\n" for name, colour in colours.items())


def _card(
    report: Report,
    case: Mapping[str, Any],
    index: int,
    severity: str | None,
    kinds: Mapping[str, Group],
    picture: bytes | None,
) -> str:
    name, part = printable(case["name"]), printable(part_text(case))
    facts = [part]
    if case.get("subject") is not None and str(case["subject"]) != str(case["name"]):
        facts.append(f"subject {printable(case['subject'])}")
    if case.get("shape"):
        facts.append(f"{_TIMES.join(map(str, case['shape']))} {sample_word(report)}")
    if case.get("spacing"):
        code = f", {printable(case['orientation'])}" if case.get("orientation") else ""
        facts.append(f"{_TIMES.join(map(amount, case['spacing']))} mm{code}")
    badges = "".join(
        f'<li><a class="badge {group.severity}" href="#{anchor}">{escape(group.title)}</a></li>'
        for anchor, group in kinds.items()
    )
    listed = f'<ul class="badges">{badges}</ul>' if badges else ""
    told = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    words = [name, part, printable(case.get("orientation") or ""), printable(case.get("subject") or "")]
    words += [f"{group.severity} {printable(group.kind)} {group.title}" for group in kinds.values()]
    return (
        f'<article class="card {severity or "clean"}" id="{card_anchor(index)}" data-severity="{severity or "clean"}" '
        f'data-part="{escape(part)}" data-sizes="{_sizes(report, case)}" '
        f'data-words="{escape(" ".join(words).lower())}">'
        f"{_picture(name, picture)}<h3><bdi>{escape(name)}</bdi></h3>"
        f'{listed}<ul class="facts">{told}</ul>{_classes(report, case)}</article>\n'
    )


def _picture(name: str, picture: bytes | None) -> str:
    form = next((form for start, form in _SIGNATURES if (picture or b"").startswith(start)), None)
    if picture is None or form is None:
        return '<div class="picture none">no picture</div>'
    data = base64.b64encode(picture).decode()
    return (
        f'<div class="picture"><img src="data:image/{form};base64,{data}" alt="One slice of {escape(name)}" '
        f'width="160" height="160" loading="lazy" decoding="async"></div>'
    )


def _sizes(report: Report, case: Mapping[str, Any]) -> str:
    """Sizes of the first classes for the page's sorting, apart by spaces; ``-`` where there is none."""
    unit, classes = size_unit(report), case.get("classes") or {}
    names = structures(report)[:MOST_SORTABLE]
    sizes = [(classes.get(name) or {}).get(unit) for name in names]
    return " ".join("-" if size is None else f"{size:.6g}" for size in sizes)


def _classes(report: Report, case: Mapping[str, Any]) -> str:
    if case.get("classes") is None:
        return ""
    unit = size_unit(report).replace("2", "²")
    rows = []
    for name in structures(report):
        measured = case["classes"].get(name)
        if measured is not None:
            size = amount(measured.get(size_unit(report)))
            rows.append(f"<li>{swatch(report, name)}<bdi>{escape(printable(name))}</bdi><b>{size} {unit}</b></li>")
    more = len(rows) - _MOST_CLASSES
    if more > 1:
        rows[_MOST_CLASSES:] = [f"<li>and {count_of(more, 'more label')}</li>"]
    return f'<ul class="classes">{"".join(rows)}</ul>'
