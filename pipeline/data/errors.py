"""Errors for people: what was found, what was expected and what to do, in one message instead of a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

_MAX_OTHERS = 10


class InputError(ValueError):
    """Something that the user gave (a file, a folder, a value in one) cannot be used as it is.

    It survives pickling, so it may be raised in a worker process.

    Args:
        where: the file, folder or key at fault.
        found: what is there.
        expected: what should be there.
        remedy: what the user can do about it.
        kind: one word for what is wrong, where the dataset check knows one: a key of `findings.SEVERITIES`.
        others: errors of the same kind in other places; they follow in the message, one line each, ten at most.
    """

    def __init__(
        self,
        where: str | Path,
        *,
        found: str,
        expected: str,
        remedy: str,
        kind: str = "",
        others: Sequence[InputError] = (),
    ) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.remedy = remedy
        self.kind = kind
        self.others = tuple(others)
        super().__init__(self._message())

    def __reduce__(self) -> tuple[Callable[[], InputError], tuple[()]]:
        # The inherited way calls the class with the message alone, which these keyword arguments refuse.
        again = partial(
            type(self),
            self.where,
            found=self.found,
            expected=self.expected,
            remedy=self.remedy,
            kind=self.kind,
            others=self.others,
        )
        return again, ()

    def _message(self) -> str:
        remedy = self.remedy if self.remedy.endswith("?") else f"{self.remedy.rstrip('.')}."
        message = f"{self.where}: found {self.found}; expected {self.expected}. What to do: {remedy}"
        if not self.others:
            return message
        lines = [f"  {other.where}: {other.found}" for other in self.others[:_MAX_OTHERS]]
        if len(self.others) > _MAX_OTHERS:
            lines.append(f"  … and {len(self.others) - _MAX_OTHERS} more")
        noun = "file" if len(self.others) == 1 else "files"
        return "\n".join([message, f"and {len(self.others)} more {noun} with problems:", *lines])


def explain_errors() -> None:
    """Make an uncaught `InputError` end the program with its message alone, without a traceback.

    A bundle config calls this in `initialize`. MONAI wraps whatever goes wrong while a config is evaluated in
    RuntimeErrors, so the whole chain of causes is searched. Every other exception reaches the hook that was there
    before. The exit status stays Python's own, 1. Calling it again changes nothing.
    """
    if not isinstance(sys.excepthook, _ExplainingHook):
        sys.excepthook = _ExplainingHook(sys.excepthook)


class _ExplainingHook:
    """An excepthook that knows its predecessor. A class, so that `explain_errors` recognises its own work."""

    def __init__(self, previous: Callable[[type[BaseException], BaseException, TracebackType | None], object]) -> None:
        self.previous = previous

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # Ctrl-C while an InputError is being handled is still Ctrl-C.
        explained = input_error_behind(error) if isinstance(error, Exception) else None
        if explained is None:
            self.previous(kind, error, trace)
        else:
            sys.stderr.write(f"error: {explained}\n")


def input_error_behind(error: BaseException | None) -> InputError | None:
    """Return the outermost InputError in the chain that Python itself would print, or None."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        seen.add(id(error))
        hidden = error.__suppress_context__
        error = error.__cause__ if error.__cause__ is not None or hidden else error.__context__
    return None
