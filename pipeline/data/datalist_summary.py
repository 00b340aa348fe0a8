"""The text that `lightskip datalist` prints: what was found, what was left out, and the next command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .layouts.found import Found

__all__ = ["format_summary"]


def format_summary(datalist: Mapping[str, Any], found: Found, path: Path) -> str:
    """Return what a new datalist contains, in aligned lines, then its path and the next command.

    Args:
        datalist: the datalist, as `make_datalist` returns it.
        found: the cases that it was made from.
        path: the file that it was written to.
    """
    training, test = datalist["training"], datalist.get("test", [])
    rows = [
        ("dataset", f"{datalist.get('name', found.folder.name)}, in {found.folder}"),
        *([("layout", found.layout)] if found.layout else []),
        ("cases", f"{len(training)} training, {len(test)} test"),
        ("folds", _fold_words(training)),
        ("subjects", _subject_words([*training, *test])),
        ("channels", _channel_words(datalist, training[0])),
        ("labels", ", ".join(f"{value} {name}" for value, name in datalist.get("labels", {}).items()) or "no names"),
        *_label_rows(datalist, [*training, *test]),
        *([("masks", datalist["merged"])] if datalist.get("merged") else []),
        ("left out", "; ".join(found.left_out) or "nothing"),
        *(("note", note) for note in found.notes),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {words}" for name, words in rows]
    return "\n".join([*lines, "", f"datalist: {path}", f"next: lightskip check {shlex.quote(str(path))}"])


def _label_rows(datalist: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return rows for regions, ignored values and partial labels, of those that there are."""
    rows = []
    if regions := datalist.get("regions"):
        words = ", ".join(f"{name} ({' '.join(map(str, values))})" for name, values in regions.items())
        rows.append(("regions", words))
    if (ignored := datalist.get("ignore")) is not None:
        rows.append(("ignored", ", ".join(map(str, ignored if isinstance(ignored, list) else [ignored]))))
    if partial := sum("annotated" in item for item in items):
        rows.append(("annotated", f"only some labels in {partial} of {len(items)} cases"))
    return rows


def _fold_words(training: Sequence[Mapping[str, Any]]) -> str:
    sizes = Counter(item["fold"] for item in training)
    return f"{len(sizes)}, with {', '.join(str(sizes[fold]) for fold in sorted(sizes))} cases"


def _subject_words(items: Sequence[Mapping[str, Any]]) -> str:
    subjects = [item["subject"] for item in items if "subject" in item]
    if not subjects:
        return "not known: each case counts as a subject of its own"
    without = len(items) - len(subjects)
    return f"{len(set(subjects))}" + (f", and {without} cases without a subject" if without else "")


def _channel_words(datalist: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    files = len(item["image"]) if isinstance(item["image"], list) else 1
    names = ", ".join(datalist.get("modality", {}).values()) or "no names"
    return f"{names} ({files} {'file' if files == 1 else 'files'} per case)"
