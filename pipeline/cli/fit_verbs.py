"""The verb that goes from a dataset to a measured bundle and its page: `fit`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .words import require_path

__all__ = ["add_fit_verbs"]

_LAYOUTS = ("msd", "nnunet", "bids", "table", "totalsegmentator", "kits", "folders")


def add_fit_verbs(verbs: Any) -> None:
    """Add `fit` to the subparsers."""
    fit = verbs.add_parser(
        "fit",
        help="from a dataset to a trained, measured bundle and its page, in one command",
        description="List a dataset's cases, check them, plan a bundle, train it, measure it, and make a page of the "
        "result. Each step is printed as the command that it stands for. The same command continues an interrupted "
        "run. It stops where the check finds problems.",
        epilog="Exit status: 0 done, 1 problems in the dataset, 2 a mistake in an option or the dataset, 130 "
        "interrupted.",
    )
    fit.add_argument(
        "source",
        type=require_path,
        nargs="?",
        metavar="DATASET",
        help="the dataset's folder, a CSV, or a datalist (JSON)",
    )
    fit.add_argument("-o", "--output", type=require_path, required=True, metavar="RUN", help="folder of the run")
    fit.add_argument("--hours", type=float, metavar="H", help="time of all trainings together (default: 1)")
    fit.add_argument(
        "--folds", metavar="all|N", help="train every fold and leave an ensemble, or only fold N (default: 0)"
    )
    fit.add_argument(
        "--fold",
        metavar="all|N",
        help="all: train on all cases, without validation; with --folds, behind the folds. N: as --folds N",
    )
    fit.add_argument("--name", metavar="NAME", help="name of the bundle (default: the dataset's)")
    _add_dataset_options(fit)
    _add_training_options(fit)
    fit.set_defaults(run=_fit)


def _add_dataset_options(fit: argparse.ArgumentParser) -> None:
    dataset = fit.add_argument_group("dataset, as for `lightskip datalist`")
    dataset.add_argument("--layout", choices=_LAYOUTS, help="layout of the folder (default: detected)")
    dataset.add_argument("--images", nargs="+", metavar="PATTERN", help="images: one pattern per channel")
    dataset.add_argument("--labels", metavar="PATTERN", help="label maps of the images, or a mask per class in braces")
    dataset.add_argument("--overlaps", choices=("auto", "keep", "last"), help="masks that overlap (default: auto)")
    dataset.add_argument("--structures", nargs="+", metavar="NAME", help="structures of RTSTRUCT: NAME or LABEL=NAME")
    dataset.add_argument("--dataset_dir", type=require_path, metavar="DIR", help="folder where relative paths start")
    dataset.add_argument("--suffix", nargs="+", dest="suffixes", metavar="NAME", help="BIDS images: T1w FLAIR …")
    dataset.add_argument("--label-suffix", metavar="NAME", help="BIDS label maps: dseg, mask, …")
    dataset.add_argument("--derivatives", metavar="NAME", help="BIDS pipeline that made the label maps")
    dataset.add_argument(
        "--unlabelled", choices=("refuse", "test", "ignore"), help="use of images without a label map (default: refuse)"
    )
    dataset.add_argument(
        "--outside",
        action="store_const",
        const=[],
        help="the dataset may have files outside its folder, by absolute paths or links, as for `lightskip plan`",
    )
    dataset.add_argument(
        "--splits", type=require_path, metavar="FILE", help="nnU-Net's splits_final.json, if it is elsewhere"
    )
    dataset.add_argument("--subject", metavar="REGEX", help="pattern of file names; its first group is the subject")
    dataset.add_argument("--label-names", nargs="+", metavar="NAME", help="background liver …, or VALUE=NAME")
    dataset.add_argument("--channel-names", nargs="+", metavar="NAME", help="CT, MRI, T1, …")
    dataset.add_argument("--regions", nargs="+", metavar="NAME=LABELS", help="whole=1,2,3 core=2,3 …")
    dataset.add_argument("--region-order", nargs="+", metavar="NAME=LABEL", help="label that each region writes")
    dataset.add_argument("--ignore", type=int, nargs="+", metavar="VALUE", help="values of voxels without annotation")
    dataset.add_argument("--fold-count", type=int, metavar="N", help="number of folds (default: the dataset's, or 5)")


def _add_training_options(fit: argparse.ArgumentParser) -> None:
    training = fit.add_argument_group("training, as for `lightskip plan` and `lightskip train`")
    training.add_argument("--seed", type=int, metavar="N", help="seed of the folds and of the training (default: 0)")
    training.add_argument("--memory", metavar="8GB", help="memory limit of training (default: 80%% of free memory)")
    training.add_argument("--device", metavar="cpu|cuda", help="device (default: a GPU if there is one)")
    training.add_argument("--network", metavar="NAME", help="network (default: vnet)")
    training.add_argument("--skip", metavar="NAME", help="skip connection, or a list of them (default: sat4)")
    training.add_argument("--spacing", type=float, nargs="+", metavar="MM", help="resample to this (default: chosen)")
    training.add_argument(
        "--modality", choices=("MRI", "CT", "US", "EM", "synthetic", "other"), help="kind of scans (default: chosen)"
    )
    training.add_argument(
        "--from", dest="start_from", metavar="WEIGHTS", help="start from a file of weights, or from a bundle's"
    )
    training.add_argument("--frozen_epochs", type=int, metavar="N", help="with --from: only the decoder trains first")
    training.add_argument("--tracking", metavar="NAME", help="tensorboard, mlflow or none (default: tensorboard)")


def _fit(options: argparse.Namespace) -> int:
    from ..fitting.fit import fit  # noqa: PLC0415
    from ..fitting.options import OPTIONS, FitOptions, choose_folds  # noqa: PLC0415

    given = {key: value for key, value in vars(options).items() if value is not None}
    own: dict[str, Any] = {key: given[key] for key in ("hours", "name") if key in given}
    own |= choose_folds(options.folds, options.fold)
    passed = {option.name: given[option.name] for option in OPTIONS if option.name in given}
    try:
        return fit(FitOptions(options.source, options.output, passed=passed, **own), say=_say)
    except KeyboardInterrupt:
        print("to continue, run the same command again", file=sys.stderr)
        raise


def _say(text: str) -> None:
    print(text, flush=True)
