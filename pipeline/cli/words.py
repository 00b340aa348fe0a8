"""What several verbs read from the command line in the same way."""

from __future__ import annotations

import argparse
import ast
from typing import Any

__all__ = ["setting"]


def setting(text: str) -> tuple[str, Any]:
    """Read ``KEY=VALUE``, an override of a config; the value is Python's, or else text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE, such as skip=concat")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
