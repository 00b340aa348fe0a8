"""Read YAML with the line of each key, so that an error can name the line to edit.

Every file of YAML is read here, by PyYAML's safe loader, with limits of size, depth and number of values.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from ..plain_file import open_plain
from .errors import InputError

__all__ = ["Keys", "Lines", "Loader", "line_of", "parse_yaml", "read_yaml"]

Keys = tuple[str, ...]
Lines = dict[Keys, int]

_MAX_BYTES = 2**20  # of which PyYAML reads some 100,000 in a second
_MAX_DEPTH = 50
_MAX_VALUES = 100_000
_MAX_INTEGER = 2**63


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also reads ``1e-3`` as a number, as YAML 1.2 does; PyYAML reads a string.

    A value that cannot be read, such as a number of 5,000 digits, raises a `yaml.YAMLError` with its line. So does an
    integer of more than 64 bits, which no setting needs and arrays cannot hold.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: D102
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _make_error(f"a value that cannot be read as {kind} ({error})", node.start_mark) from error
        if isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER:
            raise _make_error("an integer of more than 64 bits", node.start_mark)
        return value


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(file: Path, *, loader: type[yaml.SafeLoader] = Loader) -> tuple[dict[str, Any], Lines]:
    """Read a YAML file whose top level is a mapping.

    Args:
        file: the file, UTF-8.
        loader: turns the text into nodes and values, with its own tags if it has any.

    Returns:
        The content, and the line (from 1) of each path of keys; list items have their index as key, as text.

    Raises:
        InputError: the file cannot be read, is not YAML, is not a mapping, or has a key twice in one mapping.
    """
    text = _read_text(file)
    lines: Lines = {}
    duplicates: list[str] = []
    content = _read_content(file, text, loader, lines, duplicates)
    if not isinstance(content, dict):
        raise InputError(
            file,
            found="an empty file" if content is None else f"a {type(content).__name__} at the top level",
            expected="a mapping: `key: value` lines",
            remedy="write the keys at the left margin",
        )
    if duplicates:
        raise InputError(
            file,
            found="; ".join(duplicates),
            expected="each key once",
            remedy="remove the wrong one",
        )
    return content, lines


def parse_yaml(text: str) -> Any:
    """Return the content of YAML, for callers that have words of their own for a damaged file.

    Raises:
        ValueError: the text is no YAML, or has too many levels or values.
    """
    try:
        return _parse(Loader(text), {}, [])
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _read_content(file: Path, text: str, loader: type[yaml.SafeLoader], lines: Lines, duplicates: list[str]) -> Any:
    try:
        return _parse(loader(text), lines, duplicates)
    except yaml.YAMLError as error:
        raise InputError(
            _error_place(file, text, error),
            found=f"text that is not YAML: {getattr(error, 'problem', None) or getattr(error, 'reason', error)}",
            expected="YAML: `key: value` lines, nested by indentation with spaces",
            remedy="correct the text at that place, or just above it",
        ) from error


def line_of(lines: Lines, path: Keys) -> int:
    """Return the line of a path, or of the nearest mapping around it if the path is not in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _read_text(file: Path) -> str:
    try:
        with open_plain(file) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            file,
            found=f"no readable file ({error.strerror})",
            expected="a YAML file",
            remedy="check the path",
        ) from error
    if len(content) > _MAX_BYTES:
        raise InputError(
            file,
            found=f"more than {_MAX_BYTES // 2**20} MiB",
            expected="a YAML file that a person can read",
            remedy="name the right file",
        )
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}, line {content.count(bytes([10]), 0, error.start) + 1}",
            found=f"a byte that is not UTF-8 at position {error.start}",
            expected="UTF-8 text",
            remedy="save the file as UTF-8",
        ) from error


def _parse(reader: yaml.SafeLoader, lines: Lines, duplicates: list[str]) -> Any:
    """Return the content; add the lines of its keys to ``lines``, and repeated keys to ``duplicates``."""
    try:
        node = reader.get_single_node()
        if node is not None:
            _collect_lines(node, (), lines, duplicates, [0])
        return reader.construct_document(node) if node is not None else None
    except RecursionError as error:
        raise _make_error(f"more than {_MAX_DEPTH} levels", reader.get_mark()) from error
    finally:
        reader.dispose()


def _error_place(file: Path, text: str, error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"{file}, line {text.count(chr(10), 0, error.position) + 1}"
    mark = getattr(error, "problem_mark", None)
    return str(file) if mark is None else f"{file}, line {mark.line + 1}, column {mark.column + 1}"


def _make_error(problem: str, mark: yaml.Mark) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _collect_lines(node: yaml.Node, path: Keys, lines: Lines, duplicates: list[str], count: list[int]) -> None:
    # An alias can contain itself, and nested lists of aliases can have billions of values. The lines cannot be counted
    # instead: repeated keys have only one.
    count[0] += 1
    if len(path) > _MAX_DEPTH:
        raise _make_error(f"more than {_MAX_DEPTH} levels", node.start_mark)
    if count[0] > _MAX_VALUES:
        raise _make_error(f"more than {_MAX_VALUES:,} values", node.start_mark)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _make_error("a key that is no text", key.start_mark)
            child = (*path, str(key.value))
            line = key.start_mark.line + 1
            if child in lines:
                duplicates.append(f"{'.'.join(child)} twice, on lines {lines[child]} and {line}")
            lines.setdefault(child, line)
            _collect_lines(value, child, lines, duplicates, count)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            child = (*path, str(i))
            lines[child] = item.start_mark.line + 1
            _collect_lines(item, child, lines, duplicates, count)
