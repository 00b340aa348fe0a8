"""Read a bundle's metadata, and compare the packages that it was made with to the installed ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...data.errors import InputError
from ...data.json_file import parse_json
from .starts import read_start

__all__ = ["About", "Package", "read_about"]

_MAX_BYTES = 16 * 2**20
_LICENCE_BYTES = 64 * 2**10
_ITSELF = {"monai_version": "monai", "pytorch_version": "torch", "numpy_version": "numpy"}


@dataclass(frozen=True)
class Package:
    """A package that a bundle names.

    Attributes:
        name: the package's name for installers.
        wanted: the version that the bundle was made with.
        installed: the installed version; None if it is not installed.
        needed: whether the bundle requires it; otherwise it is optional.
    """

    name: str
    wanted: str
    installed: str | None
    needed: bool = True

    @property
    def words(self) -> str:
        """The comparison of the two versions, in words."""
        if self.installed is None:
            return "not installed"
        here, there = _numbers(self.installed), _numbers(self.wanted)
        if here == there:
            return "the same"
        return "newer here" if here > there else "older here"


@dataclass(frozen=True)
class About:
    """A bundle's metadata; missing texts are "".

    Attributes:
        name: the task's name.
        version: the bundle's version.
        task: the task, in words.
        intended_use: the intended use, in words.
        licence: the first line of its LICENSE.
        data_licence: whether there is a licence for its data.
        packages: the packages that it was made with, next to the installed ones.
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
        InputError: ``configs/metadata.json`` is missing or is not a JSON object.
    """
    metadata = _read_metadata(folder)
    packages = [
        Package(name, str(metadata[key]), _installed_version(name)) for key, name in _ITSELF.items() if key in metadata
    ]
    for key in ("required_packages_version", "optional_packages_version"):
        listed = metadata.get(key)
        for name, wanted in listed.items() if isinstance(listed, Mapping) else ():
            packages.append(Package(str(name), str(wanted), _installed_version(str(name)), key.startswith("required")))
    words = {key: " ".join(str(metadata.get(key) or "").split()) for key in ("name", "version", "task", "intended_use")}
    licence, data_licence = _read_licence(folder, files), "docs/data_license.txt" in files
    return About(**words, licence=licence, data_licence=data_licence, packages=tuple(packages))


def _read_metadata(folder: Path) -> dict[str, Any]:
    file = folder / "configs" / "metadata.json"
    found = ""
    try:
        text = read_start(file, _MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("more than 16 MiB")
        content = parse_json(text)
        found = "" if isinstance(content, dict) else f"a {type(content).__name__}"
    except OSError as error:
        found = f"no readable file ({error.strerror})"
    except (ValueError, RecursionError) as error:
        found = f"text that is not JSON ({error})"
    if found:
        raise InputError(
            "configs/metadata.json",
            found=found,
            expected="the metadata of a MONAI bundle: version, task, monai_version and more",
            remedy="name the zip or folder of a MONAI bundle",
        )
    return dict(content)


def _read_licence(folder: Path, files: Sequence[str]) -> str:
    licence = next(
        (file for file in files if file.upper() in ("LICENSE", "LICENSE.TXT", "LICENSE.MD", "LICENCE")), None
    )
    if licence is None:
        return ""
    lines = read_start(folder / licence, _LICENCE_BYTES).decode(errors="replace").splitlines()
    return next((line.strip() for line in lines if line.strip()), "an empty file")


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None


def _numbers(text: str) -> tuple[int, ...]:
    """Return a version's numbers before any letter, without zeros at the end: 2.13.0+cpu and 2.13.0 are equal."""
    match = re.match(r"\D*(\d+(?:\.\d+)*)", text)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
