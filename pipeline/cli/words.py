"""Arguments that several verbs share, and their parsers."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import Any

__all__ = ["add_bundle", "bundle_folder", "require_name", "require_path", "setting"]


def add_bundle(verb: argparse.ArgumentParser, needed: str) -> None:
    """Add the argument BUNDLE.

    Args:
        verb: the verb's parser.
        needed: the file or files that the bundle's folder must have.
    """
    verb.add_argument(
        "bundle",
        type=require_path,
        metavar="BUNDLE",
        help=f"a bundle's folder, with {needed}; or a name (lightskip bundles)",
    )


def bundle_folder(bundle: Path, *, writes: str = "", other: str = "") -> Path:
    """Return the folder of a bundle that is named by its path or its name.

    Args:
        bundle: what the user wrote.
        writes: the verb, if it writes into the bundle: then one of an installed package is refused.
        other: what the user may name instead of a bundle, for the message.
    """
    from ..bundle.at_hand.find import find_bundle  # noqa: PLC0415
    from ..bundle.at_hand.shipped import require_own_bundle  # noqa: PLC0415

    folder = find_bundle(bundle, other=other)
    if writes:
        require_own_bundle(writes, folder)
    return folder


def require_name(text: str) -> str:
    """Parse the name of a file or folder; refuse an empty one, which would be the working directory.

    It comes from a variable of a script that is not set.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name; the working directory is .")
    return text


def require_path(text: str) -> Path:
    """Parse a path; refuse an empty one: see `require_name`."""
    return Path(require_name(text))


def setting(text: str) -> tuple[str, Any]:
    """Parse ``KEY=VALUE``, an override of a config; a value that is not a Python literal is text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE, such as skip=concat")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
