"""Describe the code that a result depends on: libraries by version, a user's own modules by their files."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from monai.data import get_track_meta

from ..version import __version__

__all__ = ["code_text", "digest", "library_text"]

# Libraries that read or resample scans although no transform names them.
_LIBRARIES = ("monai", "torch", "numpy", "nibabel", "itk", "SimpleITK", "pydicom", "scipy", "scikit-image")
_INSTALLED = {"site-packages", "dist-packages"}
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)


def library_text() -> str:
    """Return the versions of Python, LightSkip and the libraries that read scans, and whether MONAI tracks metadata."""
    versions = [f"python {platform.python_version()}", f"lightskip {__version__}"]
    versions += [f"{name} {version}" for name in _LIBRARIES if (version := _find_version(name))]
    return ", ".join([*versions, f"track_meta {get_track_meta()}"])


def code_text(modules: Iterable[str]) -> str:
    """Return one line for each package or module outside the standard library.

    An installed package has its version. Any other module, including LightSkip in a checkout, has the digest of its
    Python files; the modules that a single file imports follow. Nothing is imported.

    Args:
        modules: dotted names.
    """
    lines: dict[str, str] = {}
    waiting = sorted({name.partition(".")[0] for name in modules})
    while waiting:
        name = waiting.pop()
        if name in lines or name in sys.stdlib_module_names:
            continue
        files = _find_own_files(name)
        lines[name] = _digest_files(files) if files else _find_version(name)
        if len(files) == 1:
            # A package usually imports its own modules; a single file imports its neighbours.
            waiting += _IMPORT.findall(files[0].read_text(encoding="utf-8", errors="replace"))
    return "\n".join(f"{name} {line}" for name, line in sorted(lines.items()))


def digest(text: str) -> str:
    """Return the first 32 hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _find_own_files(name: str) -> list[Path]:
    """Return the Python files of a module or package; nothing if it is installed, built in or missing."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    origin = [Path(spec.origin)] if spec.has_location and spec.origin else []
    if any(_INSTALLED.intersection(path.parts) for path in [*folders, *origin]):
        return []
    return sorted(file for folder in folders for file in folder.rglob("*.py")) if folders else origin


def _digest_files(files: Sequence[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        data = file.read_bytes()
        content.update(f"{file.name} {len(data)}\n".encode(errors="surrogateescape") + data)
    return f"sha256 {content.hexdigest()}"


def _find_version(name: str) -> str:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return str(getattr(sys.modules.get(name), "__version__", ""))
