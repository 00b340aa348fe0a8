"""The verb that probes a trained network: `probe`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .words import add_bundle, bundle_folder, require_path

__all__ = ["add_probe_verbs"]


def add_probe_verbs(verbs: Any) -> None:
    """Add `probe` to the subparsers."""
    probe = verbs.add_parser(
        "probe",
        help="measure what a trained network's skip connections contribute",
        description="Take something away from one level's skip connection of a trained network and measure the Dice of "
        "the validation fold, without training again. With --maps, write what each level transfers as images.",
        epilog="Probes: off (the skip transfers zeros), shuffle (it gets another case's feature map), mean (each "
        "channel is replaced by its mean over the window), maps=N (only the N strongest maps), none. "
        "Level 0 is the finest.",
    )
    add_bundle(probe, "rendered configs")
    probe.add_argument(
        "-o", "--output", type=require_path, required=True, metavar="OUT", help="new or empty folder to write"
    )
    probe.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="its dataset (default: the config's)")
    probe.add_argument("--fold", type=int, metavar="N", help="fold to measure (default: the config's)")
    probe.add_argument(
        "--training", metavar="NAME", help="weights of this training: a folder in BUNDLE/runs, or a path"
    )
    probe.add_argument(
        "--checkpoint", type=require_path, metavar="FILE", help="weights (default: those that evaluate would take)"
    )
    probe.add_argument(
        "--probes",
        nargs="+",
        metavar="PROBE",
        help="off, shuffle, mean, maps=N, or none (default: off shuffle mean maps=1)",
    )
    probe.add_argument("--levels", type=int, nargs="+", metavar="N", help="levels to probe (default: all with a skip)")
    probe.add_argument("--maps", action="store_true", help="also write each level's maps in the scan's grid")
    probe.add_argument(
        "--cases", nargs="+", default=[], metavar="NAME", help="cases whose maps are written (default: the first 3)"
    )
    probe.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of shuffle and of the intervals (default: %(default)s)"
    )
    probe.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of the config, such as precision=float32",
    )
    probe.set_defaults(run=_probe)


def _probe(options: argparse.Namespace) -> int:
    from ..probe import DEFAULT_PROBES, probe_bundle  # noqa: PLC0415

    done = probe_bundle(
        bundle_folder(options.bundle),
        options.output,
        checkpoint=options.checkpoint,
        training=options.training,
        fold=options.fold,
        dataset_dir=options.dataset_dir,
        probes=options.probes or DEFAULT_PROBES,
        levels=options.levels,
        maps=options.maps,
        cases=options.cases,
        seed=options.seed,
        settings=options.set,
    )
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    if done.weights:
        print(done.weights)
    if done.results is not None:
        print(done.results.format_table(), done.results.format_levels(), sep="\n\n")
    print(*done.files, sep="\n")
    return 0
