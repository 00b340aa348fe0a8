"""The work of ``lightskip import``: unpack a zip next to its place, examine it there, then move or remove it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...data.errors import InputError
from .archive import METADATA, extract, read_members
from .examination import Examination, examine
from .scripts import is_installed
from .terminal import printable

__all__ = ["OpenedBundle", "open_bundle"]


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle that was looked at and is not in place yet.

    Attributes:
        examination: what is known of it.
        folder: where it is now.
        target: where it would go; None for what is only looked at.
    """

    examination: Examination
    folder: Path
    target: Path | None

    def check(self) -> None:
        """Raise an InputError where the bundle cannot be taken."""
        problems = self.examination.problems
        if problems:
            raise InputError(
                self.examination.source,
                found="; ".join(printable(problem) for problem in problems),
                expected="files that match their checksums, and weights that are weights alone",
                remedy="ask who made the bundle: for the files as they were published, and for weights as a state dict "
                "saved with torch.save(network.state_dict(), FILE)",
            )

    def place(self) -> Path:
        """Move the bundle to its place, whole, and return it.

        Raises:
            InputError: it was refused, or something else is there meanwhile.
        """
        self.check()
        if self.target is None:
            raise ValueError("a bundle that was opened to look at it has no place to go to")
        _require_free(self.target)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.folder.rename(self.target)
        return self.target


@contextmanager
def open_bundle(
    source: Path, *, output: Path | None = None, look: bool = False, max_bytes: int | None = None
) -> Iterator[OpenedBundle]:
    """Look at a bundle, in a folder that goes away with the block.

    Args:
        source: a bundle's zip; or its folder, which is only looked at.
        output: the folder to make of the zip; by default the bundle's name in the working directory.
        look: only look; the zip is unpacked where temporary files go.
        max_bytes: what the zip may take unpacked; see `read_members`.

    Yields:
        The bundle, to be put in place while the block lasts.

    Raises:
        InputError: there is none, the zip is refused, or the folder to make is there already.
    """
    if source.is_dir():
        if output is not None:
            raise InputError(
                source,
                found="a folder, with -o",
                expected="a zip to unpack",
                remedy="leave -o out, and copy the folder",
            )
        folder = source.resolve()
        if not (folder / METADATA).is_file():
            raise InputError(
                source,
                found=f"a folder without {METADATA}",
                expected="a MONAI bundle's zip or folder",
                remedy="give the folder of one bundle",
            )
        yield OpenedBundle(examine(folder, source=source, name=folder.name), folder, None)
        return
    name, members, left_out = read_members(source, max_bytes=max_bytes)
    target = None if look else (output or Path(name)).absolute()
    if target is not None:
        if output is None or any(member.path == "__init__.py" for member in members):
            _require_own_name(source, target)
        _require_free(target)
    # On the same disk as the place, so that moving it there is one step.
    beside = None if target is None else next(one for one in target.parents if one.is_dir())
    try:
        staging = Path(tempfile.mkdtemp(prefix=".lightskip-import-", dir=beside))
    except OSError as error:
        # The user named the target, and not what is made beside it for a while.
        error.filename = str(target or error.filename)
        raise
    try:
        # The staging folder is closed to others; what is moved out of it has the permissions that new folders have.
        folder = staging / "bundle"
        folder.mkdir()
        with _named_by(folder, target):
            extract(source, members, folder)
        yield OpenedBundle(examine(folder, source=source, name=name, left_out=left_out), folder, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _named_by(folder: Path, target: Path | None) -> Iterator[None]:
    """Make an error name the place that the user named, and not the temporary one."""
    try:
        yield
    except OSError as error:
        if target is not None and isinstance(error.filename, str):
            error.filename = error.filename.replace(str(folder), str(target), 1)
        raise


def _require_own_name(source: Path, target: Path) -> None:
    """A folder that is called like a module is imported in its place by programs that are started beside it."""
    name = target.name
    what = "a hidden name" if name.startswith(".") else f"the name of the module {name}" if is_installed(name) else ""
    if what:
        raise InputError(
            source,
            found=f"a bundle whose folder would be {target}: {what}",
            expected="a name that means nothing to the system or to Python",
            remedy="name another folder with -o",
        )


def _require_free(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise InputError(
            target,
            found="something there already",
            expected="a folder that is still to be made: nothing is mixed with what is there, or replaced",
            remedy="name another with -o, or move that away",
        )
