"""Reads what a bundle says of itself, and compares the packages that it was made with to those here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from .starts import read_start

__all__ = ["About", "Package", "read_about"]

_MAX_BYTES = 16 * 2**20
_LICENCE_BYTES = 64 * 2**10
_ITSELF = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}


@dataclass(frozen=True)
class Package:
    """A package that a bundle names.

    Attributes:
        name: as it is installed.
        wanted: the version that the bundle was made with.
        installed: the version here; None where it is not.
        needed: whether the bundle requires it; otherwise it is optional.
    """

    name: str
    wanted: str
    installed: str | None
    needed: bool = True

    @property
    def words(self) -> str:
        """How the two versions stand to each other."""
        if self.installed is None:
            return "not installed"
        here, there = _numbers(self.installed), _numbers(self.wanted)
        if here == there:
            return "the same"
        return "newer here" if here > there else "older here"


@dataclass(frozen=True)
class About:
    """What a bundle says of itself; "" where it does not.

    Attributes:
        name: of the task.
        version: of the bundle.
        task: what it is for, in words.
        intended_use: what it may be used for.
        licence: the first line of its LICENSE.
        data_licence: whether there is one for its data.
        packages: what it was made with, and what is here.
    """

    name: str
    version: str
    task: str
    intended_use: str
    licence: str
    data_licence: bool
    packages: tuple[Package, ...]


def read_about(folder: Path, files: Sequence[str]) -> About:
    """Read a bundle's metadata and licences.

    Raises:
        InputError: ``configs/metadata.json`` is not there or is not what MONAI writes.
    """
    metadata = _metadata(folder)
    packages = [Package(name, str(metadata[key]), _installed(name)) for key, name in _ITSELF.items() if key in metadata]
    for key in ("required_packages_version", "optional_packages_version"):
        listed = metadata.get(key)
        for name, wanted in listed.items() if isinstance(listed, Mapping) else ():
            packages.append(Package(str(name), str(wanted), _installed(str(name)), key.startswith("required")))
    words = {key: " ".join(str(metadata.get(key) or "").split()) for key in ("name", "version", "task", "intended_use")}
    licence, data_licence = _licence(folder, files), "docs/data_license.txt" in files
    return About(**words, licence=licence, data_licence=data_licence, packages=tuple(packages))


def _metadata(folder: Path) -> dict[str, Any]:
    file = folder / "configs" / "metadata.json"
    found = ""
    try:
        text = read_start(file, _MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("more than 16 MiB")
        content = json.loads(text)
        found = "" if isinstance(content, dict) else f"a {type(content).__name__}"
    except OSError as error:
        found = f"no readable file ({error.strerror})"
    except (ValueError, RecursionError) as error:
        found = f"text that is not JSON ({error})"
    if found:
        raise InputError(
            "configs/metadata.json",
            found=found,
            expected="what a MONAI bundle says of itself: version, task, monai_version and more",
            remedy="give a MONAI bundle's zip or folder",
        )
    return dict(content)


def _licence(folder: Path, files: Sequence[str]) -> str:
    licence = next(
        (file for file in files if file.upper() in ("LICENSE", "LICENSE.TXT", "LICENSE.MD", "LICENCE")), None
    )
    if licence is None:
        return ""
    lines = read_start(folder / licence, _LICENCE_BYTES).decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if line.strip()), "an empty file")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None


def _numbers(text: str) -> tuple[int, ...]:
    """Return a version's numbers before any letter: 2.13.0+cpu is 2.13.0, 1.4.0rc1 is 1.4.0; zeros at the end go."""
    match = re.match(r"\D*(\d+(?:\.\d+)*)", text)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
