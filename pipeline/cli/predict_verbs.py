"""Verbs that apply a bundle: `predict`, and `postprocess`, which chooses what is done with its label maps."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .words import setting

__all__ = ["add_predict_verbs"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_STOPPING = b"\nstopping: what was begun to be written is finished; the same command goes on from there\n"


def add_predict_verbs(verbs: Any) -> None:
    """Add `predict` and `postprocess` to the subparsers."""
    _add_predict(verbs)
    choose = verbs.add_parser(
        "postprocess",
        help="choose the post-processing of a bundle's label maps by its validation fold",
        description="Predict a bundle's validation fold, try per label the largest component, minimum sizes and hole "
        "filling, and write into the plan those that raise Dice by more than chance; mostly that is none.",
    )
    choose.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder, with plan.yaml")
    choose.add_argument("--dataset_dir", type=Path, metavar="DIR", help="its dataset (default: the config's)")
    choose.add_argument("--fold", type=int, metavar="N", help="whose cases (default: the config's)")
    choose.add_argument(
        "--training", metavar="NAME", help="weights of this training, a folder in BUNDLE/runs or a path"
    )
    choose.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="weights not trained on that fold (default: the fold's only training's, or the bundle's own)",
    )
    choose.add_argument("--dry-run", action="store_true", help="write nothing; show what would be chosen")
    choose.set_defaults(run=_postprocess)


def _named(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name; for the working directory give .")
    return Path(text)


def _add_predict(verbs: Any) -> None:
    predict = verbs.add_parser(
        "predict",
        help="segment scans with a bundle",
        description="Segment scans with a bundle: label maps in each scan's own grid, and more if asked for.",
        epilog="Scans are NIfTI, NRRD, MHA, .hdr/.img, pictures, DICOM series folders, folders of these, datalists; a "
        "scan of several files with one channel each is NAME_0000, NAME_0001, ... or FILE,FILE. Finished scans are "
        "skipped on the next start. Exit status: 0 all, 1 some failed, 2 nothing could be run, 130 interrupted. "
        "Several processes: torchrun --nproc_per_node N -m pipeline predict ...",
    )
    predict.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder, with rendered configs")
    predict.add_argument("inputs", nargs="+", metavar="INPUT", help="scans, folders, DICOM series folders, datalists")
    predict.add_argument(
        "-o", "--output", type=_named, required=True, metavar="OUT", help="folder; or file, of one scan"
    )
    files = predict.add_argument_group("what is written")
    files.add_argument(
        "--format",
        choices=("nii.gz", "nrrd", "dicom-seg"),
        default="nii.gz",
        help="of label maps; nrrd is a segmentation of 3D Slicer, dicom-seg needs highdicom (default: %(default)s)",
    )
    files.add_argument("--probabilities", action="store_true", help="NAME_prob.nii.gz: one volume per label")
    files.add_argument(
        "--uncertainty", action="store_true", help="NAME_entropy.nii.gz, 0 (sure) to 1, and its mean in the report"
    )
    files.add_argument(
        "--statistics",
        action="store_true",
        help="volume, surface, centroid, intensity: NAME_statistics.json, statistics.csv",
    )
    files.add_argument("--preview", action="store_true", help="NAME_preview.png: three slices with the labels")
    files.add_argument("--overwrite", action="store_true", help="do finished scans again, and replace files")
    how = predict.add_argument_group("how")
    how.add_argument(
        "--checkpoint",
        dest="checkpoints",
        nargs="+",
        default=[],
        metavar="FILE",
        help="weights (default: the bundle's own, or its only training's); of several the probabilities are averaged",
    )
    how.add_argument(
        "--training",
        dest="trainings",
        nargs="+",
        default=[],
        metavar="NAME",
        help="weights of these trainings: folders in BUNDLE/runs, or their paths",
    )
    how.add_argument(
        "--folds",
        nargs="+",
        type=int,
        metavar="N",
        help="weights of these folds' trainings: BUNDLE/runs/fold_N/model.pt",
    )
    how.add_argument("--tta", action="store_true", help="average over mirrored scans, along the axes training mirrored")
    how.add_argument("--fast", action="store_true", help="windows overlap by a quarter instead of the bundle's share")
    how.add_argument(
        "--no-postprocessing",
        dest="postprocessing",
        action="store_false",
        help="leave out the post-processing that the bundle declares",
    )
    how.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (default: auto)")
    how.add_argument(
        "--runtime",
        default="pytorch",
        metavar="NAME",
        help="what the network computes on: pytorch; or openvino, on a CPU faster (default: %(default)s)",
    )
    how.add_argument(
        "--memory", metavar="SIZE", help="what the process may take, such as 4GB (default: 80%% of what is free)"
    )
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
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    with _one_interrupt():
        return _predicted(options)


def _predicted(options: argparse.Namespace) -> int:
    if (options.threads or 0) > 0:
        # Those of NumPy and ITK are counted when these are imported.
        os.environ |= dict.fromkeys(_THREADS, str(options.threads))
    from ..imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from ..prediction.command import Request, predict_files  # noqa: PLC0415
        from ..prediction.outputs import Wanted  # noqa: PLC0415
        from ..prediction.settings import budget, checkpoints, device_name, thread_count  # noqa: PLC0415

    wanted = Wanted(
        format=options.format,
        probabilities=options.probabilities,
        uncertainty=options.uncertainty,
        statistics=options.statistics,
        preview=options.preview,
    )
    weights, note = checkpoints(options.bundle, options.checkpoints, options.folds, options.trainings)
    if note:
        print(note, file=sys.stderr)
    request = Request(
        bundle=options.bundle,
        inputs=options.inputs,
        output=options.output,
        wanted=wanted,
        checkpoints=weights,
        device=device_name(options.device),
        tta=options.tta,
        fast=options.fast,
        memory=budget(options.memory),
        threads=thread_count(options.threads),
        postprocessing=options.postprocessing,
        overwrite=options.overwrite,
        settings=dict(options.set),
        runtime=options.runtime,
    )
    summary = predict_files(request, tell=_tell)
    if summary.first:
        print(summary.words, flush=True)
    return summary.status


def _postprocess(options: argparse.Namespace) -> int:
    from ..imports import quick_imports  # noqa: PLC0415

    with quick_imports():
        from ..prediction.choose import choose_postprocessing, chosen_text  # noqa: PLC0415

    chosen = choose_postprocessing(
        options.bundle,
        checkpoint=options.checkpoint,
        training=options.training,
        fold=options.fold,
        dataset_dir=options.dataset_dir,
        dry_run=options.dry_run,
    )
    print(chosen_text(chosen), end="")
    return 0


@contextmanager
def _one_interrupt() -> Iterator[None]:
    """Let the first Ctrl-C, and what stops a job of a cluster, interrupt, and none after it while things are tidied up.

    Under torchrun each comes twice: from the terminal and from torchrun. After one the process ends, so that none of
    them means anything any more.
    """
    # A shell that starts something in the background lets it ignore Ctrl-C, and only the main thread can handle one.
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    came: list[int] = []

    def interrupt(number: int, _: Any) -> None:
        came.append(number)
        if len(came) > 1:
            return
        # print() may be in the middle of a line itself.
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


def _tell(result: Any) -> None:
    for note in result.notes:
        print(f"note: {result.name}: {note}", file=sys.stderr)
    if result.error:
        print(f"error: {result.error}", file=sys.stderr)
    if result.traceback:
        print(result.traceback, file=sys.stderr)
