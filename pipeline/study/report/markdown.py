"""Write tables and texts as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...report.html.parts import Table
from ...report.text import printable

__all__ = ["escape", "fence", "write_list", "write_table"]

# What GitHub could take for markup. Intervals, names with underscores and "< .001" stay readable as plain text.
_SPECIAL = re.compile(r"[\\`*|~$#&]|(?<!\w)_|_(?!\w)|<(?! )|(?<=\S)>|\[(?![-+.\d])|\](?=[(\[:])|^>")


def escape(text: object) -> str:
    """Return one line of text in which nothing is markup."""
    return _SPECIAL.sub(r"\\\g<0>", printable(text))


def write_table(table: Table) -> str:
    """Return a table: the first column to the left, numbers to the right."""
    lines = [[*table.heads]]
    lines += [[f"{row.name} ({row.note})" if row.note else row.name, *row.cells] for row in table.rows]
    written = ["| " + " | ".join(escape(cell) for cell in line) + " |" for line in lines]
    rule = "| --- |" + " ---: |" * (len(table.heads) - 1)
    return "\n".join([written[0], rule, *written[1:]])


def write_list(texts: Sequence[str]) -> str:
    """Return texts, which may have markup, as a list."""
    return "\n".join(f"- {text}" for text in texts)


def fence(text: str, language: str = "") -> str:
    """Return text as a block of code, whatever it contains."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"
