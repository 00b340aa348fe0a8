"""Write a plan as YAML, with the reason for each value in a comment next to it or above it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from .choice import Choice

__all__ = ["plan_text"]

_WIDTH = 120
_COLUMN = 40


class _Dumper(yaml.SafeDumper):
    """Write a text with line ends quoted, on one line."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if len(text.splitlines()) > 1 else None)


_Dumper.add_representer(str, _represent_text)


def plan_text(content: Mapping[str, Any], *, heading: str) -> str:
    """Return the text of a plan.yaml.

    Args:
        content: keys and values; values are plain, `Choice`, or mappings of these.
        heading: the text of the comment at the top.
    """
    lines = [f"# {line}" for line in textwrap.wrap(heading, _WIDTH - 2)]
    return "\n".join([*lines, *_lines(content, indent=0)]) + "\n"


def _lines(content: Mapping[str, Any], *, indent: int) -> Iterator[str]:
    for key, item in content.items():
        if isinstance(item, Mapping) and any(isinstance(each, Choice | Mapping) for each in item.values()):
            yield f"{' ' * indent}{key}:"
            yield from _lines(item, indent=indent + 2)
        elif isinstance(item, Choice):
            yield from _lines_with_reason(key, item, indent)
        else:
            yield from _lines_of_value(key, item, indent)


def _lines_with_reason(key: str, choice: Choice, indent: int) -> Iterator[str]:
    """Yield the lines of a value with its reason: on the same line where it fits, else above it."""
    lines = list(_lines_of_value(key, choice.value, indent))
    # Names of labels and channels may contain line ends and other control characters.
    reason = " ".join("".join(each if each.isprintable() else " " for each in choice.reason).split())
    with_reason = f"{lines[0]:<{_COLUMN}}  # {reason}"
    if len(lines) == 1 and len(with_reason) <= _WIDTH:
        yield with_reason
        return
    for line in textwrap.wrap(reason, _WIDTH - indent - 2, break_on_hyphens=False):
        yield f"{' ' * indent}# {line}"
    yield from lines


def _lines_of_value(key: str, value: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(value, str) and len(value) + len(key) + indent > _WIDTH - 4 and _is_plain_text(value):
        yield f"{margin}{key}: >-"
        # Lines break at spaces only: folding turns each line end into one space again.
        lines = textwrap.wrap(value, _WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
        yield from (f"{margin}  {line}" for line in lines)
        return
    if isinstance(value, list) and all(isinstance(each, str) for each in value) and len(str(value)) > _WIDTH:
        yield f"{margin}{key}:"
        yield from (f"{margin}- {_format_flow(each)}" for each in value)
        return
    if isinstance(value, Mapping) and sum(len(str(each)) for each in value.items()) > _WIDTH - 20:
        yield f"{margin}{key}:"
        # YAML requires a ? before a long key.
        yield from (
            f"{margin}  {_format_flow(name)}: {_format_flow(each)}"
            if len(_format_flow(name)) < _WIDTH
            else f"{margin}  ? {_format_flow(name)}\n{margin}  : {_format_flow(each)}"
            for name, each in value.items()
        )
        return
    yield f"{margin}{key}: {_format_flow(value)}"


def _is_plain_text(value: str) -> bool:
    return value.isprintable() and " ".join(value.split()) == value


def _format_flow(value: Any) -> str:
    """Return a value on one line."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9)
    return str(text).removesuffix("\n").removesuffix("\n...").strip()
