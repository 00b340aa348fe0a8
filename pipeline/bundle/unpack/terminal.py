"""A stranger's text as a terminal may have it."""

from __future__ import annotations

__all__ = ["is_cut", "shown"]

_LONGEST = 600


def shown(text: str, *, longest: int = _LONGEST) -> str:
    """Return text on one line, with nothing in it that moves the cursor, changes colours or turns the direction.

    Args:
        text: any.
        longest: characters; how many more there are is said in place of them.
    """
    plain = _plain(text)
    return plain if len(plain) <= longest else f"{plain[:longest]} … ({len(plain) - longest:,} characters more)"


def is_cut(text: str) -> bool:
    """Tell whether the end of a text is not shown."""
    return len(text) > _LONGEST or len(_plain(text)) > _LONGEST


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
