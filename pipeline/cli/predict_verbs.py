"""Verbs that apply a bundle: `predict`, and `postprocess`, which chooses its post-processing."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..streams import find_lost_output, is_closed
from .words import add_bundle, bundle_folder, require_name, require_path, setting

__all__ = ["add_predict_verbs", "add_prediction_options", "make_request"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_STOPPING = b"\nstopping: files that were started are being finished; the same command continues from there\n"


def add_predict_verbs(verbs: Any) -> None:
    """Add `predict` and `postprocess` to the subparsers."""
    _add_predict(verbs)
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


def _add_predict(verbs: Any) -> None:
    predict = verbs.add_parser(
        "predict",
        help="segment scans with a bundle",
        description="Segment scans with a bundle: a label map in each scan's own grid, and more files on request.",
        epilog="Scans are NIfTI, NRRD, MHA, .hdr/.img, MGZ, Zarr, pictures, DICOM series folders, folders of these, or "
        "datalists. A scan with one file per channel is NAME_0000, NAME_0001, ... or FILE,FILE. Finished scans are "
        "skipped on the next start. Exit status: 0 all segmented, 1 some failed or the disk is full, "
        "2 all failed or nothing could run, "
        "130 interrupted. Several processes: --shard, or torchrun --nproc_per_node N -m pipeline predict ...",
    )
    add_bundle(predict, "rendered configs")
    predict.add_argument("inputs", nargs="*", metavar="INPUT", help="scans, folders, DICOM series folders, datalists")
    predict.add_argument(
        "-o", "--output", type=require_path, metavar="OUT", help="output folder; or a file, for one scan"
    )
    predict.add_argument(
        "--stdin",
        action="store_true",
        help='read jobs from standard input instead, one JSON object a line: {"scan": PATH, "output": PATH}; print one '
        "JSON object per job. For other programs: the network is loaded once",
    )
    predict.add_argument(
        "--shard",
        metavar="I/N",
        help="segment share I of N of the scans, for N processes on any machines that write to one OUT; the last one "
        "writes the files about all",
    )
    predict.add_argument(
        "--merge",
        action="store_true",
        help="segment nothing; write the files about all scans of OUT, whose shards have all finished",
    )
    passed = add_prediction_options(predict)
    predict.set_defaults(run=_predict, passed=passed)


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


def _predict(options: argparse.Namespace) -> int:
    with _interrupt_once():
        return _run_prediction(options)


def _run_prediction(options: argparse.Namespace) -> int:
    if (options.threads or 0) > 0:
        # NumPy and ITK read these when they are imported.
        os.environ |= dict.fromkeys(_THREADS, str(options.threads))
    from ..imports import deferred_imports, quick_imports  # noqa: PLC0415
    from ..memory import keep_blocks  # noqa: PLC0415

    if options.owns_process:
        keep_blocks()
    with quick_imports(), deferred_imports():
        from ..prediction.command import predict_files  # noqa: PLC0415
        from ..prediction.jobs import run_jobs  # noqa: PLC0415
        from ..prediction.merge import merge_shards  # noqa: PLC0415

    _check_words(options)
    if options.merge:
        summary = merge_shards(options.output, bundle=bundle_folder(options.bundle))
        print(summary.text, flush=True)
        return summary.status
    request = make_request(options)
    if options.stdin:
        return run_jobs(request, sys.stdin, _reply, output=options.output)
    summary = predict_files(request, on_result=_print_result)
    if summary.first:
        print(summary.text, flush=True)
    return summary.status


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


def _check_words(options: argparse.Namespace) -> None:
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


def _reply(result: Any) -> None:
    """Print a line for the other program, which waits for it.

    Raises:
        OSError: it has gone, or the line cannot be written.
    """
    print(json.dumps(result), flush=True)
    lost = find_lost_output()
    if lost is not None:
        # Without a reader further jobs would be done for nobody.
        lost.filename = "standard output"
        raise lost


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
        from ..prediction.quantize import quantize_bundle, quantized_text  # noqa: PLC0415

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


@contextmanager
def _interrupt_once() -> Iterator[None]:
    """Interrupt at the first Ctrl-C or SIGTERM, and ignore further ones during the clean-up.

    Under torchrun each signal comes twice: from the terminal and from torchrun.
    """
    # Programs in the background of a shell ignore Ctrl-C, and only the main thread can handle signals.
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    came: list[int] = []

    def interrupt(number: int, _: Any) -> None:
        came.append(number)
        if len(came) > 1:
            return
        # print() is not safe here: it may be in the middle of a line.
        with suppress(OSError):
            os.write(2, _STOPPING)
        raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN if came else before[number])


def _print_result(result: Any) -> None:
    for note in result.notes:
        print(f"note: {result.name}: {note}", file=sys.stderr)
    if result.error:
        print(f"error: {result.error}", file=sys.stderr)
    if result.traceback:
        print(result.traceback, file=sys.stderr)
