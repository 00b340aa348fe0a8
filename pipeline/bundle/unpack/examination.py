"""Everything that is known of somebody's bundle before any of it has run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .about import About, read_about
from .checksums import ELSEWHERE, Checksum, verify_checksums
from .config_code import Text, list_config_code
from .logging_configs import list_logging_code
from .reading import is_config
from .scripts import Script, list_scripts
from .weights import Weights, examine_weights

__all__ = ["Examination", "examine"]


@dataclass(frozen=True)
class Examination:
    """All that is known of a bundle.

    Attributes:
        source: the zip or folder.
        name: the bundle's folder's name.
        files: its files, from that folder, with their bytes.
        left_out: what of the zip is not unpacked.
        odd: links, pipes and devices in a folder, in words.
        about: what it says of itself.
        checksums: what came of its lists of checksums.
        weights: its files of weights.
        texts: what its configs, those of logging too, make run.
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
    texts: tuple[Text, ...]
    scripts: tuple[Script, ...]

    @property
    def to_download(self) -> list[str]:
        """Files that the bundle lists and does not bring."""
        return list(dict.fromkeys(one.file for one in self.checksums if one.status == ELSEWHERE))

    @property
    def problems(self) -> list[str]:
        """Why the bundle cannot be taken, each with its file; none when it can."""
        wrong = [f"{one.file}: {one.status} ({one.listed_in})" for one in self.checksums if one.refused]
        return wrong + [f"{one.file}: {one.problem}" for one in self.weights if one.problem]


def examine(folder: Path, *, source: Path, name: str, left_out: Sequence[str] = ()) -> Examination:
    """Look at a bundle's folder: nothing of it is run, imported or evaluated.

    Args:
        folder: the bundle's folder.
        source: the zip that it came from, or the folder itself.
        name: the bundle's.
        left_out: what of the zip was not unpacked.

    Raises:
        InputError: its metadata or a list of checksums cannot be read.
    """
    files, odd = _files_of(folder)
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


def _files_of(folder: Path) -> tuple[list[str], list[str]]:
    """List a folder's files, and what is not simply one; folders that are links are not entered, nor is git's own."""
    files, odd = [], []
    for place, folders, names in os.walk(folder):
        if ".git" in folders:
            # A zip with one is refused; in a folder it is git's own, and large.
            odd.append(f"{(Path(place) / '.git').relative_to(folder).as_posix()}: not looked at")
        folders[:] = sorted(one for one in folders if one != ".git")
        for name in [*folders, *names]:
            path = Path(place) / name
            file = path.relative_to(folder).as_posix()
            if path.is_symlink():
                # `Path.resolve` raises on a link that leads to itself before Python 3.13.
                inside = Path(os.path.realpath(path)).is_relative_to(folder.resolve())
                odd.append(f"{file}: a link to {path.readlink()}{'' if inside else ', outside of the bundle'}")
            elif not (path.is_file() or path.is_dir()):
                odd.append(f"{file}: a pipe or a device")
            if path.is_file():
                files.append(file)
    return sorted(files), odd
