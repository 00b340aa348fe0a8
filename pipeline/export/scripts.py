"""Collect the code of an exported bundle: the modules that its configs name, and LightSkip's modules they import.

They become a package in the bundle, named after the bundle and its content. Python keeps one module of a name per
process: if the package were called ``scripts``, two bundles in one process would both run the first one's code.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..data.errors import InputError

__all__ = ["CarriedCode", "carry_code", "find_defining_module"]

_LIGHTSKIP = __name__.partition(".")[0]
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CarriedCode:
    """A package for a bundle's ``scripts/``.

    Attributes:
        package: its name.
        files: text by path, relative to ``scripts/``.
        names: name in the package of each LightSkip module: ``pipeline.networks.vnet`` is ``NAME.networks.vnet``.
    """

    package: str
    files: dict[str, str]
    names: dict[str, str]


def carry_code(
    name: str, modules: Iterable[str], user_modules: Iterable[Path], *, skip_modules: Iterable[str] = ()
) -> CarriedCode:
    """Return a package with modules of LightSkip, and all modules of LightSkip that they import.

    Args:
        name: the bundle's name, a Python identifier.
        modules: dotted names of modules in ``pipeline``.
        user_modules: files of the user's modules next to the plan, which register parts that the bundle uses.
        skip_modules: modules that the package ``networks`` imports, because they register skips.

    Returns:
        The package. Its ``__init__.py`` files import ``skip_modules`` and have no other code.

    Raises:
        InputError: a user's module imports ``pipeline`` or one of its packages as a whole, or another module next to
            the plan, or has the name of a LightSkip package.
    """
    sources = {module: _read_module(module) for module in _collect_modules([*modules, *skip_modules])}
    users = {file.stem: file for file in user_modules}
    for file in users.values():
        text = _read_text(file)
        _check_name(file, sources)
        _check_imports(file, text)
        sources |= {module: _read_module(module) for module in _collect_modules(_find_imports(text, "", file))}
        sources[f"{_LIGHTSKIP}.{file.stem}"] = text
    files = {
        f"{module.partition('.')[2].replace('.', '/')}.py": _redirect_imports(module, sources[module])
        for module in sources
    }
    files |= _make_init_files(files, skip_modules, users)
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\0".encode())
    package = f"{name}_{digest.hexdigest()[:8]}"
    names = {module: f"{package}.{module.partition('.')[2]}" for module in sources}
    return CarriedCode(package, {f"{package}/{path}": files[path] for path in sorted(files)}, names)


def find_defining_module(module: str, name: str) -> str:
    """Return the LightSkip module that defines a name which a package re-exports.

    Args:
        module: dotted name of the package, such as ``pipeline.networks``.
        name: the name, such as ``VNet``. For a module in the package, that module is returned.
    """
    if _find_file(f"{module}.{name}") is not None:
        return f"{module}.{name}"
    file = _find_file(module)
    if file is not None and _is_package(module):
        # Also imports for types only: a package may import what it re-exports on demand.
        for node in ast.walk(ast.parse(_read_text(file))):
            if isinstance(node, ast.ImportFrom) and node.level and name in {item.name for item in node.names}:
                return find_defining_module(_resolve_module(node, module, package=True), name)
    return module


def _collect_modules(modules: Iterable[str]) -> list[str]:
    waiting, seen = list(modules), set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting += _find_imports(_read_module(module), module, _find_file(module))
    return sorted(seen)


def _find_imports(text: str, module: str, file: Path | None) -> list[str]:
    """Return the LightSkip modules that a text imports: for each imported name, the module that defines it."""
    found = []
    for node in ast.walk(ast.parse(text, filename=str(file))):
        if isinstance(node, ast.ImportFrom) and _is_lightskip_import(node):
            base = _resolve_module(node, module)
            found += [find_defining_module(base, item.name) for item in node.names]
    return found


def _is_lightskip_import(node: ast.ImportFrom) -> bool:
    return node.level > 0 or (node.module or "").partition(".")[0] == _LIGHTSKIP


def _resolve_module(node: ast.ImportFrom, module: str, *, package: bool = False) -> str:
    if not node.level:
        return str(node.module)
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + package]
    return ".".join([*parts, node.module] if node.module else parts)


def _redirect_imports(module: str, text: str) -> str:
    """Return the text with each import from a LightSkip package replaced by one from the defining module."""
    # Not splitlines(): Python does not end a line at a form feed. Columns of nodes count UTF-8 bytes.
    lines = [f"{line}\n".encode() for line in text.split("\n")]
    depth = module.count(".")
    nodes = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and _is_lightskip_import(node)
    ]
    for node in sorted(nodes, key=lambda node: (-node.lineno, -node.col_offset)):
        base = _resolve_module(node, module)
        by_module: dict[str, list[str]] = {}
        for item in node.names:
            home, renamed = find_defining_module(base, item.name), f" as {item.asname}" if item.asname else ""
            home = home.rpartition(".")[0] if home == f"{base}.{item.name}" else home
            by_module.setdefault(home, []).append(item.name + renamed)
        if node.level and set(by_module) == {base}:
            continue  # nothing to replace: it stays byte for byte
        new = [
            f"from {_relative_name(home, module, depth)} import {', '.join(names)}".encode()
            for home, names in by_module.items()
        ]
        last = node.end_lineno or node.lineno
        before, after = lines[node.lineno - 1][: node.col_offset], lines[last - 1][node.end_col_offset :]
        # A comment or another statement in the line stays.
        between = b"; " if before.strip() else b"\n" + before
        lines[node.lineno - 1 : last] = [before + between.join(new) + after]
    return b"".join(lines).decode().removesuffix("\n")


def _relative_name(target: str, module: str, depth: int) -> str:
    package, parts = module.split(".")[:-1], target.split(".")
    shared = 0
    while shared < min(len(package), len(parts)) and package[shared] == parts[shared]:
        shared += 1
    return "." * (depth - shared + 1) + ".".join(parts[shared:])


def _make_init_files(files: dict[str, str], skip_modules: Iterable[str], users: Iterable[str]) -> dict[str, str]:
    """Return an ``__init__.py`` for every folder. That of ``networks`` imports the modules that register parts."""
    folders = {str(folder) for path in files for folder in Path(path).parents}
    packages = dict.fromkeys(folders, '"""Carried by this bundle from LightSkip: see docs/README.md. Apache-2.0."""\n')
    imports = sorted(f"from . import {module.rpartition('.')[2]}\n" for module in skip_modules)
    imports += sorted(f"from .. import {user}\n" for user in users)
    if imports:
        packages["networks"] += "\n# These register the skip connections that the configs name.\n" + "".join(imports)
    return {("" if folder == "." else f"{folder}/") + "__init__.py": text for folder, text in packages.items()}


def _check_name(file: Path, sources: Iterable[str]) -> None:
    taken = {source.split(".")[1] for source in sources}
    if file.stem in taken | {"networks"}:
        raise InputError(
            file,
            found=f"a module called {file.stem}, like a LightSkip package that the exported bundle includes",
            expected="another name",
            remedy="rename the file, and its entry under imports in plan.yaml",
        )


def _check_imports(file: Path, text: str) -> None:
    for node in ast.walk(ast.parse(text, filename=str(file))):
        if isinstance(node, ast.Import):
            names = [item.name for item in node.names]
            whole = [name for name in names if name.partition(".")[0] == _LIGHTSKIP]
        elif isinstance(node, ast.ImportFrom):
            names = [] if node.level else [str(node.module)]
            homes = [
                find_defining_module(_resolve_module(node, ""), item.name)
                for item in node.names
                if _is_lightskip_import(node)
            ]
            whole = [home for home in homes if _is_package(home)]
        else:
            continue
        if whole:
            raise InputError(
                f"{file}, line {node.lineno}",
                found=f"an import of the whole package {whole[0]}",
                expected=f"from {_LIGHTSKIP}.… import names, since an exported bundle includes just the named parts",
                remedy=f"write it as from {_LIGHTSKIP}.networks import Skip, SkipConnection",
            )
        siblings = [name for name in names if _is_in(file.parent, name.partition(".")[0])]
        if siblings:
            raise InputError(
                f"{file}, line {node.lineno}",
                found=f"an import of {siblings[0]}, a module in the same folder",
                expected="imports of installed packages and of LightSkip's names only",
                remedy="put both modules into one file",
            )


def _is_in(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _is_package(module: str) -> bool:
    file = _find_file(module)
    return file is not None and file.name == "__init__.py"


def _read_module(module: str) -> str:
    file = _find_file(module)
    if file is None or _is_package(module):
        raise InputError(
            module,
            found="a package of LightSkip" if file else "no LightSkip module of that name",
            expected="a module that a bundle can include",
            remedy="name the module that defines the part, as in pipeline.networks.VNet",
        )
    return _read_text(file)


def _find_file(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split("."))
    return next((file for file in _candidates(path) if file.is_file()), None)


def _candidates(path: Path) -> Iterator[Path]:
    yield path.with_suffix(".py")
    yield path / "__init__.py"


def _read_text(file: Path) -> str:
    # Like Python, skip the byte order mark that some editors write.
    return file.read_text(encoding="utf-8-sig")
