"""Verbs that change how a bundle predicts, as measured on its validation fold: `postprocess` and `quantize`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .words import add_bundle, bundle_folder, require_path

__all__ = ["add_postprocess_verbs"]


def add_postprocess_verbs(verbs: Any) -> None:
    """Add `postprocess` and `quantize` to the subparsers."""
    choose = verbs.add_parser(
        "postprocess",
        help="choose a bundle's post-processing on its validation fold",
        description="Predict a bundle's validation fold; try the largest component, minimum sizes and hole filling for "
        "each label; write those into the plan that raise Dice significantly. Often there are none.",
    )
    _add_fold_options(choose)
    choose.add_argument("--dry-run", action="store_true", help="write nothing; show the choice")
    choose.set_defaults(run=_postprocess)
    _add_quantize(verbs)


def _add_fold_options(verb: argparse.ArgumentParser) -> None:
    """Add the bundle, and which fold is predicted with which weights."""
    add_bundle(verb, "plan.yaml")
    verb.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="its dataset (default: the config's)")
    verb.add_argument("--fold", type=int, metavar="N", help="fold to predict (default: the config's)")
    verb.add_argument("--training", metavar="NAME", help="weights of this training: a folder in BUNDLE/runs, or a path")
    verb.add_argument(
        "--checkpoint",
        type=require_path,
        metavar="FILE",
        help="weights not trained on that fold (default: the fold's only training's, or the bundle's own)",
    )


def _add_quantize(verbs: Any) -> None:
    quantize = verbs.add_parser(
        "quantize",
        help="make a network in int8, for faster prediction on a CPU",
        description="Quantise a bundle's network to int8, calibrated on training cases; predict its validation fold in "
        "float32 and in int8; keep the int8 network beside its weights if no label's Dice falls by more than .001. "
        "`lightskip predict --runtime int8` takes it.",
        epilog="Needs OpenVINO and NNCF: pip install 'lightskip[quantize]'. Exit status: 0 kept, or a dry run of one "
        "that would be; 1 not kept.",
    )
    _add_fold_options(quantize)
    quantize.add_argument("--cases", type=int, metavar="N", help="training cases that calibrate (default: 30)")
    quantize.add_argument("--dry-run", action="store_true", help="write nothing; show the measurements")
    quantize.set_defaults(run=_quantize)


def _postprocess(options: argparse.Namespace) -> int:
    from ..imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from ..prediction.choose import choice_text, choose_postprocessing  # noqa: PLC0415

    bundle = bundle_folder(options.bundle, writes="" if options.dry_run else "postprocess")
    with _only_one(options, bundle, "postprocess"):
        chosen = choose_postprocessing(
            bundle,
            checkpoint=options.checkpoint,
            training=options.training,
            fold=options.fold,
            dataset_dir=options.dataset_dir,
            dry_run=options.dry_run,
        )
    print(choice_text(chosen), end="")
    return 0


def _quantize(options: argparse.Namespace) -> int:
    from ..imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from ..prediction.quantize import quantize_bundle  # noqa: PLC0415
        from ..prediction.quantized import quantized_text  # noqa: PLC0415

    bundle = bundle_folder(options.bundle, writes="" if options.dry_run else "quantize")
    with _only_one(options, bundle, "quantize"):
        found = quantize_bundle(
            bundle,
            checkpoint=options.checkpoint,
            training=options.training,
            fold=options.fold,
            dataset_dir=options.dataset_dir,
            dry_run=options.dry_run,
            **({} if options.cases is None else {"cases": options.cases}),
        )
    print(quantized_text(found, bundle), end="")
    return 0 if found.is_good else 1


@contextmanager
def _only_one(options: argparse.Namespace, bundle: Path, verb: str) -> Iterator[None]:
    """Refuse a second command of this verb on a bundle; a dry run writes nothing."""
    if options.dry_run or not bundle.is_dir():
        yield
        return
    from ..data.one_at_a_time import lock_name, one_at_a_time  # noqa: PLC0415

    with one_at_a_time(bundle / lock_name("", verb), bundle, verb=f"lightskip {verb}"):
        yield
