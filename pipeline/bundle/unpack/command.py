"""Run ``lightskip import``: unpack a zip next to its target, examine it there, then move or remove it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...data.errors import InputError
from ...leftovers import temporary_path
from .archive import METADATA, extract, read_members
from .examination import Examination, examine
from .scripts import is_installed
from .terminal import printable

__all__ = ["OpenedBundle", "open_bundle"]


@dataclass(frozen=True)
class OpenedBundle:
    """An examined bundle that is not installed yet.

    Attributes:
        examination: the result of the examination.
        folder: its current folder.
        target: the folder to install it in; None if it is only examined.
    """

    examination: Examination
    folder: Path
    target: Path | None

    def check(self) -> None:
        """Raise an InputError if the bundle is refused."""
        problems = self.examination.problems
        if problems:
            raise InputError(
                self.examination.source,
                found="; ".join(printable(problem) for problem in problems),
                expected="files that match their checksums, and weights without code",
                remedy="ask the bundle's author for the published files, and for weights saved with "
                "torch.save(network.state_dict(), FILE)",
            )

    def place(self) -> Path:
        """Move the bundle to its target folder in one step, and return that.

        Raises:
            InputError: the bundle is refused, or the target exists by now.
        """
        self.check()
        if self.target is None:
            raise ValueError("a bundle that is only examined has no target folder")
        _require_free(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.folder.rename(self.target)
        return self.target


@contextmanager
def open_bundle(
    source: Path, *, output: Path | None = None, look: bool = False, max_bytes: int | None = None
) -> Iterator[OpenedBundle]:
    """Examine a bundle, in a folder that is removed at the end of the block.

    Args:
        source: a bundle's zip; or its folder, which is only examined.
        output: the target folder; by default the bundle's name in the working directory.
        look: only examine; the zip is unpacked in the folder for temporary files.
        max_bytes: limit for the unpacked size; see `read_members`.

    Yields:
        The bundle, which can be installed within the block.

    Raises:
        InputError: there is no bundle, the zip is refused, or the target folder exists.
    """
    if source.is_dir():
        if output is not None:
            raise InputError(
                source,
                found="a folder, with -o",
                expected="a zip to unpack with -o",
                remedy="leave -o out, and copy the folder yourself",
            )
        folder = source.resolve()
        if not (folder / METADATA).is_file():
            raise InputError(
                source,
                found=f"a folder without {METADATA}",
                expected="a MONAI bundle's zip or folder",
                remedy="name the folder of one bundle",
            )
        yield OpenedBundle(examine(folder, source=source, name=folder.name), folder, None)
        return
    name, members, left_out = read_members(source, max_bytes=max_bytes)
    target = None if look else (output or Path(name)).absolute()
    if target is not None:
        if output is None or any(member.path == "__init__.py" for member in members):
            _require_own_name(source, target)
        _require_free(target)
    # On the same disk as the target, so that moving it there is one step.
    parent = None if target is None else next(one for one in target.parents if one.is_dir())
    try:
        staging = temporary_path((parent or Path(tempfile.gettempdir())) / "lightskip-import")
        staging.mkdir(mode=0o700)
    except OSError as error:
        # The user knows the target, not the temporary folder next to it.
        error.filename = str(target or error.filename)
        raise
    try:
        # Other users cannot read the staging folder. A new folder inside has the usual permissions.
        folder = staging / "bundle"
        folder.mkdir()
        with _name_target_in_errors(folder, target):
            extract(source, members, folder)
        yield OpenedBundle(examine(folder, source=source, name=name, left_out=left_out), folder, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _name_target_in_errors(folder: Path, target: Path | None) -> Iterator[None]:
    """Replace the temporary folder in an error by the target that the user named."""
    try:
        yield
    except OSError as error:
        if target is not None and isinstance(error.filename, str):
            error.filename = error.filename.replace(str(folder), str(target), 1)
        raise


def _require_own_name(source: Path, target: Path) -> None:
    """Refuse a folder with a module's name: programs started next to it would import it instead of the module."""
    name = target.name
    what = "a hidden name" if name.startswith(".") else f"the name of the module {name}" if is_installed(name) else ""
    if what:
        raise InputError(
            source,
            found=f"a bundle whose folder would be {target}: {what}",
            expected="a folder name that is not hidden and not the name of a module",
            remedy="choose another folder with -o",
        )


def _require_free(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InputError(
            target,
            found="an existing file or folder",
            expected="no existing file or folder: nothing is overwritten or merged",
            remedy="choose another folder with -o, or move the existing one away",
        )
