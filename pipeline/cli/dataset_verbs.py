"""Verbs from a dataset to a bundle: sample, datalist, check, plan."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..imports import quick_imports
from .datalist_verb import add_datalist_verb
from .words import require_path

__all__ = ["add_dataset_verbs"]

_SAMPLES = {"shapes": 24, "left_right": 40, "nested": 24}  # labelled scans by kind of built-in dataset


def add_dataset_verbs(verbs: Any) -> None:
    """Add `sample`, `datalist`, `check` and `plan` to the subparsers."""
    sample = verbs.add_parser("sample", help="write a small synthetic dataset to try LightSkip with")
    sample.add_argument("folder", type=require_path, metavar="DIR", help="folder to write it to")
    sample.add_argument(
        "--kind",
        choices=_SAMPLES,
        default="shapes",
        help="three shapes in one channel; two organs in two channels, in nnU-Net's layout; or a structure of three "
        "nested regions (default: %(default)s)",
    )
    defaults = ", ".join(f"{cases} {kind}" for kind, cases in _SAMPLES.items())
    sample.add_argument("--cases", type=int, help=f"labelled scans for training (default: {defaults})")
    sample.add_argument("--scans", type=int, default=4, help="scans to predict (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="the same seed draws the same scans (default: %(default)s)")
    sample.set_defaults(run=_sample)
    add_datalist_verb(verbs)
    _add_check(verbs)
    _add_plan(verbs)


def _add_check(verbs: Any) -> None:
    check = verbs.add_parser(
        "check",
        help="find problems in a dataset",
        description="Read every file of a datalist whole, and report its problems. Writes check.json and check.html. "
        "An interrupted check continues where it stopped. Exit status: 0 no problems, 1 problems or warnings, 2 the "
        "check could not run.",
    )
    check.add_argument(
        "datalist", type=require_path, metavar="DATALIST", help="JSON file, as `lightskip datalist` writes it"
    )
    check.add_argument(
        "-o", "--output", type=require_path, metavar="DIR", help="folder of the report (default: NAME_check here)"
    )
    check.add_argument(
        "--dataset_dir", type=require_path, metavar="DIR", help="folder where the datalist's paths start"
    )
    check.add_argument("--workers", type=int, help="cases read at the same time (default: one per CPU, at most 8)")
    check.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory for the cases that are read at the same time, such as 4GB (default: 80%% of free memory)",
    )
    check.add_argument("--again", action="store_true", help="read every file again, even if an earlier check has")
    check.add_argument(
        "--fix", type=require_path, metavar="DIR", help="write repaired copies of files that are safe to repair"
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON, not as a table")
    check.set_defaults(run=_check)


def _add_plan(verbs: Any) -> None:
    plan = verbs.add_parser(
        "plan",
        help="make a bundle for a dataset",
        description="Write a bundle for a dataset: plan.yaml with a reason for every choice, configs, documents. "
        "Uses the report of `lightskip check`, or makes it.",
    )
    plan.add_argument(
        "datalist", type=require_path, metavar="DATALIST", help="JSON file, as `lightskip datalist` writes it"
    )
    plan.add_argument("--name", required=True, help="name of the bundle: letters, digits and _")
    plan.add_argument(
        "-o",
        "--output",
        type=require_path,
        default=Path("bundles"),
        metavar="DIR",
        help="folder of bundles (default: %(default)s)",
    )
    plan.add_argument("--folder", metavar="NAME", help="name of the bundle's folder (default: the bundle's name)")
    plan.add_argument(
        "--check", type=require_path, metavar="DIR", help="folder of the check's report (default: NAME_check here)"
    )
    plan.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="folder where the datalist's paths start")
    plan.add_argument(
        "--outside",
        action="store_true",
        help="the datalist may name files outside the dataset's folder, by absolute paths or links",
    )
    plan.add_argument("--hours", type=float, default=1.0, help="time of the training (default: %(default)s)")
    plan.add_argument("--memory", metavar="8GB", help="memory limit of training (default: 80%% of free memory)")
    plan.add_argument("--device", metavar="cpu|cuda", help="device to train on (default: a GPU if there is one)")
    plan.add_argument("--network", default="vnet", metavar="NAME", help="network (default: %(default)s)")
    plan.add_argument(
        "--skip", default="sat4", metavar="NAME", help="skip connection, or a list of them (default: %(default)s)"
    )
    plan.add_argument("--spacing", type=float, nargs="+", metavar="MM", help="resample to this (default: chosen)")
    plan.add_argument(
        "--modality", choices=("MRI", "CT", "US", "EM", "synthetic", "other"), help="kind of scans (default: chosen)"
    )
    plan.set_defaults(run=_plan)


def _sample(options: argparse.Namespace) -> int:
    make: Callable[..., Path]
    if options.kind == "left_right":
        from ..data.sample_left_right import make_left_right_sample as make  # noqa: PLC0415
    elif options.kind == "nested":
        from ..data.sample_nested import make_nested_sample as make  # noqa: PLC0415
    else:
        from ..data.sample import make_sample as make  # noqa: PLC0415

    cases = _SAMPLES[options.kind] if options.cases is None else options.cases
    print(make(options.folder, cases=cases, scans=options.scans, seed=options.seed))
    return 0


def _check(options: argparse.Namespace) -> int:
    import json  # noqa: PLC0415

    from ..data.amounts import parse_memory  # noqa: PLC0415
    from ..data.check_dataset import check_dataset  # noqa: PLC0415
    from ..data.dataset import read_dataset  # noqa: PLC0415
    from ..data.fix import fix_dataset, require_new_folder  # noqa: PLC0415
    from ..report.check_page import write_check_page  # noqa: PLC0415
    from ..report.check_table import format_check  # noqa: PLC0415
    from ..report.fix_text import fix_text  # noqa: PLC0415
    from ..report.thumbnail import draw_thumbnail  # noqa: PLC0415

    folder = options.output or _check_folder(options.datalist)
    if options.fix:
        # Fail before minutes of reading, not after.
        require_new_folder(options.fix)
    try:
        report = check_dataset(
            options.datalist,
            folder,
            dataset_dir=options.dataset_dir,
            workers=options.workers,
            memory=None if options.memory is None else parse_memory(options.memory),
            resume=not options.again,
            draw=draw_thumbnail,
        )
    except KeyboardInterrupt:
        if not options.is_inner:
            print("to continue, run the same command again", file=sys.stderr)
        raise
    thumbnails = report.pop("thumbnails")
    write_check_page(report, thumbnails, folder / "check.html")
    print(json.dumps(report, indent=1) if options.json else format_check(report))
    stream = sys.stderr if options.json else sys.stdout
    print(f"\nreport: {folder / 'check.html'}, {folder / 'check.json'}", file=stream)
    without = sum(case["part"] == "training" and case["fold"] is None for case in report["cases"])
    if without:
        needed = "but `lightskip plan` needs folds: make a datalist with folds with `lightskip datalist`"
        print(f"no folds: {without} training cases have none, {needed}", file=stream)
    if options.fix:
        dataset = read_dataset(options.datalist, options.dataset_dir, needs_training=False)
        fixed = fix_dataset(dataset, report, options.fix)
        print(f"\n{fix_text(fixed)}", file=stream)
    return 1 if report["summary"]["problems"] + report["summary"]["warnings"] else 0


def _plan(options: argparse.Namespace) -> int:
    with quick_imports():
        from ..bundle.planning import plan_bundle  # noqa: PLC0415
        from ..report.thumbnail import draw_thumbnail  # noqa: PLC0415

    print(
        plan_bundle(
            options.datalist,
            options.name,
            options.output,
            folder=options.folder,
            check=options.check or _check_folder(options.datalist),
            dataset_dir=options.dataset_dir,
            hours=options.hours,
            memory=options.memory,
            device=options.device,
            network=options.network,
            skip=options.skip,
            spacing=options.spacing,
            modality=options.modality,
            outside=options.outside,
            # The same pictures as in `lightskip check`, which can continue from this check.
            draw=draw_thumbnail,
        )
    )
    return 0


def _check_folder(datalist: Path) -> Path:
    return Path(f"{datalist.stem}_check")
