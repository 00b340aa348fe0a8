"""The files of a bundle's zip, with their target paths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ...data.errors import InputError
from ...data.zip_files import Member, ZipKind, list_members
from ...data.zip_files import extract as extract_members

__all__ = ["METADATA", "Member", "extract", "read_members"]

METADATA = "configs/metadata.json"

_BUNDLE = ZipKind(
    noun="bundle",
    max_bytes=20 * 10**9,
    max_ratio=100,  # weights shrink by a tenth, configs to a twentieth; a higher ratio is deliberate
    ratio_from=100 * 10**6,
    max_members=50_000,
    left_out=("__MACOSX", "__pycache__", ".DS_Store"),
    size_remedy="if you know that the bundle is that large, allow it with --max-size SIZE, such as --max-size 50GB",
)


def read_members(archive: Path, *, max_bytes: int | None = None) -> tuple[str, list[Member], list[str]]:
    """List the files of a bundle's zip with their target paths; refuse zips that no honest tool writes.

    Args:
        archive: the zip.
        max_bytes: limit for the unpacked size, at any compression. By default 20 GB, and above 100 MB at most a
            hundred times the zip's size.

    Returns:
        The bundle's name (that of the zip's one folder, else the zip's); its files; and the names that are left out:
        bytecode, which Python would run instead of the source, and files that macOS adds.

    Raises:
        InputError: it is not a zip, is cut off, has unsafe names, links or sizes, or contains no bundle.
    """
    files, left_out = list_members(archive, _BUNDLE, max_bytes=max_bytes)
    root = _find_root(archive, [info.filename for info in files])
    members = [Member(info, info.filename[len(root) :]) for info in files]
    return root.removesuffix("/") or archive.stem, members, left_out


def extract(archive: Path, members: Sequence[Member], folder: Path) -> None:
    """Unpack files from a bundle's zip; arguments and errors are those of `pipeline.data.zip_files.extract`."""
    extract_members(archive, members, folder, _BUNDLE)


def _find_root(archive: Path, names: Sequence[str]) -> str:
    """Return the one folder that contains all files, with its slash; "" if there is none."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    top = next(iter(tops), "")
    within = len(tops) == 1 and f"{top}/{METADATA}" in names
    if within or METADATA in names:
        return f"{top}/" if within else ""
    deeper = next((name for name in sorted(names) if name.endswith(f"/{METADATA}")), None)
    count = f"{len(names)} file{'s' * (len(names) != 1)}"
    found = f"{deeper}, but not all files in its folder" if deeper else f"{count}, but no {METADATA}"
    raise InputError(
        archive,
        found=found,
        expected=f"a MONAI bundle: {METADATA} in the zip's one folder, or at its top",
        remedy="name the zip of one bundle, such as one of the model zoo",
    )
