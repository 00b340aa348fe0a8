"""Tells people, and programs, what a look at a bundle gave."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from .checksums import ELSEWHERE, MATCHES
from .configs import Text
from .examination import Examination
from .judge import ACTING, CALLING, PLAIN, REACHING
from .scripts import Script
from .terminal import shown

__all__ = ["as_json", "as_text"]

_LEVELS = {
    ACTING: ("!!", "can act on the machine or run other code, or could not be judged"),
    REACHING: ("! ", "reach the system, or code that is not MONAI's, PyTorch's or Python's"),
    CALLING: ("  ", "call functions of MONAI, PyTorch or Python"),
    PLAIN: ("  ", "are references, arithmetic or plain imports"),
}
_WORDS = {ACTING: "acts", REACHING: "reaches", CALLING: "calls", PLAIN: "plain"}
_PLACES = 3
_WIDTH = 110
_NO_PROOF = (
    "This list is for reading and proves nothing: marks come from the names that stand in the text, and Python has\n"
    "endless ways to hide one. Nothing of the bundle has run, and none of its modules was imported."
)


def as_text(found: Examination) -> str:
    """Return a report for the terminal; what is most notable comes first in each of its parts."""
    parts = [_head(found), _packages(found), _files(found), _weights(found), _scripts(found.scripts), _texts(found)]
    return "\n\n".join(part for part in [*parts, _NO_PROOF, _in_short(found)] if part) + "\n"


def as_json(found: Examination) -> str:
    """Return the same as JSON, with every place of every text."""
    content: dict[str, Any] = asdict(found)
    content["problems"] = found.problems
    content["usual_classes"] = dict(found.usual_classes)
    content["files"] = [{"file": file, "size": size} for file, size in found.files]
    judged: list[tuple[str, Sequence[Text | Script]]] = [("texts", found.texts), ("scripts", found.scripts)]
    for key, items in judged:
        for told, item in zip(content[key], items, strict=True):
            told["level"] = _WORDS[item.level]
            told["remarks"] = [{"level": _WORDS[one.level], "what": one.what, "line": one.line} for one in item.remarks]
    for told, package in zip(content["about"]["packages"], found.about.packages, strict=True):
        told["words"] = package.words
    return json.dumps(content, indent=2) + "\n"


def _head(found: Examination) -> str:
    about = found.about
    size = sum(size for _, size in found.files)
    lines = [
        f"{shown(found.name)} {shown(about.version) or '(no version)'}: {len(found.files)} files, {_size(size)}, "
        f"of {shown(found.source)}",
        *(f"{shown(text)}" for text in (about.name, about.task) if text),
        f"intended use: {shown(about.intended_use) or 'not told'}",
        f"licence: {shown(about.licence) or 'none: no LICENSE'}"
        + "; docs/data_license.txt for its data" * about.data_licence,
    ]
    return "\n".join(lines)


def _packages(found: Examination) -> str:
    rows = [
        (shown(one.name), shown(one.wanted), one.installed or "-", one.words + " (optional)" * (not one.needed))
        for one in found.about.packages
    ]
    return _titled("Made with, and here", _table([("package", "made with", "here", ""), *rows])) if rows else ""


def _files(found: Examination) -> str:
    wrong = [one for one in found.checksums if one.refused]
    good = [one for one in found.checksums if one.status == MATCHES]
    rest = [one for one in found.checksums if not one.refused and one.status != MATCHES]
    lines = [f"!! {shown(one.file)}: {one.status} ({one.listed_in} {one.note})" for one in wrong]
    if good:
        names = f": {', '.join(shown(one.file) for one in good)}" if len(good) <= _PLACES else ""
        lines.append(f"   {len(good)} {'match' if len(good) > 1 else 'matches'}{names}")
    for one in rest:
        note = f"; {shown(one.note)}; not downloaded" if one.status == ELSEWHERE else f" {shown(one.note)}".rstrip()
        lines.append(f"   {shown(one.file)}: {one.status}{note}")
    if not found.checksums:
        lines.append("   none: the bundle has no list of checksums")
    lines += [f"!  {shown(one)}" for one in found.odd]
    lines += [f"   left out: {shown(one)}" for one in found.left_out]
    return _titled("Checksums and files", lines)


def _weights(found: Examination) -> str:
    order = sorted(found.weights, key=lambda one: (not one.problem, not one.program, one.file))
    lines = []
    for one in order:
        mark = "!!" if one.problem else "! " if one.program else "  "
        lines.append(f"{mark} {shown(one.file)} ({_size(one.size)}): {shown(one.problem or one.what)}")
    return _titled("Weights", lines or ["   none in the bundle"])


def _scripts(scripts: Sequence[Script]) -> str:
    lines = []
    for one in sorted(scripts, key=lambda one: (-one.level, one.file)):
        lines.append(f"{_LEVELS[one.level][0]} {shown(one.file)}: {one.kind}, {_size(one.size)}, sha256 {one.sha256}")
        if one.imports:
            lines.append(f"     imports {shown(', '.join(one.imports))}")
        lines += [f"     line {mark.line}: {shown(mark.what)}" for mark in one.remarks]
    return _titled("Scripts and other programs", lines or ["   none"])


def _texts(found: Examination) -> str:
    parts = []
    for level, (mark, words) in _LEVELS.items():
        texts = [one for one in found.texts if one.level == level]
        if texts:
            lines = [line for group in _grouped(texts) for line in _entry(group, mark)]
            parts.append(f"{mark.strip() or '-'} {len(texts)} that {words}:\n" + "\n".join(lines))
    parts += [_usual(found)] if found.usual_classes else []
    return _titled("What the configs would run", ["\n\n".join(parts or ["   nothing"])])


def _usual(found: Examination) -> str:
    count = sum(number for _, number in found.usual_classes)
    names = ", ".join(shown(name) + f" ({number})" * (number > 1) for name, number in found.usual_classes)
    told = f"Besides, the usual classes of MONAI, PyTorch and Ignite are named {count} times: {names}."
    return textwrap.fill(told, _WIDTH, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)


def _in_short(found: Examination) -> str:
    """The last line, which stands above the question: what is to be read again further up."""
    marked = [one.level for one in found.texts] + [one.level for one in found.scripts]
    marked += [REACHING] * (sum(one.program and not one.problem for one in found.weights) + len(found.odd))
    marked += [ACTING] * len(found.problems)
    matching = len({one.file for one in found.checksums if one.status == MATCHES})
    alone = sum(one.loaded for one in found.weights)
    parts = [
        f"{marked.count(ACTING)} marked !!, {marked.count(REACHING)} marked !",
        f"weights loaded as data alone: {alone} of {len(found.weights)} files",
        f"checksums that match: {matching} of {len(found.files)} files",
        f"to be downloaded: {len(found.to_download)}",
    ]
    return f"In short: {'; '.join(parts)}."


def _grouped(texts: Iterable[Text]) -> list[list[Text]]:
    """Put those alike together, in the order of their first."""
    groups: dict[tuple[str, str], list[Text]] = {}
    for one in texts:
        groups.setdefault((one.kind, one.text), []).append(one)
    return list(groups.values())


def _entry(group: Sequence[Text], mark: str) -> list[str]:
    one = group[0]
    places = [f"{each.file} {each.id}".strip() for each in group[:_PLACES]]
    if len(group) > _PLACES:
        places.append(f"and {len(group) - _PLACES} more places")
    kind = "" if one.kind == "expression" else f"{one.kind}: "
    if one.level < REACHING:
        more = f" and {len(group) - 1} more" * (len(group) > 1)
        return [f"   {shown(kind + one.text)}    [{shown(places[0])}{more}]"]
    notable = "; ".join(dict.fromkeys(each.what for each in one.remarks if each.level >= REACHING))
    return [f"  {mark} {shown(kind + one.text)}", f"     {shown(notable)}", f"     in {shown('; '.join(places))}"]


def _titled(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "   " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"
