"""List the code that Python evaluates in a logging config: classes of handlers and formatters, and arguments."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path

from .config_code import CodeText
from .starts import read_start

__all__ = ["list_logging_code"]

_MAX_BYTES = 2**20
_EVALUATED = ("class", "args", "kwargs", "defaults")


def list_logging_code(folder: Path, files: Iterable[str]) -> list[CodeText]:
    """Return the settings of logging configs that Python evaluates, unchanged: ``%(name)s`` is not filled in."""
    return [text for file in files if file.endswith((".conf", ".ini", ".cfg")) for text in _list_file(folder, file)]


def _list_file(folder: Path, file: str) -> Iterator[CodeText]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        content = read_start(folder / file, _MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ValueError("more than 1 MiB: too large for a logging config")
        parser.read_string(content.decode())
    except (configparser.Error, ValueError) as error:
        yield CodeText(file, "", "unreadable", " ".join(str(error).split()))
        return
    for section in parser.sections():
        if not section.startswith(("handler_", "formatter_")):
            continue
        for key in _EVALUATED:
            text = parser.get(section, key, fallback=None)
            if text is not None:
                yield CodeText(file, f"{section}#{key}", "logging", text)
        if any("%(" in (parser.get(section, key, fallback=None) or "") for key in _EVALUATED):
            # The inserted text can come from any setting of the section.
            others = [key for key in parser[section] if key not in _EVALUATED]
            yield from (CodeText(file, f"{section}#{key}", "logging", str(parser.get(section, key))) for key in others)
