"""Verbs that draw: `curve` and `picture`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .words import require_path

__all__ = ["add_picture_verbs"]


def add_picture_verbs(verbs: Any) -> None:
    """Add `curve` and `picture` to the subparsers."""
    curve = verbs.add_parser("curve", help="draw a training's loss and Dice curves")
    curve.add_argument("history", type=require_path, metavar="HISTORY.csv", help="history.csv of the training")
    curve.add_argument("-o", "--output", type=require_path, required=True, metavar="PNG", help="picture to write")
    curve.set_defaults(run=_curve)

    picture = verbs.add_parser("picture", help="draw a scan with the outlines of its label maps")
    picture.add_argument("scan", type=require_path, metavar="SCAN", help="the scan")
    picture.add_argument(
        "--labels",
        type=_named_file,
        nargs="+",
        default=[],
        metavar="NAME=FILE",
        help="label maps, each with a name",
    )
    picture.add_argument("--names", nargs="+", default=[], metavar="NAME", help="names of labels 1, 2, ...")
    picture.add_argument("-o", "--output", type=require_path, required=True, metavar="PNG", help="picture to write")
    picture.set_defaults(run=_picture)


def _curve(options: argparse.Namespace) -> int:
    from ..report.curve import draw_curve  # noqa: PLC0415

    draw_curve(options.history, options.output)
    print(options.output)
    return 0


def _picture(options: argparse.Namespace) -> int:
    from ..report.picture import draw_segmentation  # noqa: PLC0415

    names = dict(enumerate(options.names, start=1)) or None
    draw_segmentation(options.scan, dict(options.labels), options.output, label_names=names)
    print(options.output)
    return 0


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE, such as reference=label.nii.gz")
    return name, Path(file)
