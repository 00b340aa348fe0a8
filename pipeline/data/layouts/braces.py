"""Names of classes in braces, as in `seg/*_{liver,spleen}.nii.gz`: a pattern for each class."""

from __future__ import annotations

import re

from ..errors import InputError

__all__ = ["class_names", "expand_braces"]

_BRACES = re.compile(r"\{([^{}]*)\}")


def expand_braces(pattern: str) -> dict[str, str]:
    """Return the pattern of each class by its name, in the order of writing; empty if there are no braces.

    `*_{liver,spleen}.nii.gz` gives `*_liver.nii.gz` and `*_spleen.nii.gz`.

    Raises:
        InputError: the braces are not closed, nested or twice, or a name in them is empty, twice or has a wildcard.
    """
    if "{" not in pattern and "}" not in pattern:
        return {}
    start, end = pattern.find("{"), pattern.find("}")
    names = class_names(pattern)
    return {name: pattern[:start] + name + pattern[end + 1 :] for name in names}


def class_names(pattern: str) -> list[str]:
    """Return the names in a pattern's braces.

    Raises:
        InputError: as in `expand_braces`, or there are no braces.
    """
    groups = _BRACES.findall(pattern)
    names = [name.strip() for name in groups[0].split(",")] if groups else []
    if len(groups) != 1 or pattern.count("{") != 1 or pattern.count("}") != 1:
        found = "braces that are not closed, nested or twice" if "{" in pattern or "}" in pattern else "no braces"
    elif "" in names or len(set(names)) < len(names):
        found = "an empty name" if "" in names else "a name twice"
    elif any(sign in name for name in names for sign in "*?[]/+"):
        found = "a name with one of the signs * ? [ ] / +"
    elif "background" in (name.lower() for name in names):
        found = "a class named background, which is where no mask is"
    else:
        return names
    raise InputError(
        f"--labels {pattern}",
        found=found,
        expected="the names of the classes in one pair of braces, such as 'seg/*_{liver,spleen}.nii.gz'",
        remedy="correct the pattern, and put it in quotes",
    )
