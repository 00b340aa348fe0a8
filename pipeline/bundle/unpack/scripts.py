"""List a bundle's programs, besides its configs: Python, shell scripts, machine code, pickles."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

from .starts import describe_pickle, read_start
from .weights import is_weights

__all__ = ["Script", "is_installed", "list_scripts"]

_SCRIPTS = "scripts"  # put on the path by some bundles
_MAX_BYTES = 4 * 2**20
_KINDS = {
    ".sh": "a shell script",
    ".bash": "a shell script",
    ".bat": "a Windows script",
    ".cmd": "a Windows script",
    ".ps1": "a PowerShell script",
    ".ipynb": "a notebook",
    ".pyc": "compiled Python, which cannot be read here",
    ".so": "machine code",
    ".pyd": "machine code",
    ".dll": "machine code",
    ".dylib": "machine code",
    ".exe": "machine code",
    ".pkl": "a pickle: runs code when it is loaded",
    ".pickle": "a pickle: runs code when it is loaded",
    ".joblib": "a pickle: runs code when it is loaded",
    ".dill": "a pickle: runs code when it is loaded",
}
_TOOLS = {".vscode", ".vs", ".idea", ".devcontainer", ".envrc", ".husky", ".pre-commit-config.yaml"}
_TOOL = "settings of a tool, which can run programs when the folder is opened in it"
_STARTS = {
    b"\x7fELF": "machine code",
    b"MZ": "machine code",
    b"\xcf\xfa\xed\xfe": "machine code",
    b"\xca\xfe\xba\xbe": "machine code",
    b"#!": "a script that the system can start",
}


@dataclass(frozen=True)
class Script:
    """A file that is, or can be, a program.

    Attributes:
        file: its path, relative to the bundle's folder.
        kind: the kind of program, in words.
        size: bytes.
        lines: lines of text; None if it is not UTF-8 text, or larger than 4 MiB.
        sha256: hexadecimal digits.
        imports: top-level packages and modules that a Python script imports.
        notes: whether it can be imported instead of another module, or is not Python in spite of its name.
    """

    file: str
    kind: str
    size: int
    lines: int | None
    sha256: str
    imports: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def list_scripts(folder: Path, files: Iterable[str]) -> list[Script]:
    """List the programs among a bundle's files, without running or importing any.

    Args:
        folder: the bundle's folder.
        files: all its files, relative to that folder.
    """
    found = []
    for file in files:
        path = folder / file
        kind = _TOOL if _TOOLS & {part.casefold() for part in PurePosixPath(file).parts} else _kind(path)
        if kind is None:
            continue
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MAX_BYTES else None
        imports, notes = _read_python(content) if kind == "Python" else ((), ())
        shadowed = _find_shadowed_module(file)
        notes = (f"can be imported instead of the {shadowed}", *notes) if shadowed else notes
        found.append(Script(file, kind, size, _count_lines(content), _sha256(path), imports, notes))
    return found


def _kind(path: Path) -> str | None:
    if path.suffix.lower() in (".py", ".pyw"):
        return "Python"
    if path.suffix.lower() in _KINDS:
        return _KINDS[path.suffix.lower()]
    start = read_start(path, 4)
    known = next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)
    # Files of weights are reported with the weights.
    return known or (None if is_weights(path) else describe_pickle(path))


def _count_lines(content: bytes | None) -> int | None:
    try:
        return None if content is None or b"\0" in content else len(content.decode().splitlines())
    except UnicodeDecodeError:
        return None


def _read_python(content: bytes | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a script's imports, and notes on why they are unknown."""
    if content is None:
        return (), ("more than 4 MiB: its imports are not read",)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return (), (f"not valid Python ({type(error).__name__})",)
    imports = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    imports |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return tuple(sorted({name.partition(".")[0] for name in imports} - {"__future__"})), ()


def _find_shadowed_module(file: str) -> str:
    """Return the module that a script replaces when its folder is first on Python's path; "" for none."""
    parts = PurePosixPath(file).parts
    if parts == ("__init__.py",):
        return "module with the name of the bundle's folder"
    if parts[0] == _SCRIPTS and len(parts) > 1:
        parts = parts[1:]
    name = parts[0].partition(".")[0]
    importable = parts[-1].endswith((".py", ".pyc", ".so", ".pyd")) and len(parts) == 1
    taken = (importable or parts[1:] == ("__init__.py",)) and is_installed(name)
    return f"installed module {name}" if taken else ""


def is_installed(name: str) -> bool:
    """Return whether a module of this name is part of Python or installed."""
    return name in sys.stdlib_module_names or name in _installed_modules()


@cache
def _installed_modules() -> frozenset[str]:
    return frozenset(packages_distributions())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
