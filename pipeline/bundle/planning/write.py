"""Writes a plan as YAML, each reason in a comment beside its value, and the rest of a new bundle."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .choice import Choice

__all__ = ["plan_text"]

_WIDTH = 120
_COLUMN = 40


def plan_text(content: Mapping[str, Any], *, heading: str) -> str:
    """Give the text of a plan.yaml.

    Args:
        content: keys and values; values are plain, `Choice`, or mappings of these.
        heading: what the comment at the top says.
    """
    lines = [f"# {line}" for line in textwrap.wrap(heading, _WIDTH - 2)]
    return "\n".join([*lines, *_lines(content, indent=0)]) + "\n"


def _lines(content: Mapping[str, Any], *, indent: int) -> Iterator[str]:
    for key, item in content.items():
        if isinstance(item, Mapping) and any(isinstance(each, Choice | Mapping) for each in item.values()):
            yield f"{' ' * indent}{key}:"
            yield from _lines(item, indent=indent + 2)
        elif isinstance(item, Choice):
            yield from _explained(key, item, indent)
        else:
            yield from _plain(key, item, indent)


def _explained(key: str, choice: Choice, indent: int) -> Iterator[str]:
    """Put the reason beside a short value, or above where it does not fit on the line."""
    lines = list(_plain(key, choice.value, indent))
    beside = f"{lines[0]:<{_COLUMN}}  # {choice.reason}"
    if len(lines) == 1 and len(beside) <= _WIDTH:
        yield beside
        return
    for line in textwrap.wrap(choice.reason, _WIDTH - indent - 2):
        yield f"{' ' * indent}# {line}"
    yield from lines


def _plain(key: str, value: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(value, str) and len(value) + len(key) + indent > _WIDTH - 4:
        yield f"{margin}{key}: >-"
        yield from textwrap.wrap(value, _WIDTH, initial_indent=margin + "  ", subsequent_indent=margin + "  ")
        return
    if isinstance(value, list) and all(isinstance(each, str) for each in value) and len(str(value)) > _WIDTH:
        yield f"{margin}{key}:"
        yield from (f"{margin}- {_flow(each)}" for each in value)
        return
    if isinstance(value, Mapping) and sum(len(str(each)) for each in value.items()) > _WIDTH - 20:
        yield f"{margin}{key}:"
        yield from (f"{margin}  {_flow(name)}: {_flow(each)}" for name, each in value.items())
        return
    yield f"{margin}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    """Give a value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return str(text).removesuffix("\n").removesuffix("\n...").strip()
