"""The verb that compares label maps: `compare`."""

from __future__ import annotations

import argparse
from typing import Any

from .words import require_path

__all__ = ["add_compare_verbs"]

_EPILOG = """\
examples:
  lightskip compare labelsTr ours=predictions_a theirs=predictions_b -o comparison
  lightskip compare datalist.json predictions --part test -o comparison
  lightskip compare bundles/liver predictions --fold 0 --dataset_dir Task03_Liver -o comparison
  lightskip compare labelsTr sat:0=run_0 sat:1=run_1 concat:0=run_2 concat:1=run_3 -o comparison
"""


def add_compare_verbs(verbs: Any) -> None:
    """Add `compare` to the subparsers."""
    compare = verbs.add_parser(
        "compare",
        help="compare label maps with their references, and with each other",
        description="Compare sets of label maps with a reference: metrics of every case, means with intervals, paired "
        "differences, a ranking.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument(
        "reference",
        type=require_path,
        metavar="REFERENCE",
        help="a folder of label maps, a datalist (.json), or a bundle, by folder or name",
    )
    compare.add_argument(
        "sets",
        nargs="+",
        metavar="SET",
        help="FOLDER, NAME=FOLDER, or ARM:SEED=FOLDER for several seeds of one arm",
    )
    compare.add_argument(
        "-o", "--output", type=require_path, required=True, metavar="OUT", help="folder of the results"
    )

    cases = compare.add_argument_group("cases")
    cases.add_argument("--part", metavar="PART", help="part of a datalist: test, training, or the number of a fold")
    cases.add_argument("--fold", type=int, metavar="N", help="a bundle's or datalist's fold (default: the bundle's)")
    cases.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="the dataset (default: the datalist's)")
    cases.add_argument(
        "--cases", nargs="+", action="extend", default=[], metavar="CASE", help="only these, or a file with their names"
    )
    cases.add_argument(
        "--subjects",
        metavar="FILE|REGEX",
        help="CSV with case,subject, or a pattern whose first group is the subject (default: the datalist's)",
    )

    labels = compare.add_argument_group("labels")
    labels.add_argument(
        "--labels",
        type=_named_value,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="labels of the reference (default: those of the datalist, bundle or files)",
    )
    labels.add_argument(
        "--as_background",
        type=int,
        nargs="+",
        action="extend",
        default=[],
        metavar="VALUE",
        help="values that count as background",
    )
    labels.add_argument(
        "--regions",
        type=_region,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE,...",
        help="unions of labels to measure instead of labels (default: those of the datalist or bundle)",
    )
    labels.add_argument(
        "--ignore",
        type=int,
        nargs="+",
        action="extend",
        default=[],
        metavar="VALUE",
        help="values of the reference that count in no metric (default: those of the datalist or bundle)",
    )

    metrics = compare.add_argument_group("metrics")
    metrics.add_argument(
        "--metrics", nargs="+", action="extend", default=[], metavar="METRIC", help="only these (default: all)"
    )
    metrics.add_argument(
        "--tolerance_mm",
        type=_tolerance,
        nargs="+",
        action="extend",
        default=[],
        metavar="X|NAME=X",
        help="tolerance of the NSD in mm, for all labels or for one (default: the bundle's, else 1)",
    )
    metrics.add_argument(
        "--lesions",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL",
        help="labels whose separate parts are matched one by one",
    )
    metrics.add_argument(
        "--lesion_iou", type=float, metavar="X", help="IoU from which a lesion is matched (default: 0.1)"
    )
    metrics.add_argument(
        "--cldice", nargs="+", action="extend", default=[], metavar="LABEL", help="labels that are tubes, for clDice"
    )
    metrics.add_argument(
        "--membranes",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL",
        help="labels of slices that separate cells, for V_rand and V_info of probabilities next to predictions",
    )
    metrics.add_argument(
        "--calibration",
        action="store_true",
        help="measure the probabilities next to predictions (NAME_prob.nii.gz): ECE and Brier score",
    )

    work = compare.add_argument_group("work")
    work.add_argument("--jobs", type=int, metavar="N", help="processes (default: one per CPU, 8 at most)")
    work.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for the cases that are read at the same time, such as 4GB (default: 80%% of free memory)",
    )
    work.add_argument("--seed", type=int, metavar="N", help="seed of the bootstrap (default: 0)")
    work.add_argument("--resamples", type=int, metavar="N", help="draws of the bootstrap (default: 10000)")
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    from ..bundle.words import as_text  # noqa: PLC0415
    from ..comparison.command import compare  # noqa: PLC0415
    from ..comparison.request import Request  # noqa: PLC0415
    from ..comparison.table import format_comparison  # noqa: PLC0415
    from ..data.amounts import parse_memory  # noqa: PLC0415

    # An option that is not named has the default of the room that does the work.
    named = {name: value for name, value in vars(options).items() if value is not None}
    known = {name: named[name] for name in Request.__dataclass_fields__ if name in named}
    if "memory" in known:
        known["memory"] = parse_memory(known["memory"])
    summary = compare(Request(**known, command=as_text(["lightskip", *options.given])))
    print(format_comparison(summary))
    print(f"\nresults: {options.output}")
    return 0


def _named_value(text: str) -> tuple[str, int]:
    name, equals, value = text.rpartition("=")
    try:
        return (name, int(value)) if equals and name else ("", int("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE, such as liver=1") from None


def _region(text: str) -> tuple[str, list[str]]:
    name, _, values = text.partition("=")
    words = [word.strip() for word in values.split(",")]
    if not name or not all(words):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE,VALUE, such as tumour=1,2,3")
    return name, words


def _tolerance(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a distance in mm, nor NAME=X, such as liver=2") from None
