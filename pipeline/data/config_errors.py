"""Turn MONAI's errors about a config into messages. Needs neither torch nor MONAI."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ..disk import find_disk_error
from .errors import InputError, input_error_behind

__all__ = ["explain_config_error", "explain_config_errors"]

# MONAI's messages about a part of a config.
_EXPRESSION = re.compile(r"Failed to evaluate ConfigExpression:\s*'?(.*?)'?\s*$", re.DOTALL)
_COMPONENT = re.compile(r"Failed to instantiate component '([^']+)'")
_TARGET = re.compile(r"Cannot locate class or function path: '([^']*)'")
_ENGINES = re.compile(r"(monai|ignite)[/\\\\]engines?[/\\\\]")
_MAX_PART = 120
_MAX_REASON = 300


@contextmanager
def explain_config_errors(where: str, *, running: bool = False) -> Iterator[None]:
    """Raise an InputError for a config that cannot be evaluated, instead of MONAI's chain of errors.

    Args:
        where: the config's files, for the message.
        running: whether the block also runs the engine of the config. Errors of what it computes are raised again.

    Raises:
        InputError: see `explain_config_error`. Errors that it does not explain are raised again.
    """
    try:
        yield
    except Exception as error:
        if running and input_error_behind(error) is None and any(map(_is_of_engine, _chain_of(error))):
            raise
        explained = explain_config_error(error, where)
        if explained is error:
            raise
        raise explained from error


def explain_config_error(error: Exception, where: str) -> Exception:
    """Return the InputError behind an error of MONAI's, or else one that names the expression and its error.

    Errors of memory, of a full disk, and of packages that are missing on purpose, are returned as they are. Of an error
    about a file that one is returned.
    """
    explained = input_error_behind(error)
    if explained is not None:
        return explained
    chain = _chain_of(error)
    of_file = next((one for one in chain if isinstance(one, OSError) and one.filename is not None), None)
    # The error of a full disk often names no file. Its message finds that in the functions that raised it.
    if of_file is not None or find_disk_error(error) is not None or any(map(_is_of_machine, chain)):
        return of_file or error
    return InputError(
        where,
        found=f"{_find_part(chain)} ({type(chain[-1]).__name__}: {_shorten(str(chain[-1]), _MAX_REASON)})",
        expected="a config that MONAI can evaluate",
        remedy="correct that key, or its override; lightskip render BUNDLE writes the configs again",
    )


def _is_of_engine(error: BaseException) -> bool:
    """Return whether an error was raised while an engine ran: by what it computed, not by a part that was made."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name == "run" and _ENGINES.search(frame.f_code.co_filename) for frame, _ in frames)


def _chain_of(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, the first cause last."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _find_part(chain: list[BaseException]) -> str:
    """Return the innermost expression or component of a config that an error names."""
    for one in reversed(chain):
        text = str(one)
        if found := _EXPRESSION.search(text):
            return f"{_shorten(found[1], _MAX_PART)}, which cannot be evaluated"
        if found := _COMPONENT.search(text):
            return f"{_shorten(found[1], _MAX_PART)}, which cannot be built"
        if found := _TARGET.search(text):
            return f"{_shorten(found[1], _MAX_PART)}, which is no class or function"
        if isinstance(one, SyntaxError):
            return f"{_shorten(one.text or '', _MAX_PART)}, which is no expression"
    return "a value that cannot be used"


def _shorten(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]}…"


def _is_of_machine(error: BaseException) -> bool:
    """Return whether an error says nothing about the config: too little memory, or an optional package."""
    if isinstance(error, ImportError):
        return (error.name or "").partition(".")[0] == "matplotlib"
    # PyTorch's own class would have to be imported.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
