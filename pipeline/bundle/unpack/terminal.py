"""Make someone else's text safe to print in a terminal."""

from __future__ import annotations

__all__ = ["printable"]

_MAX_LENGTH = 600


def printable(text: str, *, max_length: int = _MAX_LENGTH) -> str:
    """Return text on one line, without anything that moves the cursor, changes colours or the text direction.

    Args:
        text: any text.
        max_length: characters; the number of omitted characters is added.
    """
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    if len(plain) <= max_length:
        return plain
    return f"{plain[:max_length]} … ({len(plain) - max_length:,} characters more: --json FILE has them)"
