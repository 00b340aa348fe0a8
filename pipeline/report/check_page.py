"""What a dataset check found, as one HTML file: the findings first, then the dataset as a whole, then every case."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Any

from ..data.errors import InputError
from ..files import write_text
from .check_cards import MOST_SORTABLE, card_anchor, cards, group_anchor, part_text, structures, swatch, swatch_style
from .check_overview import overview
from .check_words import (
    SEVERITIES,
    Group,
    case_severities,
    count_of,
    dataset_name,
    grouped,
    printable,
    verdict,
)

__all__ = ["write_check_page"]

_MEANINGS = {
    "problem": "Cannot be trained on, or the numbers would be wrong.",
    "warning": "A person should look: an expert tells an error from a rarity.",
    "note": "Harmless, but good to know.",
}
_MOST_OPEN = 20  # findings of a kind that are shown without unfolding the rest


def write_check_page(report: Mapping[str, Any], thumbnails: Mapping[str, bytes], path: str | os.PathLike[str]) -> None:
    """Write the report of a dataset check as one self-contained HTML file.

    The file needs no network and no scripts; with scripts the cases can be searched, filtered and sorted. Everything
    that comes from the dataset, names of files above all, is shown as text and never as markup.

    Args:
        report: the content of ``check.json``.
        thumbnails: pictures by the case's name, see `pipeline.report.thumbnail`: PNG, JPEG or WebP.
        path: the HTML file; it appears whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        write_text(path, "".join(_page(report, thumbnails)))
    except OSError as error:
        raise InputError(
            os.fspath(path),
            found=f"a file that cannot be written ({error.strerror})",
            expected="a folder with room for the report",
            remedy="name another one, or make room",
        ) from error


def _page(report: Mapping[str, Any], thumbnails: Mapping[str, bytes]) -> Iterator[str]:
    groups = grouped(report["findings"])
    style = files(__package__).joinpath("check_page.css").read_text(encoding="utf-8") + swatch_style(report)
    script = files(__package__).joinpath("check_page.js").read_text(encoding="utf-8")
    # Nothing may be loaded, and no style or script runs but these two, whatever a name should smuggle in.
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Dataset check: {escape(dataset_name(report))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield from _header(report, groups)
    yield "<main>\n"
    yield from _findings(report, groups)
    yield from overview(report)
    yield from _cases(report, groups, thumbnails)
    yield "</main>\n"
    yield from _footer(report)
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _header(report: Mapping[str, Any], groups: Sequence[Group]) -> Iterator[str]:
    cases = report["cases"]
    listed = sum(report["summary"].get(part, 0) for part in ("training", "test"))
    facts = [f"{report['spatial_dims']}D", ", ".join(map(printable, report["channels"])), _when(report)]
    if len(cases) < listed:
        facts.insert(0, f"{len(cases):,} of {listed:,} cases checked")
    worst = next((severity for severity in SEVERITIES[:2] if any(g.severity == severity for g in groups)), "good")
    yield (
        f'<header>\n<p class="eyebrow">LightSkip dataset check</p>\n'
        f"<h1><bdi>{escape(dataset_name(report))}</bdi></h1>\n"
        f'<p class="meta">{" · ".join(escape(fact) for fact in facts if fact)}</p>\n'
        f'<p class="verdict {worst}">{escape(verdict(report))}</p>\n<ul class="tiles">\n'
        f'<li><a href="#cases"><b>{len(cases):,}</b>{"case" if len(cases) == 1 else "cases"}</a></li>\n'
    )
    for severity in SEVERITIES:
        number = sum(len(group.findings) for group in groups if group.severity == severity)
        text = f"<b>{number:,}</b>{severity}{'' if number == 1 else 's'}"
        inner = f'<a href="#{severity}s">{text}</a>' if number else f"<span>{text}</span>"
        yield f'<li class="{severity if number else "zero"}">{inner}</li>\n'
    yield "</ul>\n</header>\n"


def _findings(report: Mapping[str, Any], groups: Sequence[Group]) -> Iterator[str]:
    yield '<section id="findings">\n<h2>Findings</h2>\n'
    if not groups:
        yield "<p>None: every file could be read and agrees with the datalist.</p>\n"
    anchors: dict[str, str] = {}
    for index, case in enumerate(report["cases"]):
        anchors.setdefault(case["name"], card_anchor(index))
    for severity in SEVERITIES:
        chosen = [group for group in groups if group.severity == severity]
        if chosen:
            yield f'<h3 id="{severity}s">{severity.capitalize()}s</h3>\n<p class="hint">{_MEANINGS[severity]}</p>\n'
        for group in chosen:
            yield from _group(group, anchors)
    yield "</section>\n"


def _group(group: Group, anchors: Mapping[str, str]) -> Iterator[str]:
    number, kind = len(group.findings), escape(printable(group.kind))
    expected, remedy = group.common("expected"), group.common("remedy")
    yield (
        f'<details class="kind {group.severity}" id="{group_anchor(group)}"{" open" * (group.severity != "note")}>\n'
        f'<summary><span class="name">{escape(group.title)}</span> <code>{kind}</code> '
        f'<span class="count">{number:,}<span class="unseen"> {group.severity}{"s" * (number > 1)}</span></span>'
        '</summary>\n<dl class="advice">\n'
    )
    if remedy is not None:
        yield f"<div><dt>What to do</dt><dd>{escape(printable(remedy))}</dd></div>\n"
    if expected is not None:
        yield f"<div><dt>Expected</dt><dd>{escape(printable(expected))}</dd></div>\n"
    fixable = sum(bool(finding.get("fixable")) for finding in group.findings)
    if fixable:
        told = "all of these" if fixable == number else f"{fixable:,} of these"
        yield f"<div><dt>Fixable</dt><dd>{told if number > 1 else 'this'} can be put right automatically</dd></div>\n"
    yield "</dl>\n"
    # What all of them say stands above, once.
    columns = {"found": "Found"} | ({"expected": "Expected"} if expected is None else {})
    columns |= {"remedy": "What to do"} if remedy is None else {}
    titles = {"case": "Case", "file": "File"} | columns
    if all(finding.get("file") is None for finding in group.findings):
        del titles["file"]
    head = "".join(f'<th scope="col" class="{key}">{title}</th>' for key, title in titles.items())
    shown = number if number <= _MOST_OPEN + 5 else _MOST_OPEN
    yield _table(head, titles, group.findings[:shown], anchors)
    if shown < number:
        rest = _table(head, titles, group.findings[shown:], anchors)
        yield f'<details class="rest"><summary>{number - shown:,} more</summary>\n{rest}</details>\n'
    yield "</details>\n"


def _table(
    head: str, titles: Mapping[str, str], findings: Sequence[Mapping[str, Any]], anchors: Mapping[str, str]
) -> str:
    rows = []
    for finding in findings:
        cells = "".join(
            f'<td data-title="{title}">{_cell(finding, key, anchors)}</td>' for key, title in titles.items()
        )
        rows.append(f'<tr class="finding">{cells}</tr>\n')
    return f'<table class="findings"><thead><tr>{head}</tr></thead>\n<tbody>\n{"".join(rows)}</tbody></table>\n'


def _cell(finding: Mapping[str, Any], key: str, anchors: Mapping[str, str]) -> str:
    value = finding.get(key)
    if value is None:
        return "whole dataset" if key == "case" else ""
    text = f"<bdi>{escape(printable(value))}</bdi>"
    if key == "case" and value in anchors:
        return f'<a href="#{anchors[value]}">{text}</a>'
    return f"<code>{text}</code>" if key == "file" else text


def _cases(report: Mapping[str, Any], groups: Sequence[Group], thumbnails: Mapping[str, bytes]) -> Iterator[str]:
    number = len(report["cases"])
    yield '<section id="cases">\n<h2>Cases</h2>\n'
    yield from _controls(report, groups)
    # A live region: who filters hears how many cases are left.
    yield f'<p class="hint" id="shown" role="status">{count_of(number, "case")}</p>\n'
    classes = structures(report)[:MOST_SORTABLE]
    legend = "".join(f"<li>{swatch(report, name)}<bdi>{escape(printable(name))}</bdi></li>" for name in classes)
    if any(group.kind == "label-undeclared" for group in groups):
        legend += '<li><i class="swatch undeclared"></i>undeclared</li>'
    yield f'<ul class="legend" aria-label="Colours of the outlines">{legend}</ul>\n<div class="grid" id="grid">\n'
    yield from cards(report, groups, thumbnails)
    yield "</div>\n</section>\n"


def _controls(report: Mapping[str, Any], groups: Sequence[Group]) -> Iterator[str]:
    """The form that scripts bring to life; without them it stays hidden."""
    worst = Counter(case_severities(groups).get(case["name"], "clean") for case in report["cases"])
    titles = {"problem": "with problems", "warning": "with warnings", "note": "with notes", "clean": "without findings"}
    found = [(key, f"{title} ({worst[key]:,})") for key, title in titles.items() if worst[key]]
    places = sorted({printable(part_text(case)) for case in report["cases"]}, key=_natural)
    names = structures(report)[:MOST_SORTABLE]
    sorts = [("name", "by name")]
    for index, name in enumerate(names):
        sorts += [
            (f"{index}", f"{printable(name)}, smallest first"),
            (f"-{index}", f"{printable(name)}, largest first"),
        ]
    yield (
        '<form id="controls" role="search" hidden>\n'
        '<label class="wide">Search<input type="search" id="query" autocomplete="off" spellcheck="false" '
        'placeholder="case, kind of finding, orientation ..."></label>\n'
        f"{_choice('severity', 'Show', [('', 'all cases'), *found])}"
        f"{_choice('part', 'Part', [('', 'all'), *((place, place) for place in places)])}"
        f"{_choice('sort', 'Sort', [('', 'findings first'), *sorts])}</form>\n"
    )


def _choice(name: str, title: str, options: Sequence[tuple[str, str]]) -> str:
    inner = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{title}<select id="{name}" autocomplete="off">{inner}</select></label>\n'


def _footer(report: Mapping[str, Any]) -> Iterator[str]:
    facts = {
        "Dataset": report.get("dataset_dir"),
        "Datalist": report.get("datalist"),
        "SHA-256 of the datalist": report.get("datalist_sha256"),
        "Made": _when(report),
        "Versions": ", ".join(f"{name} {version}" for name, version in (report.get("versions") or {}).items()),
        "Tolerances": "; ".join(f"{name} {value:g}" for name, value in (report.get("tolerances") or {}).items()),
    }
    rows = "".join(
        f"<div><dt>{key}</dt><dd>{escape(printable(fact))}</dd></div>\n" for key, fact in facts.items() if fact
    )
    yield f'<footer>\n<dl class="advice">\n{rows}</dl>\n<p>The same for programs: check.json.</p>\n</footer>\n'


def _when(report: Mapping[str, Any]) -> str:
    made = str(report.get("made") or "")
    try:
        moment = datetime.fromisoformat(made)
    except ValueError:
        return printable(made)
    seconds = report.get("seconds")
    took = f", in {seconds:.3g} s" if isinstance(seconds, int | float) else ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip() + took


def _natural(text: str) -> list[tuple[int, str]]:
    """For sorting: fold 2 before fold 10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in text.split()]


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
