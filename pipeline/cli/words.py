"""Parsers of arguments that several verbs share."""

from __future__ import annotations

import argparse
import ast
from typing import Any

__all__ = ["setting"]


def setting(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE``, an override of a config; a value that is not a Python literal is text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE, such as skip=concat")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
