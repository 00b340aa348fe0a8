"""The folder of the shipped bundles, and the rule that nothing is written into an installed package."""

from __future__ import annotations

from pathlib import Path

from ...data.errors import InputError
from ..words import as_text

__all__ = ["is_installed", "require_own_bundle", "shipped_folder"]

_PACKAGE = Path(__file__).resolve().parents[2]


def shipped_folder() -> Path | None:
    """Return the folder of the shipped bundles: in the installed package, or at the root of a checkout.

    Returns:
        The folder; None if this installation has none.
    """
    installed = _PACKAGE / "bundles"
    if installed.is_dir():
        return installed
    # Next to an installed package there may be another package named `bundles`.
    checkout = _PACKAGE.parent
    has_bundles = (checkout / "pyproject.toml").is_file() and (checkout / "bundles").is_dir()
    return checkout / "bundles" if has_bundles else None


def is_installed(bundle: Path) -> bool:
    """Return whether a bundle is in an installed package, and not in a checkout or a folder of the user's."""
    return bundle.expanduser().resolve().is_relative_to(_PACKAGE / "bundles")


def require_own_bundle(verb: str, bundle: Path, *, otherwise: str = "") -> None:
    """Raise InputError if a verb would write into a bundle of the installed package.

    Args:
        verb: the verb.
        bundle: the bundle's folder.
        otherwise: what else the user can do than to copy the bundle, as a part of the remedy.
    """
    if not is_installed(bundle):
        return
    copy = as_text(["lightskip", "bundles", "copy", bundle.name])
    remedy = f"copy it into the working directory, which then comes first: {copy}"
    raise InputError(
        bundle,
        found="a bundle of the installed package, which the next installation replaces",
        expected=f"a bundle of your own: lightskip {verb} writes into it",
        remedy=f"{remedy}; {otherwise}" if otherwise else remedy,
    )
