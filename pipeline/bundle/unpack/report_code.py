"""The part of the report that lists what a bundle's configs run: equal texts once, with the number of their places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .config_code import Text
from .terminal import printable

__all__ = ["code_paragraphs", "count_of"]

_WIDTH = 110
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# MONAI only imports what is written like this.
_IMPORT = re.compile(r"\$(?:import [\w.]+|from [\w.]+ import \w+)(?: as \w+)?")
_OTHERS = {
    "file": "Other configs that the configs read",
    "mode": "Components that start the debugger",
    "logging": "What Python evaluates in logging configs",
    "unreadable": "Files that could not be read",
}


def code_paragraphs(texts: Sequence[Text]) -> list[str]:
    """Return the paragraphs on classes, imports, expressions and the rest; none for a kind that there is not."""
    expressions = [one for one in texts if one.kind == "expression"]
    imports = [one for one in expressions if _IMPORT.fullmatch(one.text)]
    rest = [one for one in expressions if not _IMPORT.fullmatch(one.text)]
    paragraphs = [
        _classes([one for one in texts if one.kind == "class"]),
        _imports(imports),
        _listed("Expressions ($...)" if not imports else "Other expressions ($...)", rest),
        *(_listed(title, [one for one in texts if one.kind == kind]) for kind, title in _OTHERS.items()),
    ]
    return [one for one in paragraphs if one] or ["The configs run nothing."]


def count_of(number: int, word: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 line``, ``2 lines``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def _classes(texts: Sequence[Text]) -> str:
    """Name each class and function once, by package; names that are only known when the config runs come first."""
    packages: dict[str, Counter[str]] = {}
    for one in texts:
        packages.setdefault(_package(one.text), Counter())[one.text] += 1
    lines: list[str] = []
    for package, names in sorted(packages.items()):
        named = [f"{_numbered(printable(name), number)}," for name, number in sorted(names.items())]
        lines += _packed([f"{package}:", *named])
    return _titled("Classes and functions (_target_)", texts, lines)


def _package(name: str) -> str:
    if not _NAME.fullmatch(name):
        return "only known when it runs"
    first, dot, _ = name.partition(".")
    return f"package {printable(first)}" if dot else "without a package (MONAI's, otherwise Python's)"


def _imports(texts: Sequence[Text]) -> str:
    counted = sorted(Counter(one.text.removeprefix("$") for one in texts).items())
    lines = _packed([f"{_numbered(printable(text), number)}," for text, number in counted])
    return _titled("Imports ($import, $from)", texts, lines)


def _listed(title: str, texts: Sequence[Text]) -> str:
    """List each text once, with the first of its places."""
    places: dict[str, list[str]] = {}
    for one in texts:
        places.setdefault(one.text, []).append(f"{one.file} {one.id}".strip())
    lines = []
    for text, where in places.items():
        more = f" and {len(where) - 1} more" * (len(where) > 1)
        lines.append(f"   {printable(text)}    [{printable(where[0])}{more}]")
    return _titled(title, texts, lines)


def _titled(title: str, texts: Sequence[Text], lines: Iterable[str]) -> str:
    different = len({one.text for one in texts})
    of = "" if different == len(texts) else f", {different:,} different"
    return "\n".join([f"{title}: {count_of(len(texts), 'place')}{of}", *lines]) if texts else ""


def _numbered(text: str, number: int) -> str:
    return text if number == 1 else f"{text} ({number})"


def _packed(items: Iterable[str]) -> Iterator[str]:
    """Put as many items on each line as it has room for; none is broken."""
    line = "  "
    for item in items:
        if len(line) + 1 + len(item) > _WIDTH and line.strip():
            yield line
            line = "    "
        line = f"{line} {item}"
    yield line.rstrip(",")
