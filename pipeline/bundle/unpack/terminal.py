"""A stranger's text as a terminal may have it."""

from __future__ import annotations

__all__ = ["shown"]

_LONGEST = 600


def shown(text: str, *, longest: int = _LONGEST) -> str:
    """Return text on one line, with nothing in it that moves the cursor, changes colours or turns the direction.

    Args:
        text: any.
        longest: characters; how many more there are is said in place of them.
    """
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return plain if len(plain) <= longest else f"{plain[:longest]} … ({len(plain) - longest:,} characters more)"
