"""Write the report's list of code in a bundle's configs: each text once, with the number of its places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .config_code import CodeText
from .terminal import printable

__all__ = ["code_paragraphs", "format_count"]

_WIDTH = 110
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# An expression of this form only imports.
_IMPORT = re.compile(r"\$(?:import [\w.]+|from [\w.]+ import \w+)(?: as \w+)?")
_OTHERS = {
    "file": "Other configs that the configs read",
    "mode": "Components that start the debugger",
    "logging": "Logging settings that Python evaluates",
    "unreadable": "Files that could not be read",
}


def code_paragraphs(texts: Sequence[CodeText]) -> list[str]:
    """Return the paragraphs on classes, imports, expressions and other texts, without empty ones."""
    expressions = [one for one in texts if one.kind == "expression"]
    imports = [one for one in expressions if _IMPORT.fullmatch(one.text)]
    rest = [one for one in expressions if not _IMPORT.fullmatch(one.text)]
    paragraphs = [
        _list_classes([one for one in texts if one.kind == "class"]),
        _list_imports(imports),
        _list_texts("Expressions ($...)" if not imports else "Other expressions ($...)", rest),
        *(_list_texts(title, [one for one in texts if one.kind == kind]) for kind, title in _OTHERS.items()),
    ]
    return [one for one in paragraphs if one] or ["The configs run nothing."]


def format_count(number: int, word: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 line``, ``2 lines``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def _list_classes(texts: Sequence[CodeText]) -> str:
    """Return each class and function once, by package; names that are unknown until the config runs come first."""
    packages: dict[str, Counter[str]] = {}
    for one in texts:
        packages.setdefault(_package(one.text), Counter())[one.text] += 1
    lines: list[str] = []
    for package, names in sorted(packages.items()):
        named = [f"{_with_count(printable(name), number)}," for name, number in sorted(names.items())]
        lines += _wrap_items([f"{package}:", *named])
    return _with_title("Classes and functions (_target_)", texts, lines)


def _package(name: str) -> str:
    if not _NAME.fullmatch(name):
        return "only known when it runs"
    first, dot, _ = name.partition(".")
    return f"package {printable(first)}" if dot else "without a package (MONAI's, otherwise Python's)"


def _list_imports(texts: Sequence[CodeText]) -> str:
    counted = sorted(Counter(one.text.removeprefix("$") for one in texts).items())
    lines = _wrap_items([f"{_with_count(printable(text), number)}," for text, number in counted])
    return _with_title("Imports ($import, $from)", texts, lines)


def _list_texts(title: str, texts: Sequence[CodeText]) -> str:
    """Return each text once, with the first of its places."""
    places: dict[str, list[str]] = {}
    for one in texts:
        places.setdefault(one.text, []).append(f"{one.file} {one.id}".strip())
    lines = []
    for text, where in places.items():
        more = f" and {len(where) - 1} more" * (len(where) > 1)
        lines.append(f"   {printable(text)}    [{printable(where[0])}{more}]")
    return _with_title(title, texts, lines)


def _with_title(title: str, texts: Sequence[CodeText], lines: Iterable[str]) -> str:
    different = len({one.text for one in texts})
    of = "" if different == len(texts) else f", {different:,} different"
    return "\n".join([f"{title}: {format_count(len(texts), 'place')}{of}", *lines]) if texts else ""


def _with_count(text: str, number: int) -> str:
    return text if number == 1 else f"{text} ({number})"


def _wrap_items(items: Iterable[str]) -> Iterator[str]:
    """Yield lines with as many items as fit; no item is broken."""
    line = "  "
    for item in items:
        if len(line) + 1 + len(item) > _WIDTH and line.strip():
            yield line
            line = "    "
        line = f"{line} {item}"
    yield line.rstrip(",")
