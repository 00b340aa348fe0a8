"""What Python text would reach if it ran, judged by its syntax tree. Nothing is run.

This finds what is written openly and many of the ways around it. It proves nothing: Python can hide a call in endless
ways, which is why all expressions are listed and not only those that are marked here.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from .words import BUILTINS, INSIDES, KNOWN, LOOKS, PAIRS, WORDS

__all__ = ["ACTING", "CALLING", "PLAIN", "REACHING", "Context", "Remark", "imported_names", "judge", "level_of"]

PLAIN, CALLING, REACHING, ACTING = range(4)
"""From references and arithmetic, over calls, to what reaches the system or other code, and what acts on the machine."""

_LONG_TEXT = 1000


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
        names: what imports made known, by the name in use: ``{"dist": "torch.distributed"}``.
        own: modules that the bundle itself brings, such as ``scripts``.
        expression: it is a config's expression, which has less reason than a script to name Python's insides in a
            text or to look up what it only knows when it runs.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    own: Collection[str] = ()
    expression: bool = True


def imported_names(tree: ast.AST) -> dict[str, str]:
    """Return what a text's imports make known: the full dotted name by the name in use."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                names[one.asname or one.name.partition(".")[0]] = (
                    one.name if one.asname else one.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return names


def judge(tree: ast.AST, context: Context) -> list[Remark]:
    """Return what is notable in a tree, each once with its first line, the most notable first."""
    first: dict[tuple[int, str], int] = {}
    within: set[int] = set()
    for node in ast.walk(tree):
        # `os` in `os.path` is judged with what follows it; the walk comes to the whole name first.
        if id(node) in within:
            within.add(id(getattr(node, "value", None)))
            continue
        if isinstance(node, ast.Attribute):
            within.add(id(node.value))
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
    if isinstance(node, ast.Name):
        if node.id in BUILTINS and node.id not in context.names:
            yield BUILTINS[node.id]
        if node.id not in context.names:
            yield from _of_parts([node.id], f"{node.id}: ")
            return
    parts = _parts(node, context)
    if parts[0] in context.own:
        yield REACHING, f"runs the bundle's own code: {parts[0]}"
    yield from _of_parts(parts, f"{'.'.join(part for part in parts if part)}: ")


def _of_parts(parts: list[str], prefix: str) -> Iterator[tuple[int, str]]:
    for part in parts:
        if part in INSIDES:
            yield ACTING, f"{part}: reaches into Python's insides"
    pairs = [f"{left}.{right}" for left, right in zip(parts, parts[1:], strict=False)]
    told = [PAIRS[pair] for pair in pairs if pair in PAIRS]
    harmless = any(pair in LOOKS for pair in pairs)
    # What is known of `os.system` says more than what is known of `os`.
    told = told or [WORDS[part] for part in parts if part in WORDS and not (harmless and part == "os")]
    yield from ((level, f"{prefix}{what}") for level, what in told)


def _parts(node: ast.AST, context: Context) -> list[str]:
    """Return ``a.b.c`` as a list, its first name replaced by what it was imported from; "" where that is no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ["", *reversed(parts)]
    return [*context.names.get(node.id, node.id).split("."), *reversed(parts)]


def _of_call(node: ast.Call, context: Context) -> Iterator[tuple[int, str]]:
    parts = _parts(node.func, context)
    name = ".".join(part for part in parts if part) or "what an expression gives"
    yield CALLING, f"calls {name}"
    words = {one.arg: one.value for one in node.keywords}
    if name in ("getattr", "setattr", "delattr"):
        yield from _of_attribute(node, name, context)
    elif name == "open" or parts[-1] == "open":
        yield from _of_open(node, words, name)
    elif name in ("torch.load", "torch.serialization.load"):
        only = words.get("weights_only")
        if only is None:
            yield REACHING, f"{name} without weights_only, which PyTorch before 2.6 takes as leave to run pickles"
        elif not (isinstance(only, ast.Constant) and only.value is True):
            yield ACTING, f"{name} with weights_only other than True: loads pickles, which run code"
    elif parts[-1] == "load" and "allow_pickle" in words:
        yield ACTING, f"{name} with allow_pickle: loads pickles, which run code"
    elif name in ("yaml.load", "yaml.load_all"):
        loader = words.get("Loader") or (node.args[1] if len(node.args) > 1 else None)
        if loader is None or "Safe" not in ast.unparse(loader):
            yield ACTING, f"{name} without a safe loader: makes any object that the file names"


def _of_attribute(node: ast.Call, name: str, context: Context) -> Iterator[tuple[int, str]]:
    """What is looked up by a text is judged as if it were written with a dot."""
    attribute = node.args[1] if len(node.args) > 1 else None
    if not (isinstance(attribute, ast.Constant) and isinstance(attribute.value, str)):
        level = ACTING if context.expression else REACHING
        yield level, f"{name} of a name that is only made when it runs"
        return
    if name != "getattr":
        yield REACHING, f"{name}: changes an object"
    parts = [*_parts(node.args[0], context), attribute.value]
    yield from _of_parts(parts, f"{'.'.join(part for part in parts if part)}: ")


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
    if len(text) > _LONG_TEXT and len(text.split()) < len(text) / 100:
        yield ACTING, f"a text of {len(text):,} characters without words: may hide what it is"
