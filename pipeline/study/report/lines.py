"""Show a file's text as it is, without characters that control a terminal or the direction of writing."""

from __future__ import annotations

import re

from ...report.text import printable

__all__ = ["clean_lines"]


def clean_lines(text: str) -> list[str]:
    """Return the lines of a text with all their spaces; other characters that are not printable are escaped."""
    return [re.sub(r"[^ ]+", lambda found: printable(found[0]), line.expandtabs(4)) for line in text.splitlines()]
