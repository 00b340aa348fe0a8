"""Classes and functions that configs name in `_target_`: what each is, and what it would do when it is called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from keyword import iskeyword
from typing import Any

from .ids import Table, absolute, name_of, parsed, reference_of
from .judge import ACTING, CALLING, REACHING, Context, Remark, judge
from .library import is_helper, is_of_monai, is_usual
from .reading import Node, Pairs

__all__ = ["of_target"]

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_TAIL = re.compile(r"(@[\w:]*\w)((?:\.[^\W\d]\w*)*)")
_LIBRARIES = ("monai", "torch", "ignite", "numpy", "np")
_HOPS = 20
_HELPERS = ("reader", "writer", "merger_cls")
_NAMELESS = Remark(ACTING, "a class or function that is only known when it runs")


def of_target(node: Node, table: Table, context: Context) -> tuple[str, list[Remark]]:
    """Judge a `_target_` as a call of what it names, with what stands beside it.

    Returns:
        Its name where that is an ordinary one of MONAI, PyTorch or Ignite, else ""; and what is notable.
    """
    if not isinstance(node.value, str) or table.is_crowded(node.path):
        return "", [_NAMELESS]
    beside = {key: values for key, values in table.beside(node.path).items() if not _is_own(key)}
    names = list(dict.fromkeys(_meant(absolute(node.value, node.path), table, _HOPS)))
    remarks = [*_of_arguments(beside), *([_NAMELESS] if None in names or not names else [])]
    for name in names:
        remarks += _of_name(name, beside, context) if name else []
    remarks += _of_helpers(node, beside, table, context)
    if node.afar:
        remarks.append(Remark(REACHING, "is put there by a key elsewhere"))
    remarks = sorted(dict.fromkeys(remarks), key=lambda one: -one.level)
    plain = node.value if names == [node.value] and is_usual(node.value) and not remarks else ""
    return plain, remarks


def _is_own(key: str) -> bool:
    return key in ("_target_", "_disabled_", "_requires_", "_desc_", "_mode_")


def _meant(text: str, table: Table, hops: int, tail: str = "") -> Iterator[str | None]:
    """Yield the names that a `_target_` can stand for; None for what is only known when it runs."""
    expression = text.startswith("$")
    body = text[1:].strip() if expression else text
    if hops == 0:
        yield None
    elif (match := _TAIL.fullmatch(body)) and (expression or not match[2]):
        yield from _referred(match[1], match[2] + tail, table, hops)
    elif not expression and (reference := reference_of(text)):
        yield from _referred("@" + "::".join(reference), tail, table, hops)
    elif _DOTTED.fullmatch(body) and (expression or not tail) and not body.startswith("reference_"):
        yield body + tail
    else:
        yield None


def _referred(reference: str, tail: str, table: Table, hops: int) -> Iterator[str | None]:
    path = reference_of(reference) or ()
    found = False
    for here, value in table.meant(path):
        found = True
        if isinstance(value, Pairs) and table.is_component(here):
            # What was made there, or a part of it: the class itself is judged where it is named.
            yield name_of(path) + tail
        elif not isinstance(value, str):
            yield None
        elif value.startswith("$") and _is_import(value, here):
            yield name_of(path) + tail
        else:
            yield from _meant(absolute(value, here), table, hops - 1, tail)
    if not found:
        yield None


def _is_import(text: str, path: tuple[str, ...]) -> bool:
    tree = parsed(text, path)
    first = next(ast.iter_child_nodes(tree), None) if isinstance(tree, ast.AST) else None
    return isinstance(first, ast.Import | ast.ImportFrom)


def _of_name(name: str, beside: dict[str, list[Any]], context: Context) -> list[Remark]:
    root, dot, rest = name.partition(".")
    if not _DOTTED.fullmatch(name) or any(iskeyword(part) for part in name.split(".")):
        return [_NAMELESS]
    if root.startswith("reference_"):
        # What is made by a config, or imported by one.
        meanings = context.names.get(root, ())
        told = [one for meaning in sorted(meanings) for one in _of_meaning(meaning + dot + rest, beside, context)]
        return [*told, *_of_calls(name, beside, context), Remark(CALLING, "calls what a reference gives")]
    remarks = _of_calls(name, beside, context)
    if root in context.own or is_usual(name):
        return remarks
    if dot and root not in _LIBRARIES:
        return [*remarks, Remark(REACHING, f"code of the package {root}")]
    if dot or is_of_monai(name):
        return [*remarks, Remark(REACHING, f"of {root if dot else 'MONAI'}, but none of the classes that are usual")]
    return [*remarks, Remark(REACHING, "not MONAI's: Python's own, or a module of that name")]


def _of_meaning(name: str, beside: dict[str, list[Any]], context: Context) -> list[Remark]:
    # References to references were followed before; what is left of them goes in a circle.
    return [] if name.startswith("reference_") else _of_name(name, beside, context)


def _of_calls(name: str, beside: dict[str, list[Any]], context: Context) -> list[Remark]:
    """Judge calls with what stands beside a `_target_` as their arguments, until each value has been one."""
    remarks = []
    function = ast.parse(name, mode="eval").body
    for number in range(max([1, *map(len, beside.values())])):
        words = [ast.keyword(key, _constant(values[number % len(values)])) for key, values in beside.items()]
        remarks += judge(ast.Call(function, [], words), context)
    return [one for one in remarks if one.level >= REACHING]


def _constant(value: Any) -> ast.expr:
    """Return a value as Python has it; a name for what is only known when it runs."""
    if isinstance(value, str) and value.lower() in ("true", "false", "yes", "no", "on", "off"):
        return ast.Constant(value.lower() in ("true", "yes", "on"))
    if isinstance(value, list) or (isinstance(value, str) and value.startswith(("$", "@", "%"))):
        return ast.Name("unknown", ast.Load())
    return ast.Constant(value)


def _of_helpers(node: Node, beside: dict[str, list[Any]], table: Table, context: Context) -> Iterator[Remark]:
    """What MONAI looks up by a name that is an argument: any function of any module, where it has none of that name."""
    for key in _HELPERS:
        place = (*node.path[:-1], key)
        values = [*beside.get(key, ()), *(one for many in table.beside((*place, "0")).values() for one in many)]
        for text in (value for value in values if isinstance(value, str)):
            for name in _meant(absolute(text, place), table, _HOPS):
                if name is None:
                    yield Remark(ACTING, f"with {key}: {_NAMELESS.what}")
                elif not (is_helper(name) or is_usual(name)):
                    yield from (Remark(one.level, f"with {key}: {one.what}") for one in _of_name(name, {}, context))


def _of_arguments(beside: dict[str, list[Any]]) -> Iterator[Remark]:
    """What an argument's name says, whatever is called."""
    told = {key: [_constant(value) for value in values] for key, values in beside.items()}
    for key, values in told.items():
        for value in values:
            off = isinstance(value, ast.Constant) and not value.value
            if (key == "allow_pickle" and not off) or (
                key == "weights_only" and not (isinstance(value, ast.Constant) and value.value is True)
            ):
                yield Remark(ACTING, f"with {key}: loads pickles, which run code")
            elif key in ("pretrained", "download") and not off:
                yield Remark(REACHING, f"with {key}: may fetch from the network")
            elif key == "_debug_" and not off:
                yield Remark(REACHING, "stops in the debugger")
