"""Write the report of a dataset check as one HTML file: the findings, then the whole dataset, then each case."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..data.errors import InputError
from .check_cards import MAX_SORTABLE, list_cards, part_text
from .check_colours import UNDECLARED, list_structures, swatch_class, swatch_style
from .check_findings import list_sections
from .check_overview import make_count_tables, make_measure_tables
from .check_summary import annotated_words, ignored_words, regions_words
from .check_words import SEVERITIES, Group, case_severities, dataset_name, group_findings, verdict
from .html.page import read_asset, write_page
from .html.parts import Page, Tile
from .text import count_of, printable

__all__ = ["write_check_page"]

Choices = list[tuple[str, str]]


def write_check_page(report: Mapping[str, Any], thumbnails: Mapping[str, bytes], path: str | os.PathLike[str]) -> None:
    """Write the report of a dataset check as one self-contained HTML file.

    The file needs no network and no scripts. With scripts, cases can be searched, filtered and sorted. Text from the
    dataset, such as file names, is always shown as text and never as markup.

    Args:
        report: the content of ``check.json``.
        thumbnails: PNG, JPEG or WebP pictures by the case's name: see `pipeline.report.thumbnail`.
        path: the HTML file, written completely or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    groups = group_findings(report["findings"])
    worst = next((severity for severity in SEVERITIES[:2] if any(g.severity == severity for g in groups)), "good")
    try:
        write_page(
            path,
            "check_page.html",
            _make_page(report),
            style=read_asset("check_page.css") + swatch_style(report),
            script=read_asset("check_page.js"),
            verdict=(worst, verdict(report)),
            tiles=_make_tiles(report, groups),
            sections=list_sections(report, groups),
            counts=make_count_tables(report),
            measures=make_measure_tables(report),
            number=count_of(len(report["cases"]), "case"),
            choices=_make_choices(report, groups),
            legend=_make_legend(report, groups),
            cards=list_cards(report, groups, thumbnails),
        )
    except OSError as error:
        raise InputError(
            os.fspath(path),
            found=f"a file that cannot be written ({error.strerror})",
            expected="a writable folder with space for the report",
            remedy="choose another folder, or free disk space",
        ) from error


def _make_page(report: Mapping[str, Any]) -> Page:
    made = _format_time(report)
    checked, listed = len(report["cases"]), sum(report["summary"].get(part, 0) for part in ("training", "test"))
    facts = [f"{checked:,} of {listed:,} cases checked"] if checked < listed else []
    facts += [f"{report['spatial_dims']}D", ", ".join(map(str, report["channels"]))]
    titled = {"regions": regions_words(report), "ignored": ignored_words(report), "annotated": annotated_words(report)}
    facts += [*(f"{title}: {words}" for title, words in titled.items() if words), made]
    provenance = {
        "Dataset": report.get("dataset_dir"),
        "Datalist": report.get("datalist"),
        "SHA-256 of the datalist": report.get("datalist_sha256"),
        "Made": made,
        "Versions": ", ".join(f"{name} {version}" for name, version in (report.get("versions") or {}).items()),
        "Tolerances": "; ".join(f"{name} {value:g}" for name, value in (report.get("tolerances") or {}).items()),
    }
    return Page(
        kind="dataset check",
        name=dataset_name(report),
        facts=[fact for fact in facts if fact],
        provenance={title: str(text) for title, text in provenance.items() if text},
        note="The same content for programs is in check.json.",
    )


def _make_tiles(report: Mapping[str, Any], groups: Sequence[Group]) -> list[Tile]:
    cases = len(report["cases"])
    tiles = [Tile(f"{cases:,}", "case" if cases == 1 else "cases", anchor="cases")]
    for severity in SEVERITIES:
        number = sum(len(group.findings) for group in groups if group.severity == severity)
        noun = severity if number == 1 else f"{severity}s"
        tiles.append(Tile(f"{number:,}", noun, severity if number else "zero", f"{severity}s" if number else None))
    return tiles


def _make_legend(report: Mapping[str, Any], groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Return class and name of each spot of colour in the legend."""
    entries = [(swatch_class(report, name), name) for name in list_structures(report)[:MAX_SORTABLE]]
    undeclared = any(group.kind == "label-undeclared" for group in groups)
    return entries + [(UNDECLARED, "undeclared")] * undeclared


def _make_choices(report: Mapping[str, Any], groups: Sequence[Group]) -> dict[str, Choices]:
    """Return the options (value and text) of the controls that filter and sort the cases."""
    severities = case_severities(groups)
    worst = Counter(severities.get(case["name"], "clean") for case in report["cases"])
    titles = {"problem": "with problems", "warning": "with warnings", "note": "with notes", "clean": "without findings"}
    places = sorted({part_text(case) for case in report["cases"]}, key=_natural_order)
    sorts = [("name", "by name")]
    for index, name in enumerate(map(printable, list_structures(report)[:MAX_SORTABLE])):
        sorts += [(f"{index}", f"{name}, smallest first"), (f"-{index}", f"{name}, largest first")]
    return {
        "severity": [
            ("", "all cases"),
            *((key, f"{text} ({worst[key]:,})") for key, text in titles.items() if worst[key]),
        ],
        "part": [("", "all"), *((place, place) for place in places)],
        "sort": [("", "findings first"), *sorts],
    }


def _format_time(report: Mapping[str, Any]) -> str:
    made = str(report.get("made") or "")
    try:
        moment = datetime.fromisoformat(made)
    except ValueError:
        return made
    seconds = report.get("seconds")
    duration = f", in {seconds:.3g} s" if isinstance(seconds, int | float) else ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip() + duration


def _natural_order(text: str) -> list[tuple[int, str]]:
    """Return a key for sorting that puts fold 2 before fold 10."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in text.split()]
