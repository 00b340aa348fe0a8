"""The verb `export`: a bundle that stands alone."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..export.choices import LEFT_OUT

__all__ = ["add_export_verbs"]


def add_export_verbs(verbs: Any) -> None:
    """Add `export` to the subparsers."""
    export = verbs.add_parser(
        "export",
        help="make a bundle that needs MONAI and PyTorch alone, for the model zoo and its consumers",
        description="Export a trained bundle: OUT/NAME, a folder that runs where LightSkip is not installed, and "
        "OUT/NAME_vVERSION.zip of it. The same input gives the same bytes.",
        epilog="Channels that sat with hard selection left out are pruned, with the same output. docs/model_zoo.md "
        "tells the way from here into the model zoo and to the Hugging Face hub (lightskip push).",
    )
    export.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder, with plan.yaml")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for both")
    export.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="weights to export (default: the bundle's models/model.pt, or its only training's)",
    )
    export.add_argument(
        "--training", metavar="NAME", help="weights of this training, a folder in BUNDLE/runs or a path"
    )
    export.add_argument(
        "--without",
        nargs="+",
        choices=tuple(LEFT_OUT),
        default=[],
        metavar="PART",
        help="leave out " + ", ".join(f"{key}: {what}" for key, what in LEFT_OUT.items()),
    )
    export.add_argument("--overwrite", action="store_true", help="take the place of an earlier export")
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from ..imports import quick_imports  # noqa: PLC0415
    from ..quiet import quiet_monai  # noqa: PLC0415

    with quick_imports():
        from ..export.export import export_bundle  # noqa: PLC0415
        from ..export.summary import summary_text  # noqa: PLC0415

    with quiet_monai(), _tidied_up_when_terminated():
        result = export_bundle(
            options.bundle,
            options.output,
            checkpoint=options.checkpoint,
            training=options.training,
            without=options.without,
            overwrite=options.overwrite,
        )
    print(summary_text(result), end="")
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    return 0


@contextmanager
def _tidied_up_when_terminated() -> Iterator[None]:
    """Let what stops a job of a cluster interrupt as Ctrl-C does, so that nothing half-made is left."""
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
