"""The verb that applies a bundle: `predict`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..streams import find_lost_output
from .predict_options import add_prediction_options, check_words, make_request
from .words import add_bundle, bundle_folder, require_path

__all__ = ["add_predict_verb"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_STOPPING = b"\nstopping: files that were started are being finished; the same command continues from there\n"


def add_predict_verb(verbs: Any) -> None:
    """Add `predict` to the subparsers."""
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

    check_words(options)
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
    if result.error and not result.not_tried:
        print(f"error: {result.error}", file=sys.stderr)
    if result.traceback:
        print(result.traceback, file=sys.stderr)
