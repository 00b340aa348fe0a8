"""The verb `export`: write a bundle that runs without LightSkip."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..export.choices import OPTIONAL_PARTS
from .words import add_bundle, bundle_folder, require_path

__all__ = ["add_export_verbs"]


def add_export_verbs(verbs: Any) -> None:
    """Add `export` to the subparsers."""
    export = verbs.add_parser(
        "export",
        help="write a bundle that needs only MONAI and PyTorch, for the model zoo",
        description="Export a trained bundle: OUT/NAME, a folder that runs without LightSkip, and its zip, "
        "OUT/NAME_vVERSION.zip. The same input gives byte-identical output.",
        epilog="Channels that sat left out by hard selection are pruned; the output does not change. "
        "docs/model_zoo.md describes the next steps, to the model zoo and to the Hugging Face hub (lightskip push).",
    )
    add_bundle(export, "plan.yaml")
    export.add_argument(
        "-o", "--output", type=require_path, required=True, metavar="OUT", help="folder to write both to"
    )
    export.add_argument(
        "--checkpoint",
        type=require_path,
        metavar="FILE",
        help="weights to export (default: the bundle's models/model.pt, or its only training's)",
    )
    export.add_argument(
        "--training", metavar="NAME", help="weights of this training: a folder in BUNDLE/runs, or a path"
    )
    export.add_argument(
        "--without",
        nargs="+",
        choices=tuple(OPTIONAL_PARTS),
        default=[],
        metavar="PART",
        help="leave out " + ", ".join(f"{key}: {what}" for key, what in OPTIONAL_PARTS.items()),
    )
    export.add_argument("--int8", action="store_true", help="include the int8 form, which lightskip quantize made")
    export.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from ..imports import quick_imports  # noqa: PLC0415
    from ..quiet import quiet_monai  # noqa: PLC0415

    with quick_imports():
        from ..export.export import export_bundle  # noqa: PLC0415
        from ..export.summary import summary_text  # noqa: PLC0415

    with quiet_monai(), _interrupt_on_sigterm():
        result = export_bundle(
            bundle_folder(options.bundle),
            options.output,
            checkpoint=options.checkpoint,
            training=options.training,
            without=options.without,
            int8=options.int8,
            overwrite=options.overwrite,
        )
    print(summary_text(result), end="")
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM, which ends a cluster's job, like Ctrl-C, so that no unfinished files are left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
