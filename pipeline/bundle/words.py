"""Overrides as people type them, ``--KEY VALUE``, read as MONAI's runner reads them and written for people to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue  # type: ignore[import-untyped]

from ..data.errors import InputError

__all__ = ["as_text", "as_words", "lightskip", "near", "read_words", "value_of", "values_of"]


def read_words(words: Sequence[str]) -> dict[str, str]:
    """Pair the words ``--KEY VALUE``, ``--KEY=VALUE`` and ``--KEY`` (True); the last of a key counts.

    Returns:
        The text of each key's value; in keys, as MONAI's runner has it, ``_`` stands for ``-``.

    Raises:
        InputError: a word belongs to no key.
    """
    settings: dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not _is_key(word):
            raise InputError(
                "the command line",
                found=f"{word!r}, which belongs to no key",
                expected="--KEY VALUE or --KEY=VALUE after the bundle",
                remedy="put its key before it, and quotes around a value with spaces",
            )
        key, equals, text = word.lstrip("-").partition("=")
        if not equals:
            text = left.pop(0) if left and not _is_key(left[0]) else "True"
        settings[key.replace("-", "_")] = text
    return settings


def value_of(text: str) -> Any:
    """What MONAI's runner makes of a text: a number, a list, a mapping, True, False, None, or the text itself."""
    return DefaultParseValue(text)


def values_of(settings: Mapping[str, str]) -> dict[str, Any]:
    """The values of texts, by key."""
    return {key: value_of(text) for key, text in settings.items()}


def as_words(settings: Mapping[str, str]) -> list[str]:
    """The words that :func:`read_words`, and MONAI's runner, reads as these settings."""
    words: list[str] = []
    for key, text in settings.items():
        # What looks like a key would not be taken for a value.
        words += [f"--{key}={text}"] if _is_key(text) else [f"--{key}", text]
    return words


def as_text(words: Sequence[str]) -> str:
    """Words as a person types them in a POSIX shell."""
    return " ".join(map(_quoted, words))


def lightskip(verb: str, bundle: Path, settings: Mapping[str, str] | None = None) -> str:
    """The command of ours for a bundle, as a person types it."""
    return as_text(["lightskip", verb, str(bundle), *as_words(settings or {})])


def near(path: Path) -> Path:
    """The path, relative to the working directory where it lies in there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _is_key(word: str) -> bool:
    # A negative number is a value.
    return re.match("--|-[a-zA-Z]", word) is not None


def _quoted(word: str) -> str:
    # `#` starts a comment at the beginning of a word only.
    if "#" in word[1:] and shlex.quote(word[0] + word[1:].replace("#", "")) == word.replace("#", ""):
        return word
    # Double quotes are easier to read around Python's single ones, where nothing in the word is special in them.
    return f'"{word}"' if "'" in word and not set('"$`\\!') & set(word) else shlex.quote(word)
