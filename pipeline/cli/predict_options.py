"""The options of `predict`, which other verbs pass on, and what they ask for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..streams import is_closed
from .words import bundle_folder, require_name, setting

__all__ = ["add_prediction_options", "check_words", "make_request"]


def add_prediction_options(predict: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add the options of `predict` that other verbs pass on to it, and return them."""
    series = predict.add_argument(
        "--series",
        default="",
        metavar="WORD",
        help="the DICOM series to segment, of folders with several: its number, description or unique identifier",
    )
    outside = predict.add_argument(
        "--outside",
        action="store_true",
        help="a datalist may name files outside its folder, by absolute paths or links",
    )
    files = predict.add_argument_group("output files")
    files.add_argument(
        "--format",
        choices=("nii.gz", "nrrd", "dicom-seg", "rtstruct", "png"),
        default="nii.gz",
        help="format of label maps; nrrd is for 3D Slicer, dicom-seg needs highdicom, rtstruct has outlines, for "
        "radiotherapy, png is for pictures "
        "(default: %(default)s)",
    )
    files.add_argument(
        "--regions",
        choices=("files", "channels"),
        help="of a bundle with regions, which may overlap, also write these: NAME_REGION_region files, or one "
        "NAME_regions file with a channel, layer or segment for each",
    )
    files.add_argument(
        "--probabilities", action="store_true", help="write NAME_prob.nii.gz: one volume per label or region"
    )
    files.add_argument(
        "--uncertainty", action="store_true", help="write NAME_entropy.nii.gz, 0 (sure) to 1; report its mean"
    )
    files.add_argument(
        "--statistics",
        action="store_true",
        help="write NAME_statistics.json and statistics.csv: volume, surface, centroid, intensity",
    )
    files.add_argument("--preview", action="store_true", help="write NAME_preview.png: three slices with the labels")
    files.add_argument(
        "--keep-header-text",
        action="store_true",
        help="copy the texts of a NIfTI scan's header (descrip, aux_file, db_name) into NIfTI files (default: none)",
    )
    files.add_argument(
        "--anonymous",
        action="store_true",
        help="in DICOM files, replace the patient, and the study's dates and numbers; identifiers stay",
    )
    files.add_argument(
        "--overwrite", action="store_true", help="segment finished scans again and overwrite their files"
    )
    how = predict.add_argument_group("settings")
    how.add_argument(
        "--checkpoint",
        dest="checkpoints",
        type=require_name,
        nargs="+",
        default=[],
        metavar="FILE",
        help="weights; the probabilities of several are averaged (default: the bundle's own, or its only training's)",
    )
    how.add_argument(
        "--training",
        dest="trainings",
        nargs="+",
        default=[],
        metavar="NAME",
        help="weights of these trainings: folders in BUNDLE/runs, or paths",
    )
    how.add_argument(
        "--folds",
        nargs="+",
        type=int,
        metavar="N",
        help="weights of these folds' trainings: BUNDLE/runs/fold_N/model.pt",
    )
    how.add_argument("--tta", action="store_true", help="average over mirrored scans, along the axes training mirrored")
    how.add_argument(
        "--dropout-samples",
        type=int,
        default=1,
        metavar="N",
        help="average the probabilities of N passes with dropout; they are the same each time (default: one without)",
    )
    how.add_argument("--fast", action="store_true", help="let windows overlap by only a quarter")
    how.add_argument(
        "--no-postprocessing",
        dest="postprocessing",
        action="store_false",
        help="leave out the bundle's post-processing",
    )
    how.add_argument(
        "--anyway",
        action="store_true",
        help="segment scans that are unlike the training scans beyond reason, with a note (default: they fail)",
    )
    how.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (default: auto)")
    how.add_argument(
        "--runtime",
        default="auto",
        metavar="NAME",
        help="auto, pytorch, openvino, or int8 (see lightskip quantize); auto takes the one of the first two that ends "
        "soonest (default: %(default)s)",
    )
    how.add_argument("--memory", metavar="SIZE", help="memory limit, such as 4GB (default: 80%% of free memory)")
    how.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    how.add_argument(
        "--set",
        type=setting,
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of the inference config, such as inferer#sw_batch_size=1",
    )
    return [series, outside, *files._group_actions, *how._group_actions]


def make_request(options: argparse.Namespace) -> Any:
    """Return the options of a prediction, an instance of `prediction.request.Request`."""
    from ..prediction.outputs import Wanted  # noqa: PLC0415
    from ..prediction.request import Request  # noqa: PLC0415
    from ..prediction.settings import choose_checkpoints, memory_budget  # noqa: PLC0415
    from ..prediction.shards import Shard  # noqa: PLC0415

    if options.keep_header_text and options.anonymous:
        from ..data.errors import InputError  # noqa: PLC0415 - imports NumPy

        raise InputError(
            "--anonymous",
            found="--keep-header-text as well, whose texts may name the patient",
            expected="one of the two",
            remedy="leave one of the two out",
        )
    shard = getattr(options, "shard", None)
    wanted = Wanted(
        format=options.format,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        statistics=options.statistics,
        preview=options.preview,
        regions=options.regions or "",
        keep_header_text=options.keep_header_text,
        anonymous=options.anonymous,
    )
    bundle = bundle_folder(options.bundle)
    weights, note = choose_checkpoints(bundle, options.checkpoints, options.folds, options.trainings)
    if note:
        print(note, file=sys.stderr)
    return Request(
        bundle=bundle,
        inputs=options.inputs,
        # Only jobs, which have their own, can do without.
        output=options.output or Path(),
        wanted=wanted,
        checkpoints=weights,
        device=options.device,
        tta=options.tta,
        dropout_samples=options.dropout_samples,
        fast=options.fast,
        memory=memory_budget(options.memory),
        threads=options.threads,
        postprocessing=options.postprocessing,
        overwrite=options.overwrite,
        settings=dict(options.set),
        runtime=options.runtime,
        shard=None if shard is None else Shard.parse(shard),
        anyway=options.anyway,
        series=options.series,
        outside=options.outside,
    )


def check_words(options: argparse.Namespace) -> None:
    """Raise InputError if scans are named both on the command line and in jobs, or neither, or a stream is closed."""
    from ..data.errors import InputError  # noqa: PLC0415 - imports NumPy

    for word, given, excluded in (
        ("--shard", options.shard is not None, "--stdin" * options.stdin),
        ("--merge", options.merge, "--stdin" * options.stdin or "--shard" * (options.shard is not None)),
        ("--merge", options.merge, f"the scan {options.inputs[0]}" if options.inputs else ""),
    ):
        if given and excluded:
            raise InputError(
                word, found=f"{excluded} as well", expected="one of the two", remedy="leave one of the two out"
            )
    if options.stdin and options.inputs:
        raise InputError(
            "--stdin",
            found=f"the scan {options.inputs[0]} as well",
            expected="scans in the lines of standard input",
            remedy="leave one of the two out",
        )
    if options.stdin and sys.stdin is None:
        raise InputError(
            "--stdin",
            found="a closed standard input",
            expected="jobs, one a line",
            remedy="pipe them in: ... | lightskip",
        )
    if options.stdin and is_closed("stdout"):
        raise InputError(
            "--stdin",
            found="a closed standard output",
            expected="a program or a file that reads the replies",
            remedy="connect it: lightskip ... | PROGRAM, or > FILE",
        )
    if options.merge:
        _refuse_settings(options)
    if options.merge and options.output:
        return
    if options.merge:
        raise InputError("--merge", found="no output", expected="the folder of the shards", remedy="name it: -o OUT")
    if not options.stdin and not (options.inputs and options.output):
        raise InputError(
            "lightskip predict",
            found="no scan to segment" if not options.inputs else "no output",
            expected="scans and an output: lightskip predict BUNDLE INPUT... -o OUT",
            remedy="name scans after the bundle" if not options.inputs else "name a folder, or a file: -o OUT",
        )


def _refuse_settings(options: argparse.Namespace) -> None:
    """Raise InputError if a merge is given an option of segmentation, which it would not use."""
    from ..data.errors import InputError  # noqa: PLC0415 - imports NumPy

    given = [one.option_strings[0] for one in options.passed if getattr(options, one.dest) != one.default]
    if given:
        raise InputError(
            "--merge",
            found=f"{' and '.join(given)} as well",
            expected="no option of segmentation: the shards were segmented with those of their own",
            remedy="leave it out" if len(given) == 1 else "leave them out",
        )
