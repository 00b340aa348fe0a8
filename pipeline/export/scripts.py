"""The code that an exported bundle carries: the modules that its configs name, and what these import of ours.

They become a package of the bundle's own. Python keeps one module of a name in a process, so two bundles with a module
``scripts`` each would both run the first one's: the package is named after the bundle and its contents instead.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..data.errors import InputError

__all__ = ["Carried", "carry", "defining_module"]

_OURS = __name__.partition(".")[0]
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Carried:
    """A package for a bundle's ``scripts/``.

    Attributes:
        package: its name.
        files: text by path, relative to ``scripts/``.
        names: where each module of ours is in it: ``pipeline.networks.vnet`` is ``NAME.networks.vnet``.
    """

    package: str
    files: dict[str, str]
    names: dict[str, str]


def carry(name: str, modules: Iterable[str], own: Iterable[Path], *, registering: Iterable[str] = ()) -> Carried:
    """Collect modules of ours, and all of ours that they import.

    Args:
        name: of the bundle, a Python identifier.
        modules: dotted names below ``pipeline``.
        own: modules of the user's beside the plan, which register what the bundle uses.
        registering: modules that are imported with the package ``networks``, as they register what its networks use.

    Returns:
        The package. Packages in it have no code of ours but the imports of ``registering``.

    Raises:
        InputError: a user's module imports ``pipeline`` or a package of it as a whole, or another module beside the
            plan, or has the name of a package of ours.
    """
    sources = {module: _source(module) for module in _closure([*modules, *registering])}
    users = {file.stem: file for file in own}
    for file in users.values():
        text = _read(file)
        _check_name(file, sources)
        _check_imports(file, text)
        sources |= {module: _source(module) for module in _closure(_imported(text, "", file))}
        sources[f"{_OURS}.{file.stem}"] = text
    files = {f"{module.partition('.')[2].replace('.', '/')}.py": _direct(module, sources[module]) for module in sources}
    files |= _packages(files, registering, users)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\0".encode())
    package = f"{name}_{digest.hexdigest()[:8]}"
    names = {module: f"{package}.{module.partition('.')[2]}" for module in sources}
    return Carried(package, {f"{package}/{path}": files[path] for path in sorted(files)}, names)


def defining_module(module: str, name: str) -> str:
    """The module of ours that defines a name which a package of ours hands on.

    Args:
        module: dotted, ``pipeline.networks``.
        name: ``VNet``; the name of a module in it is that module.
    """
    if _file(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    file = _file(module)
    if file is not None and _is_package(module):
        for node in ast.parse(_read(file)).body:
            if isinstance(node, ast.ImportFrom) and node.level and name in {item.name for item in node.names}:
                return defining_module(_absolute(node, module, package=True), name)
    return module


def _closure(modules: Iterable[str]) -> list[str]:
    waiting, seen = list(modules), set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting += _imported(_source(module), module, _file(module))
    return sorted(seen)


def _imported(text: str, module: str, file: Path | None) -> list[str]:
    """Modules of ours that a text imports; ``from . import name`` names a module, all else is traced to its home."""
    found = []
    for node in ast.walk(ast.parse(text, filename=str(file))):
        if isinstance(node, ast.ImportFrom) and _is_ours(node):
            base = _absolute(node, module)
            found += [defining_module(base, item.name) for item in node.names]
    return found


def _is_ours(node: ast.ImportFrom) -> bool:
    return node.level > 0 or (node.module or "").partition(".")[0] == _OURS


def _absolute(node: ast.ImportFrom, module: str, *, package: bool = False) -> str:
    if not node.level:
        return str(node.module)
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + package]
    return ".".join([*parts, node.module] if node.module else parts)


def _direct(module: str, text: str) -> str:
    """The text with imports from packages of ours led to the modules that define the names, relative to this one."""
    # Not splitlines(): a form feed ends no line of Python's. Columns of nodes are those of UTF-8.
    lines = [f"{line}\n".encode() for line in text.split("\n")]
    depth = module.count(".")
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and _is_ours(node)]
    for node in sorted(nodes, key=lambda node: (-node.lineno, -node.col_offset)):
        base = _absolute(node, module)
        by_module: dict[str, list[str]] = {}
        for item in node.names:
            home, renamed = defining_module(base, item.name), f" as {item.asname}" if item.asname else ""
            home = home.rpartition(".")[0] if home == f"{base}.{item.name}" else home
            by_module.setdefault(home, []).append(item.name + renamed)
        if node.level and set(by_module) == {base}:
            continue  # byte for byte as it is
        new = [
            f"from {_relative(home, module, depth)} import {', '.join(names)}".encode()
            for home, names in by_module.items()
        ]
        last = node.end_lineno or node.lineno
        before, after = lines[node.lineno - 1][: node.col_offset], lines[last - 1][node.end_col_offset :]
        # What else stands in the line, a comment or another statement, stays.
        between = b"; " if before.strip() else b"\n" + before
        lines[node.lineno - 1 : last] = [before + between.join(new) + after]
    return b"".join(lines).decode().removesuffix("\n")


def _relative(target: str, module: str, depth: int) -> str:
    ours, theirs = module.split(".")[:-1], target.split(".")
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
        shared += 1
    return "." * (depth - shared + 1) + ".".join(theirs[shared:])


def _packages(files: dict[str, str], registering: Iterable[str], users: Iterable[str]) -> dict[str, str]:
    """An ``__init__.py`` for every folder; that of ``networks`` imports what registers."""
    folders = {str(folder) for path in files for folder in Path(path).parents}
    packages = dict.fromkeys(folders, '"""Carried by this bundle from LightSkip: see docs/README.md. Apache-2.0."""\n')
    imports = sorted(f"from . import {module.rpartition('.')[2]}\n" for module in registering)
    imports += sorted(f"from .. import {user}\n" for user in users)
    if imports:
        packages["networks"] += "\n# These register the skip connections that the configs name.\n" + "".join(imports)
    return {("" if folder == "." else f"{folder}/") + "__init__.py": text for folder, text in packages.items()}


def _check_name(file: Path, sources: Iterable[str]) -> None:
    taken = {source.split(".")[1] for source in sources}
    if file.stem in taken | {"networks"}:
        raise InputError(
            file,
            found=f"a module called {file.stem}, as one of LightSkip's packages that the exported bundle carries",
            expected="a name of its own",
            remedy="rename the file, and in plan.yaml the entry of imports",
        )


def _check_imports(file: Path, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=str(file))):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
            whole = [name for name in names if name.partition(".")[0] == _OURS]
        elif isinstance(node, ast.ImportFrom):
            names = [] if node.level else [str(node.module)]
            homes = [defining_module(_absolute(node, ""), item.name) for item in node.names if _is_ours(node)]
            whole = [home for home in homes if _is_package(home)]
        else:
            continue
        if whole:
            raise InputError(
                f"{file}, line {node.lineno}",
                found=f"an import of {whole[0]} as a whole",
                expected=f"from {_OURS}.… import names: an exported bundle carries just what is named",
                remedy=f"write it as from {_OURS}.networks import Skip, SkipConnection",
            )
        besides = [name for name in names if _lies_in(file.parent, name.partition(".")[0])]
        if besides:
            raise InputError(
                f"{file}, line {node.lineno}",
                found=f"an import of {besides[0]}, a module beside it",
                expected="a module that imports installed packages and names of LightSkip's only",
                remedy="put both into one file",
            )


def _lies_in(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _is_package(module: str) -> bool:
    file = _file(module)
    return file is not None and file.name == "__init__.py"


def _source(module: str) -> str:
    file = _file(module)
    if file is None or _is_package(module):
        raise InputError(
            module,
            found="a package of LightSkip, or none of its modules" if file else "no module of LightSkip of that name",
            expected="a module that a bundle can carry",
            remedy="name the module that defines the part, as in pipeline.networks.VNet",
        )
    return _read(file)


def _file(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split("."))
    return next((file for file in _candidates(path) if file.is_file()), None)


def _candidates(path: Path) -> Iterator[Path]:
    yield path.with_suffix(".py")
    yield path / "__init__.py"


def _read(file: Path) -> str:
    # As Python reads it: some editors begin a file with a byte order mark.
    return file.read_text(encoding="utf-8-sig")
