"""Read and write overrides on a command line, ``--KEY VALUE``, as MONAI's runner does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.errors import InputError

__all__ = ["as_text", "as_words", "lightskip_command", "parse_value", "parse_values", "read_words", "shorten_path"]


def read_words(words: Sequence[str]) -> dict[str, str]:
    """Read the words ``--KEY VALUE``, ``--KEY=VALUE`` and ``--KEY`` (True); of a repeated key the last one counts.

    Returns:
        The text of each key's value. As in MONAI's runner, ``-`` in a key becomes ``_``.

    Raises:
        InputError: a word has no key.
    """
    settings: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not _is_key(word):
            raise InputError(
                "the command line",
                found=f"{word!r} without a key",
                expected="--KEY VALUE or --KEY=VALUE after the bundle",
                remedy="put its key in front, and quotes around a value with spaces",
            )
        key, equals, text = word.lstrip("-").partition("=")
        if not equals:
            text = left.pop(0) if left and not _is_key(left[0]) else "True"
        settings[key.replace("-", "_")] = text
    return settings


def parse_value(text: str) -> Any:
    """Parse a text as MONAI's runner does: a number, list, mapping, True, False, None, or the text itself."""
    from fire.parser import DefaultParseValue  # type: ignore[import-untyped]  # noqa: PLC0415 - imports asyncio

    return DefaultParseValue(text)


def parse_values(settings: Mapping[str, str]) -> dict[str, Any]:
    """Parse the text of each key with :func:`parse_value`."""
    return {key: parse_value(text) for key, text in settings.items()}


def as_words(settings: Mapping[str, str]) -> list[str]:
    """Return the words that :func:`read_words` and MONAI's runner read as these settings."""
    words: list[str] = []
    for key, text in settings.items():
        # A text that looks like a key must be attached to its key.
        words += [f"--{key}={text}"] if _is_key(text) else [f"--{key}", text]
    return words


def as_text(words: Sequence[str]) -> str:
    """Return words as a user types them in a POSIX shell."""
    return " ".join(map(_quote, words))


def lightskip_command(verb: str, bundle: Path, settings: Mapping[str, str] | None = None) -> str:
    """Return LightSkip's command for a bundle, as a user types it."""
    return as_text(["lightskip", verb, str(bundle), *as_words(settings or {})])


def shorten_path(path: Path) -> Path:
    """Return the path relative to the working directory if it is inside, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _is_key(word: str) -> bool:
    # A negative number is a value.
    return re.match("--|-[a-zA-Z]", word) is not None


def _quote(word: str) -> str:
    # `#` starts a comment only at the beginning of a word.
    if "#" in word[1:] and shlex.quote(word[0] + word[1:].replace("#", "")) == word.replace("#", ""):
        return word
    # Double quotes are easier to read around Python's single ones, if the word has no special characters.
    return f'"{word}"' if "'" in word and not set('"$`\\!') & set(word) else shlex.quote(word)
