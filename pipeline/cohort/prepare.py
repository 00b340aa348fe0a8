"""Find the scans of a cohort and what is left to do, before any job starts. Usually needs neither torch nor MONAI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..bundle.at_hand.find import find_bundle
from ..data.errors import InputError
from ..files import remove_unused_folders
from ..imports import deferred_imports, quick_imports
from ..prediction.bundle_files import BundleFiles, read_bundle_files
from ..prediction.command import settings_so_far
from ..prediction.inputs import ScanInput
from ..prediction.records import Records
from ..prediction.report_file import make_settings
from ..prediction.request import Request
from ..prediction.result import Job, Result
from ..prediction.settings import check_thread_count
from ..prediction.shard_plan import ShardPlan
from ..prediction.shards import Shard
from ..prediction.work import find_work, known_result
from .division import choose_count

__all__ = ["Cohort", "find_left", "prepare_cohort"]


@dataclass(frozen=True)
class Cohort:
    """The scans of a cohort.

    Attributes:
        request: the options of a prediction, with the first shard.
        settings: what label maps depend on besides the scan; see `make_settings`.
        scans: all scans.
        count: number of shards.
        known: what is known of each scan, by its name; None if it has to be segmented.
    """

    request: Request
    settings: dict[str, Any]
    scans: tuple[ScanInput, ...]
    count: int
    known: dict[str, Result | None]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all scans, in the order of the inputs."""
        return tuple(scan.name for scan in self.scans)

    @property
    def plan(self) -> ShardPlan:
        """What the shards have in common."""
        return ShardPlan.of(self.request, self.settings, self.names)


def prepare_cohort(request: Request, *, shards: int | None, jobs: int) -> Cohort:
    """Find the scans of a cohort, and check that shards can segment them.

    Nothing is left behind in the output folder.

    Args:
        request: the options of a prediction.
        shards: number of shards; None for that of an earlier start, or the default.
        jobs: jobs at the same time.

    Raises:
        InputError: the bundle, the inputs as a whole, the output or a setting is unusable, the number of shards does
            not fit, the folder has another cohort, or it is known that no scan can be segmented.
    """
    request = replace(request, bundle=find_bundle(request.bundle), output=request.output.expanduser().absolute())
    if request.single:
        raise InputError(
            "-o",
            found=f"{request.output}, the name of one file",
            expected="a folder, which all shards write to",
            remedy="name a folder: -o OUT",
        )
    check_thread_count(request.threads)
    with remove_unused_folders(request.output):
        files = read_bundle_files(request.bundle, checkpoints=list(request.checkpoints), **request.computing)
        request = request.for_bundle(files)
        settings, channels = _read_settings(request, files)
        scans = find_work(request, channels=channels).scans
        count = choose_count(_earlier_count(request.output) if shards is None else shards, scans=len(scans), jobs=jobs)
        request = replace(request, shard=Shard(1, count))
        plan = ShardPlan.of(request, settings, [scan.name for scan in scans])
        plan.require_alone(overwrite=request.overwrite)
        known = _find_known(request, plan, scans)
    return Cohort(request, settings, scans, count, known)


def find_left(cohort: Cohort, plan: ShardPlan) -> list[Shard]:
    """Return the shards that have to run: those that have not finished, or have a scan that failed or changed."""
    if cohort.request.overwrite:
        return plan.shards
    return [shard for shard in plan.shards if plan.report(shard) is None or not _is_done(cohort, shard)]


def _is_done(cohort: Cohort, shard: Shard) -> bool:
    found = [cohort.known[name] for name in shard.share(cohort.names)]
    return all(result is not None and result.status == "skipped" for result in found)


def _earlier_count(output: Path) -> int | None:
    """Return the number of shards of an earlier start in a folder; None if there was none."""
    try:
        plan = ShardPlan.find(output)
    except InputError:
        return None
    return int(plan.content["count"]) if plan.is_begun() else None


def _read_settings(request: Request, files: BundleFiles) -> tuple[dict[str, Any], int]:
    """Return what label maps depend on besides the scan, and the number of channels of a scan."""
    if files.channels is not None and files.weights:
        return settings_so_far(request, files), files.channels
    with quick_imports(), deferred_imports():
        from ..prediction.predictor import Predictor  # noqa: PLC0415 - imports torch and MONAI

    # Only evaluating the config tells, as for bundles of others.
    bundle = Predictor(
        request.bundle, checkpoint=list(request.checkpoints), **{**request.computing, "runtime": "pytorch"}
    ).bundle
    settings = make_settings(
        request, name=bundle.name, version=bundle.version, folder=bundle.folder, sha256=bundle.sha256
    )
    return settings, int(bundle.channels)


def _find_known(request: Request, plan: ShardPlan, scans: tuple[ScanInput, ...]) -> dict[str, Result | None]:
    """Return what is known of each scan without the network.

    Raises:
        InputError: no scan can be segmented.
    """
    records = Records(request.output, {**plan.content["settings"], **plan.choice()})
    known = {
        scan.name: known_result(
            Job(scan, request.outputs_for(scan.name), request.wanted), records, overwrite=request.overwrite
        )
        for scan in scans
    }
    failed = [result.error for result in known.values() if result is not None and result.status == "failed"]
    if failed and len(failed) == len(scans):
        raise InputError(
            "INPUT",
            found=f"no scan that can be segmented; the first: {failed[0]}",
            expected="at least one",
            remedy="correct these, and start again",
        )
    return known
