"""Say what is wrong with a value of a study file, in the file's own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["explain_problem", "shorten"]

_MAX_FOUND = 80


def explain_problem(details: Mapping[str, Any]) -> str:
    """Return what a value should be, from an entry of Pydantic's ``ValidationError.errors()``."""
    message = re.sub(r"^(Input|String|List) should", "should", details["msg"])
    message = re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping: `key: value`", message)
    return message.replace("a valid list", "a list, such as [a, b]")


def shorten(value: Any) -> str:
    """Return a value as Python writes it, cut off if it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_FOUND else text[:_MAX_FOUND] + "..."
