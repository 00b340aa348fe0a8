"""Verbs that make, train, evaluate and measure a bundle."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

from .words import add_bundle, bundle_folder, require_path, setting

__all__ = ["add_bundle_verbs"]


_SIGNALS = 128  # an exit status above it: a signal ended a process

_TRAIN_SETTINGS = """\
common settings:
  --dataset_dir DIR     the dataset (default: the datalist's)
  --fold N              this fold validates, the others train; all: all cases train, without validation
  --folds all|0,2       train these folds, one after the other
  --epochs N            length of the training
  --minutes N           length in time; with both, whichever ends first
  --skip NAME           skip connection
  --ckpt_dir DIR        folder of the training (default: BUNDLE/runs/fold_N)
  --resume              continue an interrupted training
  --longer stretch|restart   with --resume and another --epochs or --minutes: how its learning rate changes
  --from WEIGHTS        start from a file of weights, or from a bundle's (a folder, or a name as hippocampus_mri)
  --frozen_epochs N     with --from: train only the decoder in the first N epochs
  --processes N         train in N processes (or --gpus N)
"""
_EVALUATE_SETTINGS = """\
common settings:
  --dataset_dir DIR     the dataset (default: the datalist's)
  --training NAME       which training: a folder in BUNDLE/runs, or a path; measured on its own fold
  --checkpoint FILE     weights, instead of a training's
  --part test           the datalist's test cases with label maps, instead of the fold's cases
"""
_ALL_SETTINGS = """\
  --dry-run             print the command of MONAI's runner and exit

Every key of the bundle's config is a setting. Nested keys have # between their parts: --optimizer#weight_decay 0.02.
"""


def add_bundle_verbs(verbs: Any) -> None:
    """Add `render`, `train`, `evaluate` and `bench` to the subparsers."""
    render = verbs.add_parser("render", help="write a bundle's configs from its plan and the recipes")
    render.add_argument(
        "bundles", type=require_path, nargs="+", metavar="BUNDLE", help="a bundle's folder, with plan.yaml"
    )
    render.add_argument("--check", action="store_true", help="write nothing; show differences, and exit with 1 if any")
    render.set_defaults(run=_render)

    started = (
        ("train", "train a bundle with MONAI's runner, after checking the settings"),
        ("evaluate", "measure a training's weights on its validation cases"),
    )
    for verb, purpose in started:
        launch = verbs.add_parser(
            verb,
            help=purpose,
            usage=f"lightskip {verb} BUNDLE [--KEY VALUE ...] [--dry-run]"
            + (" [--processes N]" if verb == "train" else " [--training NAME]"),
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=(_TRAIN_SETTINGS if verb == "train" else _EVALUATE_SETTINGS) + _ALL_SETTINGS,
        )
        add_bundle(launch, "rendered configs")
        launch.add_argument("words", nargs=argparse.REMAINDER, metavar="--KEY VALUE", help="settings of this run")
        launch.set_defaults(run=_launch, print_help=launch.print_help)

    bench = verbs.add_parser("bench", help="measure how close training and inference are to the machine's limit")
    add_bundle(bench, "rendered configs")
    bench.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="its dataset (default: random scans)")
    bench.add_argument("--steps", type=int, default=20, help="timed training steps (default: %(default)s)")
    bench.add_argument("--warmup", type=int, default=3, help="untimed training steps first (default: %(default)s)")
    bench.add_argument("--cases", type=int, default=2, help="scans for timing inference (default: %(default)s)")
    bench.add_argument("--device", metavar="DEVICE", help="cpu, cuda:0, ... (default: the config's choice)")
    bench.add_argument(
        "--set",
        type=setting,
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of the config, such as skip=concat or network_def#dropout=0.1",
    )
    bench.add_argument("-o", "--output", type=require_path, metavar="FILE", help="JSON file to write the numbers to")
    bench.set_defaults(run=_bench)


def _render(options: argparse.Namespace) -> int:
    from ..bundle.render import check_network, check_rendered, write_rendered  # noqa: PLC0415

    bundles = [bundle_folder(bundle, writes="" if options.check else "render") for bundle in options.bundles]
    for bundle in bundles:
        check_network(bundle)
    if not options.check:
        for bundle in bundles:
            print(*write_rendered(bundle), sep="\n")
        return 0
    differences = [diff for bundle in bundles for diff in check_rendered(bundle).values()]
    print(*differences, sep="", end="")
    return 1 if differences else 0


def _launch(options: argparse.Namespace) -> int:
    if {"-h", "--help"} & set(options.words):
        options.print_help()
        return 0
    from ..bundle.fold_trainings import names_folds, train_folds  # noqa: PLC0415
    from ..bundle.launch import prepare  # noqa: PLC0415

    if options.verb == "train" and names_folds(options.words):
        try:
            return train_folds(bundle_folder(options.bundle), options.words, say=partial(print, flush=True))
        except KeyboardInterrupt:
            print("to continue, run the same command again", file=sys.stderr)
            raise
    launch = prepare(options.verb, bundle_folder(options.bundle), options.words)
    if launch.warning:
        print(f"warning: {launch.warning}", file=sys.stderr)
    print(launch.note + launch.command, flush=True)
    if launch.dry_run:
        return 0
    try:
        status = launch.run()
    except KeyboardInterrupt:
        if not options.is_inner:
            print(launch.resume_hint(), file=sys.stderr, end="")
        raise
    if status == 0:
        print(launch.outcome(), end="")
    elif status > _SIGNALS:
        print(launch.resume_hint(), file=sys.stderr, end="")
    return status


def _bench(options: argparse.Namespace) -> int:
    from ..bench import bench, format_bench, format_bench_json  # noqa: PLC0415
    from ..files import write_text  # noqa: PLC0415

    measured = bench(
        bundle_folder(options.bundle),
        dataset_dir=options.dataset_dir,
        steps=options.steps,
        warmup=options.warmup,
        cases=options.cases,
        device=options.device,
        overrides=dict(options.set),
    )
    if options.output:
        write_text(options.output, format_bench_json(measured))
    print(format_bench(measured))
    return 0
