"""Examine someone else's bundle without running any of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .about import About, read_about
from .checksums import ELSEWHERE, Checksum, verify_checksums
from .config_code import CodeText, list_config_code
from .logging_configs import list_logging_code
from .reading import is_config
from .scripts import Script, list_scripts
from .weights import Weights, examine_weights

__all__ = ["Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """The results of examining a bundle.

    Attributes:
        source: the zip or folder.
        name: the name of the bundle's folder.
        files: its files, relative to that folder, with their sizes (bytes).
        left_out: names in the zip that are not unpacked.
        odd: links, pipes and devices in a folder, in words.
        about: its metadata.
        checksums: the results of its lists of checksums.
        weights: its files of weights.
        texts: the code in its configs, logging configs included.
        scripts: its programs.
    """

    source: str
    name: str
    files: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...]
    odd: tuple[str, ...]
    about: About
    checksums: tuple[Checksum, ...]
    weights: tuple[Weights, ...]
    texts: tuple[CodeText, ...]
    scripts: tuple[Script, ...]

    @property
    def to_download(self) -> list[str]:
        """Files that the bundle lists but does not contain."""
        return list(dict.fromkeys(one.file for one in self.checksums if one.status == ELSEWHERE))

    @property
    def problems(self) -> list[str]:
        """The reasons to refuse the bundle, each with its file."""
        wrong = [f"{one.file}: {one.status} ({one.listed_in})" for one in self.checksums if one.refused]
        return wrong + [f"{one.file}: {one.problem}" for one in self.weights if one.problem]


def examine(folder: Path, *, source: Path, name: str, left_out: Sequence[str] = ()) -> Examination:
    """Examine a bundle's folder without running, importing or evaluating any of it.

    Args:
        folder: the bundle's folder.
        source: its zip, or the folder itself.
        name: the bundle's name.
        left_out: names in the zip that were not unpacked.

    Raises:
        InputError: its metadata or a list of checksums cannot be read.
    """
    files, odd = _list_files(folder)
    described = read_about(folder, files)
    texts = list_config_code(folder, filter(is_config, files))
    return Examination(
        source=str(source),
        name=name,
        files=tuple((file, (folder / file).stat().st_size) for file in files),
        left_out=tuple(left_out),
        odd=tuple(odd),
        about=described,
        checksums=tuple(verify_checksums(folder, files)),
        weights=tuple(examine_weights(folder, files)),
        texts=(*texts, *list_logging_code(folder, files)),
        scripts=tuple(list_scripts(folder, files)),
    )


def _list_files(folder: Path) -> tuple[list[str], list[str]]:
    """Return a folder's files, and its links, pipes and devices in words; linked folders and ``.git`` are skipped."""
    files, odd = [], []
    for place, folders, names in os.walk(folder):
        if ".git" in folders:
            # In a zip it is refused. In a folder it belongs to git, and is large.
            odd.append(f"{(Path(place) / '.git').relative_to(folder).as_posix()}: not examined")
        folders[:] = sorted(one for one in folders if one != ".git")
        for name in [*folders, *names]:
            path = Path(place) / name
            file = path.relative_to(folder).as_posix()
            if path.is_symlink():
                # Before Python 3.13 `Path.resolve` raises on a link to itself.
                inside = Path(os.path.realpath(path)).is_relative_to(folder.resolve())
                odd.append(f"{file}: a link to {path.readlink()}{'' if inside else ', outside the bundle'}")
            elif not (path.is_file() or path.is_dir()):
                odd.append(f"{file}: a pipe or a device")
            if path.is_file():
                files.append(file)
    return sorted(files), odd
