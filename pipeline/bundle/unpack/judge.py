"""What Python text would reach if it ran, judged by its syntax tree. Nothing is run.

This finds what is written openly and many of the ways around it. It proves nothing: Python can hide a call in endless
ways, which is why all expressions are listed and not only those that are marked here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .words import BUILTINS, INSIDES, KNOWN, LOOKS, PAIRS, WORDS

__all__ = [
    "ACTING",
    "CALLING",
    "PLAIN",
    "REACHING",
    "Context",
    "Remark",
    "dotted_of",
    "imported_names",
    "judge",
    "level_of",
]

PLAIN, CALLING, REACHING, ACTING = range(4)
"""From references and arithmetic, over calls, to what reaches the system, and what acts on the machine."""

_LONG_TEXT = 1000
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")


@dataclass(frozen=True, order=True)
class Remark:
    """Something notable.

    Attributes:
        level: `REACHING` or `ACTING`; `CALLING` for a call of no further note.
        what: what it does, in words.
        line: where in the text, from 1.
    """

    level: int
    what: str
    line: int = 1


@dataclass(frozen=True)
class Context:
    """What surrounds a text.

    Attributes:
        names: all that imports make a name mean somewhere: ``{"dist": {"torch.distributed"}}``. What a name says by
            itself counts as well: an import elsewhere must not make `os` harmless.
        own: modules that the bundle itself brings, such as ``scripts``.
        expression: it is a config's expression, which has less reason than a script to name Python's insides in a
            text or to look up what it only knows when it runs.
    """

    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    own: Collection[str] = ()
    expression: bool = True


def imported_names(*trees: ast.AST) -> dict[str, set[str]]:
    """Return what imports make known: the full dotted names by the name in use."""
    names: dict[str, set[str]] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            for one in node.names:
                root = one.name.partition(".")[0]
                names.setdefault(one.asname or root, set()).add(one.name if one.asname else root)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for one in node.names:
                names.setdefault(one.asname or one.name, set()).add(f"{node.module}.{one.name}")
    return names


def judge(tree: ast.AST, context: Context) -> list[Remark]:
    """Return what is notable in a tree, each once with its first line, the most notable first."""
    first: dict[tuple[int, str], int] = {}
    within: set[int] = set()
    for node in ast.walk(tree):
        # `os` in `os.path` is judged with what follows it; the walk comes to the whole name first.
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            within.add(id(node.value))
        if id(node) in within:
            continue
        line = getattr(node, "lineno", 1)
        for level, what in _of_node(node, context):
            first[level, what] = min(line, first.get((level, what), line))
    remarks = [Remark(level, what, line) for (level, what), line in first.items()]
    return sorted(remarks, key=lambda one: (-one.level, one.line, one.what))


def level_of(remarks: Collection[Remark]) -> int:
    """Return the highest level among remarks; `PLAIN` of none."""
    return max((one.level for one in remarks), default=PLAIN)


def _of_node(node: ast.AST, context: Context) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        for one in node.names:
            yield from _of_import(one.name, context)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            return
        for one in node.names:
            yield from _of_import(f"{node.module}.{one.name}", context)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _of_name(node, context)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, context)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        yield from _of_text(node.value, context)


def _of_import(name: str, context: Context) -> Iterator[tuple[int, str]]:
    root = name.partition(".")[0]
    if root in context.own:
        yield REACHING, f"runs the bundle's own code: imports {root}"
    elif root not in KNOWN:
        yield REACHING, f"imports {root}, which is neither Python's nor MONAI's nor PyTorch's"
    yield from _of_parts(name.split("."), f"imports {name}: ")


def _of_name(node: ast.Name | ast.Attribute, context: Context) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Name) and node.id in BUILTINS:
        level, what = BUILTINS[node.id]
        yield level, f"{node.id}: {what}"
    for parts in _readings(node, context):
        if parts[0] in context.own:
            yield REACHING, f"runs the bundle's own code: {parts[0]}"
        yield from _of_parts(parts, f"{_dotted(parts)}: ")


def _of_parts(parts: list[str], prefix: str) -> Iterator[tuple[int, str]]:
    for part in parts:
        if part in INSIDES:
            yield ACTING, f"{part}: reaches into Python's insides"
    pairs = [f"{left}.{right}" for left, right in pairwise([*parts, ""])]
    told = [PAIRS[pair] for pair in pairs if pair in PAIRS]
    # What is known of `os.system` says more than what is known of `os`; what stands beside it is told all the same.
    covered = {number + more for number, pair in enumerate(pairs) if pair in PAIRS for more in (0, 1)}
    covered |= {number for number, pair in enumerate(pairs) if pair in LOOKS}
    told += [WORDS[part] for number, part in enumerate(parts) if part in WORDS and number not in covered]
    yield from ((level, f"{prefix}{what}") for level, what in told)


def _readings(node: ast.AST, context: Context) -> list[list[str]]:
    """Return ``a.b.c`` as a list, as it stands and with all that its first name was imported as; "" for no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return [["", *parts]]
    meant = [full.split(".") for full in sorted(context.names.get(node.id, ()))]
    return [[*first, *parts] for first in [[node.id], *(one for one in meant if one != [node.id])]]


def dotted_of(node: ast.AST) -> str:
    """Return ``a.b.c`` where a tree is nothing else; "" otherwise."""
    parts = _readings(node, Context())[0]
    return ".".join(parts) if parts[0] else ""


def _dotted(parts: Sequence[str]) -> str:
    return ".".join(part or "…" for part in parts)


def _of_call(node: ast.Call, context: Context) -> Iterator[tuple[int, str]]:
    words = {one.arg: one.value for one in node.keywords}
    for parts in _readings(node.func, context):
        name = _dotted(parts)
        yield CALLING, f"calls {name}"
        if name in ("getattr", "setattr", "delattr"):
            yield from _of_attribute(node, name, context)
        elif parts[-1] == "open":
            yield from _of_open(node, words, name)
        elif parts[-1] in ("load", "load_all"):
            yield from _of_load(node, words, name)


def _of_load(node: ast.Call, words: Mapping[str | None, ast.expr], name: str) -> Iterator[tuple[int, str]]:
    if name in ("torch.load", "torch.serialization.load"):
        only = words.get("weights_only")
        if only is None:
            yield REACHING, f"{name} without weights_only, which PyTorch before 2.6 takes as leave to run pickles"
        elif not _is(only, True):
            yield ACTING, f"{name} with weights_only other than True: loads pickles, which run code"
    elif "allow_pickle" in words and not _is(words["allow_pickle"], False):
        yield ACTING, f"{name} with allow_pickle: loads pickles, which run code"
    elif name.startswith("yaml."):
        loader = words.get("Loader") or (node.args[1] if len(node.args) > 1 else None)
        if loader is None or dotted_of(loader).rpartition(".")[2] not in ("SafeLoader", "CSafeLoader", "BaseLoader"):
            yield ACTING, f"{name} without a safe loader: makes any object that the file names"


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _of_attribute(node: ast.Call, name: str, context: Context) -> Iterator[tuple[int, str]]:
    """What is looked up by a text is judged as if it were written with a dot."""
    attribute = node.args[1] if len(node.args) > 1 else None
    if not (isinstance(attribute, ast.Constant) and isinstance(attribute.value, str)):
        level = ACTING if context.expression else REACHING
        yield level, f"{name} of a name that is only made when it runs"
        return
    if name != "getattr":
        yield REACHING, f"{name}: changes an object"
    for parts in _readings(node.args[0], context):
        whole = [*parts, attribute.value]
        yield from _of_parts(whole, f"{_dotted(whole)}: ")


def _of_open(node: ast.Call, words: Mapping[str | None, ast.expr], name: str) -> Iterator[tuple[int, str]]:
    builtin = name == "open"
    place = 1 if builtin else 0
    mode = words.get("mode") or (node.args[place] if len(node.args) > place else None)
    text = str(mode.value) if isinstance(mode, ast.Constant) else None
    # The first argument of another `open`, as of an image, need be no mode.
    unknown = mode is not None and text is None and builtin
    writes = unknown or (text is not None and not set(text) - set("rwaxbt+U") and bool(set(text) & set("wax+")))
    yield (ACTING, f"{name}: writes a file") if writes else (REACHING, f"{name}: reads a file")


def _of_text(text: str | bytes, context: Context) -> Iterator[tuple[int, str]]:
    if context.expression and isinstance(text, str):
        for inside in sorted(one for one in INSIDES if one in text):
            yield ACTING, f"{inside} within a text: reaches into Python's insides"
        if _DOTTED.fullmatch(text):
            # MONAI finds some of what it calls by such a text.
            yield from (one for one in _of_parts(text.split("."), f"'{text}': ") if one[0] == ACTING)
    if len(text) > _LONG_TEXT and len(text.split()) < len(text) / 100:
        yield ACTING, f"a text of {len(text):,} characters without words: may hide what it is"
