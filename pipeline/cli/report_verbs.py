"""The verb that makes a page to look at: `report`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .words import bundle_folder, require_path

__all__ = ["add_report_verbs"]


def add_report_verbs(verbs: Any) -> None:
    """Add `report` to the subparsers."""
    report = verbs.add_parser(
        "report",
        help="make a page of a comparison, a training, a bundle or a prediction",
        description="Write one HTML file that opens from the disk and needs no network: what was run, curves, every "
        "case's values, the worst cases with pictures and a 3D viewer.",
    )
    report.add_argument(
        "source",
        type=require_path,
        metavar="FOLDER",
        help="the output of compare, evaluate, train, predict or fit, or a bundle or its name",
    )
    report.add_argument("-o", "--output", type=require_path, required=True, metavar="HTML", help="page to write")
    report.add_argument("--images", type=require_path, metavar="DIR", help="scans, where FOLDER does not name them")
    report.add_argument(
        "--probe", type=require_path, metavar="DIR", help="output of lightskip probe --maps, to show its maps"
    )
    report.add_argument(
        "--pictures",
        type=_whole_number,
        metavar="N",
        help="cases with pictures and volumes, the worst first (default: 50)",
    )
    report.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for the volumes of a case, such as 4GB (default: 80%% of free memory); larger ones are not shown",
    )
    report.add_argument("--no-viewer", action="store_true", help="leave out the 3D viewer and its volumes")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    from ..data.amounts import parse_memory  # noqa: PLC0415
    from ..report.report_page import MAX_PICTURES, write_report  # noqa: PLC0415

    # A folder comes before a bundle's name: predictions may be in one of the same name.
    notes = write_report(
        options.source
        if options.source.exists()
        else bundle_folder(options.source, other="the output of compare, evaluate, train, predict or fit"),
        options.output,
        images=options.images,
        probe=options.probe,
        pictures=MAX_PICTURES if options.pictures is None else options.pictures,
        viewer=not options.no_viewer,
        memory=None if options.memory is None else parse_memory(options.memory),
    )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(options.output)
    return 0


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0")
    return int(text)
