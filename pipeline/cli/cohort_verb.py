"""The verb that segments many scans as jobs: `cohort`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .predict_options import add_prediction_options, make_request
from .words import add_bundle, require_path

__all__ = ["add_cohort_verb"]

# What each job gets as its share, instead of the option itself.
_SHARED = ("memory", "threads")


def add_cohort_verb(verbs: Any) -> None:
    """Add `cohort` to the subparsers."""
    cohort = verbs.add_parser(
        "cohort",
        help="segment many scans as jobs, on this machine or on a cluster",
        description="Divide scans into shards, segment each with `lightskip predict --shard` in a job of its own, and "
        "merge the reports. Snakemake runs the jobs. The files are those of one process. The same command continues: "
        "finished shards do not run again.",
        epilog="Needs Snakemake: pip install 'lightskip[study]'; for a cluster 'lightskip[cluster]' as well. Exit "
        "status: that of lightskip predict; also 1 if some shards did not finish.",
    )
    add_bundle(cohort, "rendered configs")
    cohort.add_argument("inputs", nargs="*", metavar="INPUT", help="scans, folders, DICOM series folders, datalists")
    cohort.add_argument("-o", "--output", type=require_path, required=True, metavar="OUT", help="output folder")
    cohort.add_argument(
        "--shards", type=int, metavar="N", help="number of shards (default: at least -j, at most 4 times -j)"
    )
    cohort.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="shards at the same time (default: the profile's, or 1)"
    )
    cohort.add_argument(
        "--profile",
        metavar="NAME",
        help="where jobs run: local, slurm, kubernetes, or a folder with a profile of Snakemake (default: local)",
    )
    cohort.add_argument("--dry-run", action="store_true", help="run nothing; show the shards and their commands")
    passed = add_prediction_options(cohort)
    cohort.set_defaults(run=_cohort, passed=passed)


def _cohort(options: argparse.Namespace) -> int:
    from ..imports import deferred_imports, quick_imports  # noqa: PLC0415

    with quick_imports(), deferred_imports():
        from ..cohort.run import CohortOptions, run_cohort  # noqa: PLC0415

    asked = CohortOptions(
        request=make_request(options),
        words=list(_words(options.passed, options)),
        shards=options.shards,
        jobs=options.jobs,
        profile=options.profile,
        memory=options.memory,
    )
    try:
        return run_cohort(asked, say=_say, warn=_warn, dry_run=options.dry_run)
    except KeyboardInterrupt:
        print("to continue, run the same command again", file=sys.stderr)
        raise


def _words(actions: Sequence[argparse.Action], options: argparse.Namespace) -> Iterator[str]:
    """Yield the words of `predict` for the options that differ from their defaults."""
    for action in actions:
        value = getattr(options, action.dest)
        if value == action.default or action.dest in _SHARED:
            continue
        yield action.option_strings[0]
        if action.nargs != 0:
            yield from map(_text, value if isinstance(value, list) else [value])


def _text(value: Any) -> str:
    """Return a value as it is written on the command line; a setting is a pair of key and value."""
    return f"{value[0]}={value[1]!r}" if isinstance(value, tuple) else str(value)


def _say(text: str) -> None:
    print(text, flush=True)


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
