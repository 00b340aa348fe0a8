"""What of a bundle is a program besides its configs: Python, shells, machine code, pickles."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

from .judge import ACTING, CALLING, REACHING, Context, Remark, imported_names, judge, level_of
from .starts import pickled, read_start
from .weights import is_weights

__all__ = ["Script", "is_installed", "own_modules", "scripts_of"]

_SCRIPTS = "scripts"  # put on the path by some bundles
_MOST_BYTES = 4 * 2**20
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
        file: its path, from the bundle's folder.
        kind: what it is, in words.
        size: bytes.
        sha256: hexadecimal digits.
        imports: packages and modules that it imports, their first names.
        remarks: what is notable, the most notable first.
    """

    file: str
    kind: str
    size: int
    sha256: str
    imports: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def level(self) -> int:
        """The highest level among the remarks."""
        return level_of(self.remarks)


def own_modules(files: Iterable[str]) -> frozenset[str]:
    """Return what becomes importable with the bundle's folder, or `scripts` in it, on Python's path."""
    python = [PurePosixPath(file).parts for file in files if file.endswith((".py", ".pyc", ".so", ".pyd"))]
    tops = {parts[0] for parts in python} | {parts[1] for parts in python if parts[0] == _SCRIPTS and len(parts) > 1}
    return frozenset(name.partition(".")[0] for name in tops) - {"__init__"}


def scripts_of(folder: Path, files: Iterable[str]) -> list[Script]:
    """List the programs among a bundle's files, without running or importing any.

    Args:
        folder: the bundle's folder.
        files: all its files, from that folder.
    """
    files = list(files)
    # With `scripts` on Python's path, too, a script's neighbours are importable by their own names.
    own = own_modules(files) | {PurePosixPath(file).stem for file in files if file.endswith(".py")}
    found = []
    for file in files:
        path = folder / file
        kind = _TOOL if _TOOLS & {part.casefold() for part in PurePosixPath(file).parts} else _kind(path)
        if kind is None:
            continue
        content = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
        imports, remarks = _python(content, own) if kind == "Python" else ((), [Remark(ACTING, kind)])
        found.append(Script(file, kind, path.stat().st_size, _sha256(path), imports, (*_shadows(file), *remarks)))
    return found


def _kind(path: Path) -> str | None:
    if path.suffix.lower() in (".py", ".pyw"):
        return "Python"
    if path.suffix.lower() in _KINDS:
        return _KINDS[path.suffix.lower()]
    start = read_start(path, 4)
    known = next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)
    # Weights are loaded as weights alone, or refused; they are told with the weights.
    return known or (None if is_weights(path) else pickled(path))


def _python(content: bytes | None, own: frozenset[str]) -> tuple[tuple[str, ...], list[Remark]]:
    if content is None:
        return (), [Remark(ACTING, "more than 4 MiB of Python: not judged")]
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return (), [Remark(ACTING, f"not Python as it stands ({type(error).__name__}): not judged")]
    names = imported_names(tree)
    imports = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    imports |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    # That a script calls something, or its own neighbours, is not notable.
    remarks = [
        one
        for one in judge(tree, Context(names, own, expression=False))
        if one.level > CALLING and not one.what.startswith("runs the bundle's own code")
    ]
    return tuple(sorted({name.partition(".")[0] for name in imports})), remarks


def _shadows(file: str) -> list[Remark]:
    """A module that is called like another is imported in its place once its folder comes first on Python's path."""
    parts = PurePosixPath(file).parts
    level = ACTING
    if parts[0] == _SCRIPTS and len(parts) > 1:
        parts, level = parts[1:], REACHING
    name = parts[0].partition(".")[0]
    if file.rpartition("/")[2] == "__init__.py" and "/" not in file:
        return [Remark(REACHING, "makes the bundle's folder a module, imported by its name where it lies")]
    shown = len(parts) == 1 or parts[1:] == ("__init__.py",)
    if shown and is_installed(name):
        return [Remark(level, f"can be imported in place of the installed module {name}")]
    return []


def is_installed(name: str) -> bool:
    """Tell whether a module of this name is Python's own, or installed."""
    return name in sys.stdlib_module_names or name in _installed()


@cache
def _installed() -> frozenset[str]:
    return frozenset(packages_distributions())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
