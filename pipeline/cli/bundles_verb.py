"""The verb `bundles`: list the bundles at hand, and copy one."""

from __future__ import annotations

import argparse
from typing import Any

from .words import add_bundle, require_path

__all__ = ["add_bundles_verb"]


def add_bundles_verb(verbs: Any) -> None:
    """Add `bundles` to the subparsers."""
    bundles = verbs.add_parser(
        "bundles",
        help="list the bundles that can be named, and copy one",
        description="List the bundles at hand: shipped with LightSkip, in the working directory (also in its folder "
        "bundles), and imported. Every verb takes their names for BUNDLE. Dice is what the bundle's own documents say.",
        epilog="Of several bundles with one name, that in the working directory comes first, then the shipped one, "
        "then that in ./bundles, then the one that was imported last.",
    )
    bundles.add_argument("--json", action="store_true", help="print the list as JSON, for programs")
    bundles.set_defaults(run=_list)
    actions = bundles.add_subparsers(dest="action", metavar="copy", title="actions")
    copy = actions.add_parser(
        "copy",
        help="copy a bundle, to train, evaluate or change it",
        description="Copy a bundle without its trainings and results. Shipped bundles of an installed package are not "
        "changed where they are.",
    )
    add_bundle(copy, "its files")
    copy.add_argument(
        "-o",
        "--output",
        type=require_path,
        metavar="DIR",
        help="new folder (default: the bundle's name, in the working directory)",
    )
    copy.set_defaults(run=_copy)


def _list(options: argparse.Namespace) -> int:
    from ..imports import deferred_imports, quick_imports  # noqa: PLC0415

    with quick_imports(), deferred_imports():
        from ..bundle.at_hand.find import list_bundles  # noqa: PLC0415
        from ..bundle.at_hand.listing import bundles_json, bundles_text  # noqa: PLC0415

    found = list_bundles()
    print(bundles_json(found) if options.json else bundles_text(found), end="\n" if options.json else "")
    return 0


def _copy(options: argparse.Namespace) -> int:
    from ..bundle.at_hand.copy import copy_bundle  # noqa: PLC0415
    from ..bundle.words import lightskip_command  # noqa: PLC0415

    copied = copy_bundle(options.bundle, options.output)
    print(f"copied: {copied}")
    print(f"next: {lightskip_command('train', copied)} --dataset_dir DIR")
    return 0
