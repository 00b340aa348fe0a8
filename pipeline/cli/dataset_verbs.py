"""Verbs from a dataset to a bundle: sample, datalist, check, plan."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..imports import quick_imports

__all__ = ["add_dataset_verbs"]

_SAMPLES = {"shapes": 24, "left_right": 40}  # the kinds of built-in dataset, and how many labelled scans each has
_LAYOUTS = ("msd", "nnunet", "bids", "table")


def add_dataset_verbs(verbs: Any) -> None:
    """Add `sample`, `datalist`, `check` and `plan` to the subparsers."""
    sample = verbs.add_parser("sample", help="write a small drawn dataset to try everything with")
    sample.add_argument("folder", type=Path, metavar="DIR", help="folder to write it to")
    sample.add_argument(
        "--kind",
        choices=_SAMPLES,
        default="shapes",
        help="three shapes in one channel; or a left and a right organ in two channels, as nnU-Net lays them out "
        "(default: %(default)s)",
    )
    usual = ", ".join(f"{cases} {kind}" for kind, cases in _SAMPLES.items())
    sample.add_argument("--cases", type=int, help=f"labelled scans, for training (default: {usual})")
    sample.add_argument("--scans", type=int, default=4, help="scans to predict (default: %(default)s)")
    sample.add_argument("--seed", type=int, default=0, help="the same seed draws the same scans (default: %(default)s)")
    sample.set_defaults(run=_sample)
    _add_datalist(verbs)
    _add_check(verbs)
    _add_plan(verbs)


def _add_datalist(verbs: Any) -> None:
    datalist = verbs.add_parser(
        "datalist",
        help="list a dataset's cases, in folds, with checksums",
        description="Lists a dataset's cases, in folds, with checksums: a folder in the layout of the Medical "
        "Segmentation Decathlon, of nnU-Net or of BIDS, a table, or files by patterns: "
        "--images 'a/ilist*.nii.gz' --labels 'a/slist*.nii.gz', paired by what the * stands for.",
    )
    datalist.add_argument("source", type=Path, nargs="?", metavar="FOLDER|TABLE", help="the dataset's folder, or a CSV")
    datalist.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="JSON file to write")
    found = datalist.add_argument_group("what is where")
    found.add_argument("--layout", choices=_LAYOUTS, help="of the folder (default: what it looks like)")
    found.add_argument("--images", nargs="+", default=[], metavar="PATTERN", help="images, a pattern per channel")
    found.add_argument("--labels", metavar="PATTERN", help="their label maps")
    found.add_argument("--dataset_dir", type=Path, metavar="DIR", help="where relative paths start")
    found.add_argument("--suffix", nargs="+", default=[], dest="suffixes", metavar="NAME", help="BIDS: T1w FLAIR …")
    found.add_argument("--label-suffix", metavar="NAME", help="BIDS: dseg, mask, …")
    found.add_argument("--derivatives", metavar="NAME", help="BIDS: the pipeline whose label maps to take")
    found.add_argument(
        "--unlabelled",
        choices=("refuse", "test", "ignore"),
        default="refuse",
        help="what to do with an image that has no label map (default: %(default)s)",
    )
    folds = datalist.add_argument_group("folds")
    folds.add_argument("--folds", type=int, help="how many (default: the source's own, else 5)")
    folds.add_argument("--seed", type=int, default=0, help="of the shuffling into folds (default: %(default)s)")
    folds.add_argument("--subject", metavar="REGEX", help="whose first group, in a file's name, is the subject")
    folds.add_argument("--group", metavar="COLUMN", help="cases with one value stay in one fold")
    folds.add_argument("--stratify", nargs="+", default=[], metavar="COLUMN", help="or shape, spacing: spread evenly")
    words = datalist.add_argument_group("what it says")
    words.add_argument("--name", help="of the dataset")
    words.add_argument("--licence", help="of the data")
    words.add_argument(
        "--label-names", nargs="+", metavar="NAME", help="background liver …, or VALUE=NAME: 0=membrane 255=background"
    )
    words.add_argument(
        "--channel-names", nargs="+", metavar="NAME", help="CT, MRI, T1, …: how to normalise follows from it"
    )
    words.add_argument("--portable", action="store_true", help="leave out where the dataset lies on this machine")
    words.add_argument("--no-checksums", action="store_true", help="do not read the files")
    datalist.set_defaults(run=_datalist)


def _add_check(verbs: Any) -> None:
    check = verbs.add_parser(
        "check",
        help="find out what is wrong with a dataset",
        description="Reads every file of a datalist whole, and tells what is wrong with it. Writes check.json and "
        "check.html; an interrupted check goes on where it stopped. Exit status 0: nothing is wrong; 1: problems or "
        "warnings; 2: it could not run.",
    )
    check.add_argument("datalist", type=Path, metavar="DATALIST", help="JSON file, as `lightskip datalist` writes it")
    check.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="folder of the report (default: NAME_check here)"
    )
    check.add_argument("--dataset_dir", type=Path, metavar="DIR", help="where the datalist's paths start")
    check.add_argument("--workers", type=int, help="cases read at the same time (default: one per CPU, 8 at most)")
    check.add_argument("--again", action="store_true", help="read every file, whatever an earlier check has found")
    check.add_argument("--fix", type=Path, metavar="DIR", help="write repaired copies of what is safe to repair there")
    check.add_argument("--json", action="store_true", help="print the report as JSON, not as a table")
    check.set_defaults(run=_check)


def _add_plan(verbs: Any) -> None:
    plan = verbs.add_parser(
        "plan",
        help="make a bundle that fits a dataset",
        description="Writes a bundle for a dataset: plan.yaml with the reason of every choice, configs, documents. "
        "Takes the report of `lightskip check`, or makes it.",
    )
    plan.add_argument("datalist", type=Path, metavar="DATALIST", help="JSON file, as `lightskip datalist` writes it")
    plan.add_argument("--name", required=True, help="of the bundle: letters, digits and _")
    plan.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("bundles"),
        metavar="DIR",
        help="of bundles (default: %(default)s)",
    )
    plan.add_argument(
        "--check", type=Path, metavar="DIR", help="folder of the check's report (default: NAME_check here)"
    )
    plan.add_argument("--dataset_dir", type=Path, metavar="DIR", help="where the datalist's paths start")
    plan.add_argument("--hours", type=float, default=1.0, help="that training may take (default: %(default)s)")
    plan.add_argument("--memory", metavar="8GB", help="that training may take (default: 80 %% of what is free)")
    plan.add_argument("--device", metavar="cpu|cuda", help="to train on (default: a GPU if there is one)")
    plan.add_argument("--skip", default="sat4", metavar="NAME", help="skip connection (default: %(default)s)")
    plan.add_argument("--spacing", type=float, nargs="+", metavar="MM", help="to resample to (default: chosen)")
    plan.add_argument("--modality", choices=("MRI", "CT", "US", "EM", "synthetic", "other"), help="(default: chosen)")
    plan.set_defaults(run=_plan)


def _sample(options: argparse.Namespace) -> int:
    make: Callable[..., Path]
    if options.kind == "left_right":
        from ..data.sample_left_right import make_left_right_sample as make  # noqa: PLC0415
    else:
        from ..data.sample import make_sample as make  # noqa: PLC0415

    cases = _SAMPLES[options.kind] if options.cases is None else options.cases
    print(make(options.folder, cases=cases, scans=options.scans, seed=options.seed))
    return 0


def _datalist(options: argparse.Namespace) -> int:
    from ..data.layouts import find  # noqa: PLC0415
    from ..data.make_datalist import make_datalist, write_json  # noqa: PLC0415

    found = find(
        options.source,
        images=options.images,
        labels=options.labels,
        layout=options.layout,
        dataset_dir=options.dataset_dir,
        suffixes=options.suffixes,
        label_suffix=options.label_suffix,
        derivatives=options.derivatives,
        unlabelled=options.unlabelled,
        keep_folds=options.folds is None,
    )
    datalist = make_datalist(
        found,
        relative_to=None if options.portable else options.output.parent,
        folds=options.folds,
        seed=options.seed,
        subject=options.subject,
        group=options.group,
        stratify=options.stratify,
        label_names=options.label_names,
        channel_names=options.channel_names,
        checksums=not options.no_checksums,
        extra={key: value for key in ("name", "licence") if (value := getattr(options, key)) is not None},
    )
    write_json(datalist, options.output)
    print(options.output)
    return 0


def _check(options: argparse.Namespace) -> int:
    import json  # noqa: PLC0415

    from ..data.check_dataset import check_dataset  # noqa: PLC0415
    from ..data.dataset import read_dataset  # noqa: PLC0415
    from ..data.fix import fix_dataset, require_new_folder  # noqa: PLC0415
    from ..report.check_page import write_check_page  # noqa: PLC0415
    from ..report.check_table import format_check  # noqa: PLC0415
    from ..report.fix_text import fix_text  # noqa: PLC0415
    from ..report.thumbnail import draw_thumbnail  # noqa: PLC0415

    folder = options.output or _check_folder(options.datalist)
    if options.fix:
        # Before minutes of reading, not after.
        require_new_folder(options.fix)
    try:
        report = check_dataset(
            options.datalist,
            folder,
            dataset_dir=options.dataset_dir,
            workers=options.workers,
            resume=not options.again,
            draw=draw_thumbnail,
        )
    except KeyboardInterrupt:
        print("the same command goes on from here", file=sys.stderr)
        raise
    thumbnails = report.pop("thumbnails")
    write_check_page(report, thumbnails, folder / "check.html")
    print(json.dumps(report, indent=1) if options.json else format_check(report))
    told = sys.stderr if options.json else sys.stdout
    print(f"\nreport: {folder / 'check.html'}, {folder / 'check.json'}", file=told)
    without = sum(case["part"] == "training" and case["fold"] is None for case in report["cases"])
    if without:
        needed = "which `lightskip plan` needs: make a datalist with folds with `lightskip datalist`"
        print(f"no folds: {without} training cases have none, {needed}", file=told)
    if options.fix:
        fixed = fix_dataset(read_dataset(options.datalist, options.dataset_dir), report, options.fix)
        print(f"\n{fix_text(fixed)}", file=told)
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
            check=options.check or _check_folder(options.datalist),
            dataset_dir=options.dataset_dir,
            hours=options.hours,
            memory=options.memory,
            device=options.device,
            skip=options.skip,
            spacing=options.spacing,
            modality=options.modality,
            # The same pictures as those of `lightskip check`, which goes on from here.
            draw=draw_thumbnail,
        )
    )
    return 0


def _check_folder(datalist: Path) -> Path:
    return Path(f"{datalist.stem}_check")
