"""Write the report on a bundle for ``lightskip import``, as text or JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from .checksums import ELSEWHERE, MATCHES
from .examination import Examination
from .report_code import code_paragraphs, format_count
from .scripts import Script
from .terminal import printable

__all__ = ["as_json", "as_text"]

_MAX_NAMES = 3
_WIDTH = 110


def as_text(found: Examination) -> str:
    """Return the report for the terminal."""
    parts = [
        _head(found),
        _packages(found),
        _files(found),
        _weights(found),
        _scripts(found.scripts),
        *code_paragraphs(found.texts),
        _summarise(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(found: Examination) -> str:
    """Return the report as JSON, with every place of every text."""
    content: dict[str, Any] = asdict(found)
    content["problems"] = found.problems
    content["files"] = [{"file": file, "size": size} for file, size in found.files]
    for entry, package in zip(content["about"]["packages"], found.about.packages, strict=True):
        entry["words"] = package.words
    return json.dumps(content, indent=2) + "\n"


def _head(found: Examination) -> str:
    about = found.about
    size = sum(size for _, size in found.files)
    lines = [
        f"{printable(found.name)} {printable(about.version) or '(no version)'}: {len(found.files)} files, "
        f"{_format_size(size)}, of {printable(found.source)}",
        *(f"{printable(text)}" for text in (about.name, about.task) if text),
        f"intended use: {printable(about.intended_use) or 'not stated'}",
        f"licence: {printable(about.licence) or 'none: no LICENSE'}"
        + "; docs/data_license.txt for its data" * about.data_licence,
    ]
    return "\n".join(lines)


def _packages(found: Examination) -> str:
    rows = [
        (
            printable(one.name),
            printable(one.wanted),
            one.installed or "-",
            one.words + " (optional)" * (not one.needed),
        )
        for one in found.about.packages
    ]
    return _with_title("Packages", _table([("package", "made with", "installed", ""), *rows])) if rows else ""


def _files(found: Examination) -> str:
    wrong = [one for one in found.checksums if one.refused]
    good = [one for one in found.checksums if one.status == MATCHES]
    rest = [one for one in found.checksums if not one.refused and one.status != MATCHES]
    lines = [f"!! {printable(one.file)}: {one.status} ({one.listed_in} {one.note})" for one in wrong]
    if good:
        names = f": {', '.join(printable(one.file) for one in good)}" if len(good) <= _MAX_NAMES else ""
        lines.append(f"   {len(good)} {'match' if len(good) > 1 else 'matches'}{names}")
    for one in rest:
        note = f"; {printable(one.note)}; not downloaded" if one.status == ELSEWHERE else f" {printable(one.note)}"
        lines.append(f"   {printable(one.file)}: {one.status}{note.rstrip()}")
    if not found.checksums:
        lines.append("   none: the bundle has no list of checksums")
    lines += [f"   {printable(one)}" for one in found.odd]
    lines += [f"   left out: {printable(one)}" for one in found.left_out]
    return _with_title("Checksums and files", lines)


def _weights(found: Examination) -> str:
    order = sorted(found.weights, key=lambda one: (not one.problem, not one.program, one.file))
    lines = []
    for one in order:
        mark = "!!" if one.problem else "  "
        lines.append(f"{mark} {printable(one.file)} ({_format_size(one.size)}): {printable(one.problem or one.what)}")
    return _with_title("Weights", lines or ["   none in the bundle"])


def _scripts(scripts: Sequence[Script]) -> str:
    total = sum(one.lines or 0 for one in scripts)
    lines = []
    for one in scripts:
        length = _format_size(one.size) if one.lines is None else format_count(one.lines, "line")
        imports = f", imports {printable(', '.join(one.imports))}" if one.imports else ""
        lines.append(f"   {printable(one.file)}: {one.kind}, {length}{imports}")
        lines += [f"      {printable(note)}" for note in one.notes]
    title = f"Scripts and other programs: {format_count(len(scripts), 'file')}, {format_count(total, 'line')}"
    return _with_title(title if scripts else "Scripts and other programs: none", lines)


def _summarise(found: Examination) -> str:
    """Return the last paragraph, above the question: the code that would run, and the checks."""
    different = {(one.kind, one.text) for one in found.texts}
    kinds = Counter(kind for kind, _ in different)
    programs = len(found.scripts) + sum(one.program for one in found.weights)
    unreadable = f" {format_count(kinds['unreadable'], 'file')} could not be read." if kinds["unreadable"] else ""
    whole = (
        f"In short: {format_count(kinds['expression'], 'expression')}, "
        f"{format_count(kinds['class'], 'class', 'classes')} (_target_), {format_count(programs, 'program')} and "
        f"{format_count(kinds['file'] + kinds['mode'] + kinds['logging'], 'other setting')} run, or can run, with the "
        f"bundle.{unreadable} Read them before you run it: this report does not judge them. None has run so far."
    )
    matching = len({one.file for one in found.checksums if one.status == MATCHES})
    checked = (
        f"weights loaded as data only: {sum(one.loaded for one in found.weights)} of {len(found.weights)} files; "
        f"matching checksums: {matching} of {len(found.files)} files; to be downloaded: {len(found.to_download)}; "
        f"reasons to refuse it: {len(found.problems)}"
    )
    return "\n".join([*textwrap.wrap(whole, _WIDTH), checked])


def _with_title(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _format_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"
