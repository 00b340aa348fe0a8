"""Segment the scans of a request that need the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..data.int8_file import read_int8_record
from ..disk import is_unreachable, is_unwritable
from .bundle_files import BundleFiles
from .predictor import Predictor
from .ranks import Ranks
from .records import Records
from .report_file import Clock, make_report, make_settings, make_summary, package_versions, write_summary
from .request import Request, Summary
from .result import Result, from_json, to_json
from .run import predict_scans
from .shard_plan import ShardPlan
from .verify import verify_results
from .work import Work, find_work

__all__ = ["segment_files"]


def segment_files(
    request: Request,
    files: BundleFiles,
    clock: Clock,
    work: Work | None,
    *,
    plan: ShardPlan | None = None,
    on_result: Callable[[Result], Any] | None = None,
) -> Summary:
    """Segment scans into files.

    Args:
        request: the options.
        files: what the bundle's files say.
        clock: the start of the call.
        work: the scans; None if finding them needs the evaluated config.
        plan: of a shard, what it has in common with the others; None if `work` is.
        on_result: called with every result of this process as soon as it is known.

    Raises:
        InputError: nothing can be segmented.
        KeyboardInterrupt: see `predict_files`.
    """
    ranks = Ranks()
    device = ranks.device(request.device) if request.runtime in ("auto", "pytorch") else request.device

    def load(only: str | None) -> Predictor:
        return Predictor(
            request.bundle,
            checkpoint=list(request.checkpoints),
            memory=request.memory,
            threads=request.threads,
            postprocessing=request.postprocessing,
            anyway=request.anyway,
            **{**request.computing, "device": device},
            windows=_count_windows(files, work, ranks),
            only=only,
        )

    predictor = load(_find_runtime(request, files, ranks, plan))
    work = work or find_work(request, channels=predictor.bundle.channels)
    if request.shard is not None:
        plan = plan or ShardPlan.join(request, _settings(request, predictor), work.names)
        if ranks.first and work.left:
            predictor = _agree(request, plan, predictor, load)
    ranks.publish("runtime", predictor.bundle.runtime.runtime)
    settings = _settings(request, predictor)
    records = None if request.single else Records(request.output, settings)
    results: list[Result] = []
    interrupted: KeyboardInterrupt | None = None
    try:
        for result in predict_scans(
            predictor,
            ranks.share(work.scans),
            request.outputs_for,
            request.wanted,
            records=records,
            overwrite=request.overwrite,
            progress=request.progress and ranks.first,
            on_result=on_result,
        ):
            results.append(result)
    except KeyboardInterrupt as error:
        interrupted = error
        # Another process may have ended already: each reports its own results.
        gathered = [(results, predictor.watch.peak_bytes())]
    else:
        sent = ranks.gather(([to_json(result) for result in results], predictor.watch.peak_bytes()))
        gathered = [([from_json(one) for one in part], peak) for part, peak in sent]
    order = {scan.name: number for number, scan in enumerate(work.scans)}
    everything = sorted((one for part, _ in gathered for one in part), key=lambda one: order[one.name])
    if ranks.first:
        verified = verify_results(everything)
        if on_result is not None:
            for one in (new for new, old in zip(verified, everything, strict=True) if new is not old):
                on_result(one)
        everything = verified
    report = make_report(
        request,
        clock,
        everything,
        labels={label.name: label.value for label in predictor.bundle.table},
        **({"regions": list(files.regions)} if files.regions else {}),
        **_describe(predictor),
        **settings,
        processes=ranks.count,
        interrupted=interrupted is not None,
        peak_memory_bytes=max(peak for _, peak in gathered),
        **({} if plan is None or request.shard is None else {"shard": plan.mark(request.shard)}),
    )
    summary = make_summary(request, report, everything, first=ranks.first)
    if ranks.first and records is not None:
        try:
            write_summary(summary, request, predictor.bundle.table, records)
        except OSError as error:
            if not (is_unwritable(error) or is_unreachable(request.output)) or not any(
                one.of_disk for one in everything
            ):
                raise
            # The message about the disk is out.
            summary = replace(summary, report_file=None)
    if interrupted is not None:
        raise interrupted
    ranks.leave()
    return summary


def _agree(
    request: Request, plan: ShardPlan, predictor: Predictor, load: Callable[[str | None], Predictor]
) -> Predictor:
    """Return the predictor with the runtime of all shards.

    Raises:
        InputError: this machine computes in another way than that of the other shards.
    """
    agreed = plan.agree(_chosen(predictor))["runtime"]
    if agreed != predictor.bundle.runtime.runtime and request.runtime == "auto":
        # Another shard has chosen at the same time.
        predictor = load(agreed)
    plan.require(_chosen(predictor))
    return predictor


def _chosen(predictor: Predictor) -> dict[str, str]:
    return {"precision": predictor.bundle.precision, "runtime": predictor.bundle.runtime.runtime}


def _count_windows(files: BundleFiles, work: Work | None, ranks: Ranks) -> float | None:
    """Return about how many windows the scans of a process have; None if that is unknown.

    A shard decides for all, so those of all shards count.
    """
    if work is not None and not work.left:
        return 0
    if files.grid is None or work is None or not work.headers:
        return None
    grid, dims = files.grid, len(files.grid.window)
    counts = [grid.count_windows(header.spatial_shape[:dims], header.spacing[:dims]) for header in work.headers]
    shards = len(work.names) / len(work.scans) if work.names and work.scans else 1.0
    return work.left * shards * sum(counts) / len(counts) / ranks.count


def _find_runtime(request: Request, files: BundleFiles, ranks: Ranks, plan: ShardPlan | None = None) -> str | None:
    """Return the runtime to continue with: the output folder's, or the first process's; None if there is none."""
    chosen = plan.choice() if plan is not None and request.runtime == "auto" else {}
    begun = chosen.get("runtime") or _begun_with(request, files)
    if begun is not None or ranks.first or request.runtime != "auto":
        return begun
    # Processes that each measure for themselves may choose differently.
    return ranks.receive("runtime")


def _begun_with(request: Request, files: BundleFiles) -> str | None:
    """Return the runtime of the finished scans in the output folder; None if there are none."""
    if request.single or request.overwrite or request.runtime != "auto":
        return None
    settings = make_settings(request, name=files.name, version=files.version, folder=files.folder, sha256=files.sha256)
    return Records(request.output, settings).find_choice().get("runtime")


def _settings(request: Request, predictor: Predictor) -> dict[str, Any]:
    bundle = predictor.bundle
    return make_settings(
        request,
        name=bundle.name,
        version=bundle.version,
        folder=bundle.folder,
        sha256=bundle.sha256,
        **_chosen(predictor),
    )


def _describe(predictor: Predictor) -> Mapping[str, Any]:
    """Return versions, device and threads, the weights' files, and why the runtime was chosen."""
    bundle, choice = predictor.bundle, predictor.bundle.runtime
    seconds: dict[str, float] = {name: round(value, 5) for name, value in choice.seconds.items()}
    checkpoints: Sequence[str] = [str(path) for path in bundle.checkpoints]
    return {
        "versions": package_versions(choice.runtime),
        "device": str(bundle.device),
        "threads": torch.get_num_threads(),
        "conversion_seconds": round(choice.start_seconds, 3),
        "runtime_way": choice.way or None,
        "runtime_reason": choice.reason,
        "seconds_per_window": seconds,
        "checkpoints": checkpoints,
        **({"int8": [_describe_int8(path) for path in bundle.checkpoints]} if choice.runtime == "int8" else {}),
    }


def _describe_int8(weights: Path) -> dict[str, Any]:
    """Return what the label maps of an int8 network depend on, and what it costs in Dice."""
    record = read_int8_record(weights)
    return {key: record[key] for key in ("files", "dice", "versions") if key in record}
