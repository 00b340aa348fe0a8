"""The verb that compares skip connections by many trainings: `study`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .words import require_path

__all__ = ["add_study_verb"]

_EPILOG = """\
examples:
  lightskip study study.yaml --dataset_dir hippocampus_mri=Task04_Hippocampus --dry-run
  lightskip study study.yaml --dataset_dir hippocampus_mri=Task04_Hippocampus -j 2 --hours 8
  lightskip study study.yaml --profile slurm -j 50 --yes
"""


def add_study_verb(verbs: Any) -> None:
    """Add `study` to the subparsers."""
    study = verbs.add_parser(
        "study",
        help="compare skip connections: networks, seeds and folds with one budget, and a report",
        description="Train and measure every combination of a study file, and write a report with intervals and a "
        "verdict. A second start continues where the first one ended.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    study.add_argument("file", type=require_path, metavar="STUDY", help="the study file (YAML)")
    study.add_argument(
        "-o", "--output", type=require_path, metavar="OUT", help="folder of the results (default: studies/NAME)"
    )
    study.add_argument(
        "--dataset_dir",
        type=_named_folder,
        action="append",
        default=[],
        metavar="BUNDLE=DIR",
        help="folder of a bundle's dataset; may be repeated (default: the study file's, else the bundle's)",
    )
    study.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="runs at the same time (default: the profile's, or 1)"
    )
    study.add_argument("--profile", metavar="NAME|FOLDER", help="local, slurm, kubernetes, or a folder of Snakemake's")
    study.add_argument("--hours", type=float, metavar="H", help="hours that it may take without --yes (default: 1)")
    study.add_argument("--yes", action="store_true", help="start, however many hours it takes")
    study.add_argument("--dry-run", action="store_true", help="list the runs and the hours, and end")
    study.add_argument("--report-only", action="store_true", help="write the report of the runs that are there")
    study.add_argument("--run", dest="only_run", metavar="ID", help="do only this run, as a job on a cluster does")
    study.set_defaults(run=_study)


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"found {text!r}; expected BUNDLE=DIR, such as hippocampus_mri=Task04")
    return name, Path(folder).expanduser()


def _study(options: argparse.Namespace) -> int:
    from ..study.command import DEFAULT_HOURS, StudyOptions, do_one_run, run_study  # noqa: PLC0415

    chosen = StudyOptions(
        file=options.file.expanduser(),
        output=options.output,
        datasets=dict(options.dataset_dir),
        jobs=options.jobs,
        profile=options.profile,
        hours=DEFAULT_HOURS if options.hours is None else options.hours,
        yes=options.yes,
        dry_run=options.dry_run,
        report_only=options.report_only,
    )
    if options.only_run is not None:
        print(do_one_run(chosen, options.only_run))
        return 0
    return run_study(chosen, lambda line: print(line, flush=True))
