"""Find what MONAI's configs evaluate: expressions, references, macros and the keys of components.

Plans, studies and datalists are data, but their names and values become part of configs. There ``$`` starts a Python
expression, ``@`` a reference, ``%`` a macro, which reads other files, and ``_target_`` names a class to call.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["EXPECTED", "find_evaluated", "find_nameless", "is_evaluated"]

EXPECTED = "a name or value that does not start with $, @ or % and is not a reserved key of MONAI's configs"

_EVALUATED = re.compile(r"[$@%].*|_(target|disabled|requires|desc|mode)_", re.DOTALL)
# Without a name after it MONAI takes "@" for the whole config, and evaluates all of it: it builds every component.
_NAMELESS = re.compile(r"@(?!\w)")


def is_evaluated(text: str) -> bool:
    """Return whether a config would evaluate a text, or take it for a key of a component."""
    return _EVALUATED.fullmatch(text) is not None


def find_evaluated(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the texts in a value that a config would evaluate, at any depth, each with the keys that lead to it.

    Args:
        value: mappings, lists and scalars, as YAML or JSON has them.
        keys: those that lead to the value itself.
    """
    if isinstance(value, Mapping):
        for key, entry in value.items():
            if isinstance(key, str) and is_evaluated(key):
                yield (*keys, key), key
            yield from find_evaluated(entry, (*keys, str(key)))
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from find_evaluated(entry, (*keys, str(number)))
    elif isinstance(value, str) and is_evaluated(value):
        yield keys, value


def find_nameless(value: Any) -> str | None:
    """Return the first place in a config, such as ``train::handlers::2``, whose ``@`` has no name; None without one."""
    for keys, text in find_evaluated(value):
        # In an expression it may stand anywhere, such as Python's product of matrices.
        if _NAMELESS.search(text) if text.startswith("$") else text == "@":
            return "::".join(keys)
    return None
