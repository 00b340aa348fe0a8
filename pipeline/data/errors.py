"""Errors for users: found, expected and remedy in one message instead of a traceback."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing.process import parent_process
from pathlib import Path
from types import TracebackType

from ..disk import explain_disk_error, find_disk_error, is_broken
from ..streams import quiet_logging
from ..working_folder import find_removed

_MAX_OTHERS = 10
_MAX_FOUND = 2000  # characters of what is found; the content of a file must not fill the terminal


class InputError(ValueError):
    """An input (a file, a folder, or a value in one) cannot be used as it is.

    It can be pickled, so a worker process may raise it.

    Args:
        where: the file, folder or key at fault.
        found: what is there.
        expected: what should be there.
        remedy: what the user can do about it.
        kind: the kind of the problem, a key of `findings.SEVERITIES`; empty if the dataset check has none for it.
        others: errors in other files; the message ends with one line for each of the first ten.
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
        # Also read by findings, for tables and pages.
        self.found, self.expected, self.remedy = map(_escape, (found, expected, remedy))
        self.kind = kind
        self.others = tuple(others)
        super().__init__(self._message())

    def __reduce__(self) -> tuple[Callable[[], InputError], tuple[()]]:
        # The inherited method calls the class with the message alone, which fails for keyword arguments.
        rebuild = partial(
            type(self),
            self.where,
            found=self.found,
            expected=self.expected,
            remedy=self.remedy,
            kind=self.kind,
            others=self.others,
        )
        return rebuild, ()

    def _message(self) -> str:
        remedy = self.remedy if self.remedy.endswith("?") else f"{self.remedy.rstrip('.')}."
        found = self.found if len(self.found) <= _MAX_FOUND else f"{self.found[:_MAX_FOUND]}…"
        message = f"{self.where}: found {found}; expected {self.expected}. What to do: {remedy}"
        lines = [message, *self._describe_others()]
        return _escape("\n".join(lines))

    def _describe_others(self) -> list[str]:
        if not self.others:
            return []
        lines = [f"  {other.where}: {other.found}" for other in self.others[:_MAX_OTHERS]]
        if len(self.others) > _MAX_OTHERS:
            lines.append(f"  … and {len(self.others) - _MAX_OTHERS} more")
        noun = "file" if len(self.others) == 1 else "files"
        return [f"and {len(self.others)} more {noun} with problems:", *lines]


def _escape(text: str) -> str:
    """Return a text with codes for control characters: in a terminal they could hide or change the message."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else _code(sign) for sign in text)


def _code(sign: str) -> str:
    # Half of a pair is left to the stream, which knows whether it can write the file's name.
    return sign if unicodedata.category(sign) in ("Zs", "Cs") else repr(sign)[1:-1]


def explain_errors() -> None:
    """Make an uncaught `InputError`, or the error of a full disk, end the program with its message alone.

    A bundle config calls this in `initialize`. MONAI wraps errors of a config's evaluation in RuntimeErrors, so the
    whole chain of causes is searched. Every other exception goes to the previous hook. The exit status stays 1,
    Python's own. A second call has no effect.
    """
    if not isinstance(sys.excepthook, _ExplainingHook):
        quiet_logging()
        sys.excepthook = _ExplainingHook(sys.excepthook)


class _ExplainingHook:
    """An excepthook that keeps the previous one. It is a class so that `explain_errors` can recognise it."""

    def __init__(self, previous: Callable[[type[BaseException], BaseException, TracebackType | None], object]) -> None:
        self.previous = previous

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, ConnectionError | EOFError) and parent_process() is not None:
            # A loading process whose parent has ended: the parent has said why.
            return
        # Ctrl-C while an InputError is handled is still Ctrl-C.
        explained = (disk_message(error) or input_error_behind(error)) if isinstance(error, Exception) else None
        if explained is None:
            self.previous(kind, error, trace)
        else:
            sys.stderr.write(f"error: {explained}\n")


def disk_message(error: BaseException | None) -> str | None:
    """Return the message for a full or broken disk in the chain of causes, or None if there is none."""
    explained, found = input_error_behind(error), find_disk_error(error)
    if explained is None:
        return explain_disk_error(error)
    if found is None or is_broken(found.errno):
        # Mostly a file that cannot be read, or a folder that is read-only on purpose.
        return None
    # A message that names the disk also knows what was being written.
    return str(explained) if " disk" in explained.found else explain_disk_error(error, where=explained.where)


def removed_folder_error() -> InputError | None:
    """Return the error of a working folder that was removed while the process worked, or None if it is there."""
    gone = find_removed()
    if gone is None:
        return None
    return InputError(
        gone,
        found="no such folder any more, which this command was started in",
        expected="its working folder until the end: something else has removed it",
        remedy="start the command again in a folder that stays; what it had written elsewhere is whole",
    )


def raise_together(errors: Iterable[InputError]) -> None:
    """Raise the first of some errors, one for each file, with a line for each other file; nothing if there is none."""
    found = list(errors)
    if found:
        first = found[0]
        raise InputError(
            first.where,
            found=first.found,
            expected=first.expected,
            remedy=first.remedy,
            kind=first.kind,
            others=found[1:],
        )


def input_error_behind(error: BaseException | None) -> InputError | None:
    """Return the outermost InputError in the chain of causes that Python would print, or None."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        seen.add(id(error))
        hidden = error.__suppress_context__
        error = error.__cause__ if error.__cause__ is not None or hidden else error.__context__
    return None
