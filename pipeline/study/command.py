"""The work of ``lightskip study``: expand the file, run what is missing, write the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..workflow.lock import lock_workflow
from ..workflow.progress import Progress
from ..workflow.run import run_workflow
from ..workflow.start import check_start
from .checks import check_datalists, check_folds, check_measurements, check_output
from .estimate import Estimate, estimate_hours
from .expand import Run, expand_study
from .leftovers import Leftover, find_leftovers
from .read_study import StudyFile, read_study
from .report import write_study_report
from .result import find_missing, incomplete_file, result_file, write_result
from .run_step import FAILURE, TRAININGS, do_run, find_result, ignore_trainings, set_aside_damaged
from .say import Say, list_names, say_left_out, say_runs

__all__ = ["DEFAULT_HOURS", "StudyOptions", "do_one_run", "run_study"]

DEFAULT_HOURS = 1.0
_MEMORY_MB = 4000
_LEAST_MINUTES = 30


@dataclass(frozen=True)
class StudyOptions:
    """What a user asks of a study.

    Attributes:
        file: the study file.
        output: folder of the results; None for ``studies/NAME`` in the working directory.
        datasets: folders of datasets by the name of their bundle.
        jobs: runs at the same time; None for the profile's number, or 1.
        profile: profile of Snakemake: a name or a folder.
        hours: the hours that need no ``yes``.
        yes: start whatever it takes.
        dry_run: only show the runs and the hours.
        report_only: write the report of what is there.
    """

    file: Path
    output: Path | None = None
    datasets: Mapping[str, Path] = field(default_factory=dict)
    jobs: int | None = None
    profile: str | None = None
    hours: float = DEFAULT_HOURS
    yes: bool = False
    dry_run: bool = False
    report_only: bool = False


def run_study(options: StudyOptions, say: Say) -> int:
    """Run what is missing of a study, and write its report.

    Args:
        options: what the user asks.
        say: shows a line.

    Returns:
        0; 1 if a run failed or diverged, or is missing after ``report_only``.

    Raises:
        InputError: the file, a bundle, network or skip cannot be used, the runs take more than the hours without
            ``yes``, or another start is at work.
    """
    _check_options(options)
    file = read_study(options.file)
    output = _output(options, file)
    runs = expand_study(file, options.datasets)
    check_measurements(file, runs)
    check_datalists(runs)
    check_output(output)
    results, unread = _find_results(runs, output)
    missing = [run for run in runs if run.id not in results or find_missing(results[run.id], file.study.measure)]
    leftovers = find_leftovers(output, runs)
    if not options.report_only:
        check_folds(missing)
    say_left_out("that cannot be read", unread, say)
    say_left_out("of no run in the study file", leftovers, say)
    if options.dry_run:
        say_runs(runs, missing, _estimate(file, missing, results) if missing else None, say)
        return 0
    if options.report_only:
        return _report(file, output, runs, leftovers, say)
    if not missing:
        _take_over(runs, results, output)
        return _report(file, output, runs, leftovers, say)
    _say_hours(file, missing, results, options, say)
    # The lock is for all seeds: each is a workflow of its own.
    with lock_workflow(output, verb="lightskip study") as locks:
        ignore_trainings(output)
        _take_over(runs, results, output)
        _run_missing(options, file, output, missing, say, locks)
    return _report(file, output, runs, leftovers, say)


def _check_options(options: StudyOptions) -> None:
    if not options.hours > 0:
        raise InputError(
            "--hours", found=f"{options.hours:g}", expected="a number above 0", remedy="correct it, such as --hours 8"
        )
    if options.dry_run and options.report_only:
        raise InputError(
            "--dry-run", found="--report-only as well", expected="one of the two", remedy="leave one of them out"
        )
    if options.report_only:
        return
    check_start(options.jobs, options.profile, verb="lightskip study")


def do_one_run(options: StudyOptions, name: str) -> Path:
    """Do one run of a study, as a job of the workflow does, and return the file of its result.

    Raises:
        InputError: the study has no run of this name, or the run failed.
    """
    file = read_study(options.file)
    runs = {run.id: run for run in expand_study(file, options.datasets)}
    if name not in runs:
        check_datalists(runs.values())
        raise InputError(
            f"--run {name}",
            found="no run of this study",
            expected=f"one of its {len(runs)} runs",
            remedy="list them: lightskip study STUDY.yaml --dry-run",
        )
    return do_run(runs[name], _output(options, file), file.study.measure)


def _output(options: StudyOptions, file: StudyFile) -> Path:
    return options.output if options.output is not None else Path("studies") / file.study.name


def _find_results(runs: Sequence[Run], output: Path) -> tuple[dict[str, dict[str, Any]], list[Leftover]]:
    """Return the results that are there by the runs' names, and the files that should be results and are not."""
    unread: dict[Path, str] = {}
    found = {run.id: find_result(run, output, unread) for run in runs}
    own = output.absolute()
    left_out = [
        Leftover(file, f"{file.stem if file.absolute().is_relative_to(own) else file}: {what}")
        for file, what in unread.items()
    ]
    return {name: result for name, result in found.items() if result is not None}, left_out


def _take_over(runs: Sequence[Run], results: Mapping[str, Mapping[str, Any]], output: Path) -> None:
    """Write the results that are known under another label, or from a neighbouring study, into this one."""
    for run in runs:
        file = result_file(output, run.id)
        if run.id in results:
            set_aside_damaged(file)
            if not file.is_file():
                write_result(file, results[run.id])


def _run_missing(
    options: StudyOptions, file: StudyFile, output: Path, missing: Sequence[Run], say: Say, locks: Sequence[int]
) -> None:
    # A result without a part that is wanted now would count as done.
    targets = {run.id: result_file(output, run.id) for run in missing}
    for path in targets.values():
        set_aside_damaged(path)
        if path.is_file():
            path.replace(incomplete_file(path))
    words = ["study", str(file.path.absolute()), "-o", str(output.absolute())]
    for name, folder in options.datasets.items():
        words += ["--dataset_dir", f"{name}={Path(folder).absolute()}"]
    names = {str(path.relative_to(output)): name for name, path in targets.items()}
    longest = max((run.arm.budget.minutes or 0) for run in missing)
    for group in _order(missing, at_once=options.profile not in (None, "local")):
        outcome = run_workflow(
            Path(__file__).with_name("Snakefile"),
            folder=output,
            targets=[str(targets[run.id].relative_to(output)) for run in group],
            config={
                "words": {run.id: [*words, "--run", run.id] for run in group},
                "folder": str(Path.cwd()),
                "threads": file.study.threads,
                "mem_mb": _MEMORY_MB,
                "runtime": max(_LEAST_MINUTES, int(4 * longest)),
            },
            jobs=options.jobs,
            threads=file.study.threads,
            profile=options.profile,
            on_event=Progress(say, folder=output, name=lambda target: names.get(target, target)),
            verb="lightskip study",
            locks=locks,
        )
        for failure in outcome.failed:
            name = names.get(failure.target, failure.target)
            # A job that was killed, or had a full disk, has left no reason.
            reason = _reason(output, name) or f"it left no reason; its log is {output / failure.log}"
            say(f"failed: {name}: {reason}")


def _order(runs: Sequence[Run], *, at_once: bool) -> list[list[Run]]:
    """Return runs in groups that start one after the other: seed by seed.

    A study that ends early then has whole comparisons with fewer seeds. Snakemake starts the jobs of one group in no
    fixed order. A cluster gets all at once, since it has room for them.
    """
    if at_once:
        return [list(runs)]
    seeds = list(dict.fromkeys(run.seed for run in runs))
    return [[run for run in runs if run.seed == seed] for seed in seeds]


def _report(file: StudyFile, output: Path, runs: Sequence[Run], leftovers: Sequence[Leftover], say: Say) -> int:
    # Also of a study that an earlier version began: results are what a repository keeps.
    ignore_trainings(output)
    results, unread = _find_results(runs, output)
    absent = [run for run in runs if run.id not in results]
    described = [{"id": run.id, "settings": dict(run.settings), "reason": _reason(output, run.id)} for run in absent]
    failed = [one for one in described if one["reason"]]
    files = write_study_report(
        output,
        study=file.study.model_dump(mode="json"),
        study_text=file.text,
        study_sha256=file.sha256,
        runs=list(results.values()),
        failed=failed,
        missing=[one for one in described if not one["reason"]],
        left_over=[one.words for one in (*leftovers, *unread)],
        reused={name: result["from_study"] for name, result in results.items() if "from_study" in result},
    )
    for path in files:
        say(str(path))
    diverged = [name for name, result in results.items() if result["state"] == "diverged"]
    if diverged:
        say(f"diverged: {list_names(diverged)}")
    unreported = [str(one["id"]) for one in described if not one["reason"]]
    if unreported:
        say(f"missing: {list_names(unreported)}")
    if failed:
        say(f"failed: {list_names([str(one['id']) for one in failed])}; the same command tries them again")
    lacking = {name: parts for name, one in results.items() if (parts := find_missing(one, file.study.measure))}
    if lacking:
        parts_lacking = ", ".join(dict.fromkeys(part for parts in lacking.values() for part in parts))
        say(f"without {parts_lacking}: {list_names(list(lacking))}; the same command measures them")
    return int(bool(absent or diverged or lacking))


def _reason(output: Path, name: str) -> str:
    """Return why a run failed: what it wrote, or the message in its log if it ended before its training."""
    file = output / TRAININGS / name / FAILURE
    written = file.read_text(encoding="utf-8").splitlines() if name and file.is_file() else []
    # Snakefile names it.
    log = output / ".workflow" / "logs" / f"{name}.log"
    logged = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    lines = [line for line in written if line.strip()] or [line for line in logged if line.startswith("error:")]
    return lines[-1].strip().removeprefix("error: ") if lines else ""


def _say_hours(
    file: StudyFile, missing: Sequence[Run], results: Mapping[str, Any], options: StudyOptions, say: Say
) -> None:
    """Say what the runs will take.

    Raises:
        InputError: it is more than the user allows.
    """
    if options.yes:
        return
    estimate = _estimate(file, missing, results)
    hours = estimate.hours / (options.jobs or 1)
    say(f"{len(missing)} runs, about {hours:.2g} hours with {options.jobs or 1} at a time: {estimate.source}")
    if hours > options.hours:
        raise InputError(
            file.path,
            found=f"{len(missing)} runs of about {hours:.2g} hours",
            expected=f"at most {options.hours:g} hours (--hours)",
            remedy="start it with --yes; or allow more with --hours; --dry-run lists the runs",
        )


def _estimate(file: StudyFile, missing: Sequence[Run], results: Mapping[str, Any]) -> Estimate:
    return estimate_hours(missing, results, robustness=bool(file.study.measure.robustness))
