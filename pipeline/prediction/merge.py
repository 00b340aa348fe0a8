"""Merge the reports of shards into the files about all scans, as one process writes them.

What is merged depends on the shards' files alone: any process may do it, several at the same time, and again.
Needs neither torch nor MONAI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..bundle.at_hand.find import find_bundle
from ..data.errors import InputError
from ..labelmaps.label_table import make_label_table
from .bundle_files import read_bundle_name
from .checks import REPORT
from .outputs import STATISTICS_OF_SCAN
from .records import Records
from .report_file import write_tables
from .request import Summary
from .result import Result
from .shard_plan import ShardPlan
from .verify import verify_records

__all__ = ["merge_if_finished", "merge_reports", "merge_shards"]

_MAX_NAMED = 10


def merge_shards(output: str | Path, *, bundle: str | Path | None = None) -> Summary:
    """Write the files about all scans of a folder whose shards have all finished.

    These are ``report.json``, the label names and, if the shards have statistics, ``statistics.csv``.

    Args:
        output: the folder.
        bundle: the bundle that the folder has to be of: a folder or a name.

    Raises:
        InputError: the folder has no shards, one has not finished, or they are another bundle's.
    """
    folder = Path(output).expanduser().absolute()
    plan = ShardPlan.find(folder)
    before = plan.content["settings"]["bundle"]
    if bundle is not None and (name := read_bundle_name(find_bundle(bundle))) != before:
        raise InputError(
            folder, found=f"shards of the bundle {before}", expected=f"shards of {name}", remedy="name the other one"
        )
    left = plan.unfinished()
    if left:
        raise InputError(
            folder,
            found=f"unfinished shards: {_name(left)}",
            expected=f"the reports of all {plan.content['count']} shards, such as {left[0].report_name}",
            remedy="start these with --shard, and merge again",
        )
    return _merge(plan)


def merge_if_finished(summary: Summary, output: Path) -> Summary:
    """Merge if all shards have finished; return the summary of one of them with a note on this."""
    plan = ShardPlan.find(output, key=summary.report["shard"]["plan"])
    left = plan.unfinished()
    if left:
        return replace(summary, note=f"unfinished shards: {_name(left)}")
    merged = _merge(plan)
    return replace(summary, note=f"all {plan.content['count']} shards have finished: {merged.report_file}")


def _merge(plan: ShardPlan) -> Summary:
    reports = [found for shard in plan.shards if (found := plan.report(shard)) is not None]
    try:
        report = merge_reports(reports, plan.content["scans"])
        report["scans"] = verify_records(report["scans"], plan.output)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            plan.output,
            found=f"reports of shards that were changed ({type(error).__name__}: {error})",
            expected="reports as lightskip predict --shard writes them",
            remedy="start the shards again: finished scans are skipped",
        ) from error
    records = Records(plan.output, {**plan.content["settings"], **plan.choice()})
    statistics = records.finished_files(STATISTICS_OF_SCAN) if plan.content["wanted"]["statistics"] else None
    write_tables(plan.output, report, make_label_table(report["labels"]), statistics)
    results = [Result(scan["name"], tuple(scan["files"]), scan["status"]) for scan in report["scans"]]
    return Summary(tuple(results), report, plan.output / REPORT)


def merge_reports(reports: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return the report of all shards.

    Times are added, and of memory and threads the largest counts. Of other entries that differ, such as the device, all
    values are named.

    Args:
        reports: the shards' reports.
        names: the scans' names, in the order of the merged report.
    """
    order = {name: number for number, name in enumerate(names)}
    # A shard that computed nothing does not know a device or a runtime.
    computed = [report for report in reports if report.get("device") is not None and report["scans"]]
    telling = computed or list(reports[:1])
    keys = dict.fromkeys(key for report in (*telling, *reports) for key in report if key != "shard")
    merged = {}
    for key in keys:
        rule = _RULES.get(key)
        merged[key] = (
            _join(report.get(key) for report in telling) if rule is None else rule([one[key] for one in reports])
        )
    scans = [scan for report in reports for scan in report["scans"]]
    merged["scans"] = sorted(scans, key=lambda scan: order[scan["name"]])
    return merged


def _join(values: Iterable[Any]) -> Any:
    """Return the one value that all have, or else all of them: as a text, or key by key."""
    found = list(values)
    distinct = [value for number, value in enumerate(found) if value not in found[:number]]
    if len(distinct) == 1:
        return distinct[0]
    if all(isinstance(value, Mapping) for value in distinct):
        keys = dict.fromkeys(key for value in distinct for key in value)
        return {key: _join(value[key] for value in distinct if key in value) for key in keys}
    return ", ".join(str(value) for value in distinct if value is not None)


def _add(values: Sequence[Any]) -> Any:
    return round(sum(values), 3)


def _largest(values: Sequence[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


_RULES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "started": min,
    "seconds": _add,
    "conversion_seconds": _add,
    "processes": sum,
    "interrupted": any,
    "threads": _largest,
    "peak_memory_bytes": _largest,
    "memory_budget_bytes": _largest,
    "scans": list,
}


def _name(shards: Sequence[Any]) -> str:
    """Return the numbers of shards as text, of many only the first."""
    numbers = ", ".join(str(shard.number) for shard in shards[:_MAX_NAMED])
    return numbers + f" and {len(shards) - _MAX_NAMED} more" * (len(shards) > _MAX_NAMED)
