"""What Python evaluates when it reads a logging config: the classes of handlers and formatters, and their arguments."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path

from .configs import Text
from .judge import ACTING, REACHING, Context, Remark, dotted_of, judge
from .starts import read_start

__all__ = ["logging_of"]

_MOST_BYTES = 2**20


def logging_of(folder: Path, files: Iterable[str]) -> list[Text]:
    """List what Python evaluates in logging configs: the classes of handlers and formatters and their arguments."""
    return [text for file in files if file.endswith((".conf", ".ini", ".cfg")) for text in _logging(folder, file)]


def _logging(folder: Path, file: str) -> Iterator[Text]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        content = read_start(folder / file, _MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError("more than 1 MiB: too large for a logging config")
        parser.read_string(content.decode())
    except (configparser.Error, ValueError) as error:
        said = " ".join(str(error).split())
        yield Text(file, "", "unreadable", said, (Remark(ACTING, "could not be read and judged"),))
        return
    for section in parser.sections():
        if not section.startswith(("handler_", "formatter_")):
            continue
        for key in ("class", "args", "kwargs", "defaults"):
            text = parser.get(section, key, fallback=None)
            if text is not None:
                yield Text(file, f"{section}#{key}", "logging", text, tuple(_of_logging(key, text)))


def _of_logging(key: str, text: str) -> list[Remark]:
    if "%(" in text:
        return [Remark(ACTING, "takes in the text of another setting when it is read: not judged")]
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Remark(ACTING, "not Python as it stands: not judged")]
    if key == "class":
        return _of_class(text.strip())
    # Where the console's stream is named, nothing is reached that a handler does not reach anyway.
    parts = tree.body.elts if isinstance(tree.body, ast.Tuple) else [tree.body]
    return [] if all(dotted_of(part) in ("sys.stdout", "sys.stderr") for part in parts) else judge(tree, Context())


def _of_class(text: str) -> list[Remark]:
    name = text.removeprefix("logging.").removeprefix("handlers.")
    if name in ("StreamHandler", "NullHandler", "Formatter"):
        return []
    if name in ("FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler"):
        return [Remark(REACHING, "writes a file")]
    return [Remark(ACTING, "a class that is no plain handler of Python's logging")]
