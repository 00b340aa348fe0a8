"""The work of ``lightskip predict``: segment scans into a folder or a file, and write a report.

What needs no network comes first, and needs neither torch nor MONAI: mistakes, and scans that are finished.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..bundle.at_hand.find import find_bundle
from ..data.errors import InputError
from ..files import remove_unused_folders
from ..imports import deferred_imports, quick_imports
from ..labelmaps.label_table import make_label_table
from ..memory import status_bytes
from .bundle_files import BundleFiles, read_bundle_files
from .merge import merge_if_finished
from .output_lock import lock_output
from .records import Records
from .report_file import Clock, make_report, make_settings, make_summary, package_versions, write_summary
from .request import Request, Summary
from .result import Result
from .settings import check_thread_count
from .shard_plan import ShardPlan
from .shards import Shard
from .work import Work, find_known, find_work

__all__ = ["Request", "Summary", "predict_files", "settings_so_far"]


def predict_files(request: Request, *, on_result: Callable[[Result], Any] | None = None) -> Summary:
    """Segment scans into files.

    Under ``torchrun`` every process takes its share of the scans, the first one writes the report, and all return the
    same summary. A shard writes its own report; the last one to finish merges them.

    Args:
        request: the options.
        on_result: called with every result of this process as soon as it is known.

    Raises:
        InputError: nothing can be segmented: the bundle, the inputs as a whole, the output or a setting is unusable.
        KeyboardInterrupt: the call was interrupted. Files that were started are finished, and the report is written.
    """
    # Paths in the report have to hold from any folder.
    bundle, output = find_bundle(request.bundle), request.output.expanduser().absolute()
    request = replace(request, bundle=bundle, output=output)
    if request.shard is not None:
        request = replace(request, shard=Shard.parse(request.shard))
        _require_folder(request)
    with remove_unused_folders(request.output.parent if request.single else request.output), lock_output(request):
        summary = _predict_files(request, on_result)
    return summary if request.shard is None or not summary.first else merge_if_finished(summary, request.output)


def _require_folder(request: Request) -> None:
    """Raise InputError if a shard's output is one file."""
    if request.single:
        raise InputError(
            "--shard",
            found=f"{request.output}, the name of one file",
            expected="a folder, which all shards write to",
            remedy="name a folder: -o OUT, or leave --shard out",
        )


def _predict_files(request: Request, on_result: Callable[[Result], Any] | None) -> Summary:
    clock = Clock.started()
    check_thread_count(request.threads)
    files = read_bundle_files(request.bundle, checkpoints=list(request.checkpoints), **request.computing)
    request = request.for_bundle(files)
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    work = plan = None
    if files.channels is not None and files.weights:
        work = find_work(request, channels=files.channels)
        records = None if request.single else Records(request.output, settings_so_far(request, files))
        _require_one_runtime(request, files)
        if request.shard is not None:
            plan = ShardPlan.join(request, settings_so_far(request, files), work.names)
        work = find_known(work, request, records)
        # Other processes wait for this one's results: then it may not end early.
        if not work.left and alone and files.labels is not None:
            return _report_known(request, files, clock, work, records, plan, on_result)
    with quick_imports(), deferred_imports():
        from .with_network import segment_files  # noqa: PLC0415 - imports torch and MONAI

    return segment_files(request, files, clock, work, plan=plan, on_result=on_result)


def _require_one_runtime(request: Request, files: BundleFiles) -> None:
    """Raise InputError if the output folder has label maps of another runtime than the one that is named."""
    if request.single or request.overwrite or request.runtime == "auto":
        return
    settings = make_settings(request, name=files.name, version=files.version, folder=files.folder, sha256=files.sha256)
    begun = Records(request.output, settings).find_choice().get("runtime", request.runtime)
    if begun != request.runtime:
        raise InputError(
            request.output,
            found=f"label maps made with runtime {begun} (now {request.runtime})",
            expected="label maps of one runtime in a folder, since runtimes round differently",
            remedy="leave --runtime out to continue with it, write into another folder, or add --overwrite",
        )


def settings_so_far(request: Request, files: BundleFiles) -> dict[str, Any]:
    """Return the settings that label maps depend on, without those that only the network's start decides.

    Args:
        request: the options.
        files: what the bundle's files say; they name the weights.
    """
    chosen = {"runtime": request.runtime} if request.runtime != "auto" else {}
    return make_settings(
        request, name=files.name, version=files.version, folder=files.folder, sha256=files.sha256, **chosen
    )


def _report_known(
    request: Request,
    files: BundleFiles,
    clock: Clock,
    work: Work,
    records: Records | None,
    plan: ShardPlan | None,
    on_result: Callable[[Result], Any] | None,
) -> Summary:
    """Return and write the summary of scans that are all finished, or cannot be segmented."""
    for result in work.results:
        if on_result is not None:
            on_result(result)
    earlier = {} if records is None else records.find_choice()
    labels = files.labels or {}
    table = make_label_table(labels)
    report = make_report(
        request,
        clock,
        work.results,
        labels={label.name: label.value for label in table},
        versions=package_versions(earlier.get("runtime", "pytorch")),
        device=None,
        threads=request.threads,
        conversion_seconds=0.0,
        runtime_way=None,
        runtime_reason="no scan was segmented",
        seconds_per_window={},
        checkpoints=[str(path) for path in files.weights],
        **({"regions": list(files.regions)} if files.regions else {}),
        **{"precision": None, "runtime": None, **settings_so_far(request, files), **earlier},
        processes=1,
        interrupted=False,
        peak_memory_bytes=status_bytes("VmHWM") or 0,
        **({} if plan is None or request.shard is None else {"shard": plan.mark(request.shard)}),
    )
    summary = make_summary(request, report, work.results)
    if records is not None:
        write_summary(summary, request, table, records)
    return summary
