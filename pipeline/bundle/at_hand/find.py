"""Find a bundle by its name or path. Needs neither torch nor MONAI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ...data.errors import InputError
from ...data.nearest import nearest_path
from .imported import list_imported
from .shipped import shipped_folder

__all__ = ["IMPORTED", "SHIPPED", "SOURCES", "WORKING", "Found", "find_bundle", "list_bundles"]

SOURCES = SHIPPED, WORKING, IMPORTED = ("shipped", "working directory", "imported")
_OF_PLANS = "bundles"  # where `lightskip plan` puts a bundle, in the working directory
_OF_RUN, _RUN_STATE = "bundle", "fit.json"  # where `lightskip fit` puts it in its folder, and that folder's mark
_MAX_NAMES = 10


@dataclass(frozen=True)
class Found:
    """A bundle at hand.

    Attributes:
        name: the name of its folder; of a run of `lightskip fit` the path of the bundle, which serves as a name.
        source: `SHIPPED`, `WORKING` or `IMPORTED`.
        folder: its folder.
        taken: whether its name means this bundle here, and not another one of the same name.
    """

    name: str
    source: str
    folder: Path
    taken: bool


def find_bundle(bundle: str | os.PathLike[str], *, other: str = "") -> Path:
    """Return the folder of a bundle that is named by its path or by its name.

    A path of a bundle is taken as it is. Any other name means, in this order: a shipped bundle, one in ``bundles`` in
    the working directory, the one of this name that was imported last.

    Args:
        bundle: the path or the name.
        other: what the user may name instead of a bundle, for the message.

    Raises:
        InputError: it is a name, and there is neither such a path nor such a bundle; the message has the nearest names.
    """
    path = Path(bundle).expanduser()
    if not _is_name(bundle) or _is_bundle(path):
        return path
    found = next((folder for source, folder in _list_folders() if folder.name == str(bundle)), None)
    if found is not None:
        return found
    if path.exists():
        # The verb reports what is missing in it.
        return path
    raise _unknown_error(str(bundle), other)


def list_bundles() -> list[Found]:
    """Return the bundles at hand: shipped ones, those in the working directory, imported ones; each group by name."""
    places = list(_list_folders())
    imported = {folder.resolve() for source, folder in places if source == IMPORTED}
    # A path comes before any name.
    here = {folder.name: folder.resolve() for _, folder in places if folder == Path(folder.name)}
    found: dict[Path, Found] = {}
    taken: set[str] = set()
    for source, folder in places:
        real = folder.resolve()
        if real in found:
            continue
        is_first = folder.name not in taken and here.get(folder.name, real) == real
        taken |= {folder.name} if is_first else set()
        found[real] = Found(folder.name, IMPORTED if real in imported else source, folder, is_first)
    for folder in _bundles_of_runs():
        found.setdefault(folder.resolve(), Found(folder.as_posix(), WORKING, folder, True))
    return sorted(found.values(), key=lambda one: (SOURCES.index(one.source), one.name))


def _list_folders() -> Iterator[tuple[str, Path]]:
    """Yield the folders of bundles with their source, in the order in which a name is looked up."""
    shipped = shipped_folder()
    if shipped is not None:
        yield from ((SHIPPED, folder) for folder in _bundles_in(shipped))
    for place in (Path(), Path(_OF_PLANS)):
        yield from ((WORKING, folder) for folder in _bundles_in(place))
    yield from ((IMPORTED, folder) for folder in list_imported() if _is_bundle(folder))


def _bundles_in(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    return [one for one in inside if not one.name.startswith(".") and _is_bundle(one)]


def _bundles_of_runs() -> list[Path]:
    """Return the bundles that `lightskip fit` made in the working directory, `RUN/bundle`."""
    try:
        runs = sorted(file.parent for file in Path().glob(f"*/{_RUN_STATE}"))
    except OSError:
        return []
    return [run / _OF_RUN for run in runs if not run.name.startswith(".") and _is_bundle(run / _OF_RUN)]


def _is_bundle(folder: Path) -> bool:
    """Return whether a folder is a bundle, also one whose configs are not rendered yet."""
    try:
        return (folder / "configs" / "metadata.json").is_file() or (folder / "plan.yaml").is_file()
    except (OSError, ValueError):
        return False


def _is_name(bundle: str | os.PathLike[str]) -> bool:
    """Return whether a text can be the name of a bundle, and not only a path."""
    text = os.fspath(bundle)
    return bool(text) and Path(text).name == text and not text.startswith((".", "~"))


def _unknown_error(name: str, other: str) -> InputError:
    names = list(dict.fromkeys(folder.name for _, folder in _list_folders()))
    sibling = nearest_path(name)
    close = get_close_matches(name, [*names, *([] if sibling is None else [str(sibling)])], n=3)
    meant = f"did you mean {' or '.join(dict.fromkeys(close))}?"
    listed = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    expected = f"a bundle's folder, or the name of one: {listed}" if names else "the folder of a bundle"
    return InputError(
        name,
        found="no such folder, and no bundle of this name",
        expected=f"{other}{', or ' if other else ''}{expected}",
        remedy=meant if close else "list what is at hand: lightskip bundles",
    )
