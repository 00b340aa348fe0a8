"""Read JSON from outside: every mistake in it is one error with its line and column.

Refused as well is what Python's parser accepts, but what breaks later: repeated keys, deep nesting, integers of more
than 64 bits, and text that is none. Needs nothing but Python.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..plain_file import open_plain
from .errors import InputError

__all__ = ["MAX_DEPTH", "JsonError", "load_json", "parse_json", "read_json"]

MAX_DEPTH = 100
"""The most mappings and lists within each other. Python's own functions fail at some 1,000."""
_MAX_BYTES = 256 * 2**20
_MAX_INTEGER = 2**63
_MAX_DIGITS = 19  # of such an integer
_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|(?P<number>-?(?:\d[\d.eE+-]*|Infinity)|NaN)|(?P<sign>[][{}])'
)
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """Text that is not JSON, or JSON that nothing here can use.

    Attributes:
        problem: what is wrong.
        line: its line, from 1; None if it has none.
        column: its column, from 1; None if it has none.
    """

    def __init__(self, problem: str, line: int | None = None, column: int | None = None, *, detail: str = "") -> None:
        self.problem, self.line, self.column = problem, line, column
        place = "" if line is None else f" at line {line}, column {column}"
        super().__init__(f"{problem}{place}{detail}")


class _RefusedError(Exception):
    """A value that is refused; its place is looked up then."""


def read_json(
    file: str | Path,
    *,
    expected: str = "a JSON file",
    remedy: str = "correct the file, or name another one",
    constants: bool = False,
) -> Any:
    """Return the content of a JSON file; a byte order mark is no mistake.

    Args:
        file: the file, UTF-8, at most 256 MiB.
        expected: what the file should be, for the message.
        remedy: what to do about an unusable file, for the message.
        constants: whether NaN, Infinity and numbers above 1.8e308 are accepted.

    Raises:
        InputError: the file cannot be read, or is no such JSON; with line and column.
    """
    try:
        return load_json(file, constants=constants)
    except OSError as error:
        found = f"no readable file ({error.strerror})"
        raise InputError(file, found=found, expected=expected, remedy=remedy) from error
    except JsonError as error:
        advice = remedy if error.line is None else f"correct line {error.line}, or {remedy}"
        raise InputError(file, found=str(error), expected=expected, remedy=advice) from error


def load_json(file: str | Path, *, constants: bool = True) -> Any:
    """Return the content of a JSON file, for callers that have words of their own for a damaged file.

    Raises:
        OSError: it cannot be read.
        JsonError: it is no JSON that can be used; a ValueError.
    """
    with open_plain(Path(file).expanduser()) as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise JsonError(f"more than {_MAX_BYTES // 2**20} MiB")
    return parse_json(content, constants=constants)


def parse_json(text: str | bytes, *, constants: bool = True) -> Any:
    """Return the content of JSON.

    Args:
        text: the text, or its bytes in UTF-8.
        constants: whether NaN, Infinity and numbers above 1.8e308 are accepted.

    Raises:
        JsonError: it is no JSON, has a key twice in one mapping, more than `MAX_DEPTH` levels, an integer of more than
            64 bits, or a text with half a sign.
    """
    if isinstance(text, bytes):
        text = _decode(text)
    try:
        content = json.loads(
            text,
            object_pairs_hook=_make_mapping,
            parse_int=_parse_integer,
            parse_constant=None if constants else _refuse,
            parse_float=None if constants else _parse_float,
        )
        _check_depth(content)
        if _LONE_SURROGATE.search(text):
            # Half of a pair has no bytes; those of Python's names for files that are not UTF-8 have.
            json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except json.JSONDecodeError as error:
        raise JsonError("invalid JSON", error.lineno, error.colno, detail=f" ({error.msg})") from error
    except (_RefusedError, RecursionError, UnicodeEncodeError) as error:
        raise _find_refused(text, constants=constants) from error
    return content


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        raise JsonError("a file that is not text in UTF-8", line, error.start - before.rfind(b"\n")) from error


def _make_mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _RefusedError
    return content


def _parse_integer(text: str) -> int:
    if len(text) > _MAX_DIGITS + 1 or not _is_small(int(text)):
        raise _RefusedError
    return int(text)


def _is_small(number: int) -> bool:
    return -_MAX_INTEGER <= number < _MAX_INTEGER


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _RefusedError
    return number


def _refuse(name: str) -> None:
    raise _RefusedError(name)


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        inside: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                inside += one.values()
            elif isinstance(one, list):
                inside += one
        level = [one for one in inside if isinstance(one, dict | list)]
        if not level:
            return
    raise _RefusedError


def _find_refused(text: str, *, constants: bool) -> JsonError:
    """Return the error of the first refused value of a text. It is slow, and used only for a text with one."""
    keys: list[set[str]] = []
    for match in _TOKEN.finditer(text):
        problem = ""
        if match["sign"] in ("[", "{"):
            keys.append(set())
            problem = f"more than {MAX_DEPTH} levels" if len(keys) > MAX_DEPTH else ""
        elif match["sign"]:
            del keys[-1:]
        elif match["text"]:
            problem = _judge_text(match["text"], keys[-1] if match["colon"] and keys else None)
        elif match["number"]:
            problem = _judge_number(match["number"], constants=constants)
        if problem:
            start = match.start()
            return JsonError(problem, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
    return JsonError(f"JSON of more than {MAX_DEPTH} levels")


def _judge_text(text: str, keys: set[str] | None) -> str:
    """Return what is wrong with a text, which is a key if there are keys of the same mapping before it."""
    value = json.loads(text, strict=False)
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return f"a text with half a sign ({text:.40})"
    if keys is None:
        return ""
    if value in keys:
        return f'the key "{value:.80}" twice in one mapping'
    keys.add(value)
    return ""


def _judge_number(text: str, *, constants: bool) -> str:
    if text.lstrip("-").isdigit():
        if len(text) <= _MAX_DIGITS + 1 and _is_small(int(text)):
            return ""
        return f"an integer of {len(text.lstrip('-'))} digits, which is more than 64 bits"
    try:
        finite = math.isfinite(float(text))
    except ValueError:
        return ""
    return "" if finite or constants else f"{text:.40}, which is no finite number"
