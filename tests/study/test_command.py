"""The order of a study's work: what runs, what is asked, what is said, and what a second start does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.errors import InputError
from pipeline.study import command as module
from pipeline.study.command import StudyOptions, do_one_run, run_study
from pipeline.study.estimate import Estimate
from pipeline.study.result import write_result
from pipeline.workflow.lock import lock_workflow
from pipeline.workflow.run import Failure, Outcome

from .conftest import STUDY, changed, make_result, save


class Workflow:
    """Writes the results of its targets; some of them fail or diverge."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.fail: set[str] = set()
        self.silent = False
        self.diverge: set[str] = set()
        self.runs: dict[str, Any] = {}

    def __call__(self, snakefile: Path, *, folder: Path, targets: list[str], config: Any, **options: Any) -> Outcome:
        assert snakefile.is_file()
        self.calls.append({"targets": targets, "config": config, **options})
        failed = []
        for target in targets:
            name = Path(target).stem
            if name in self.fail:
                reason = folder / "trainings" / name / "failure.txt"
                if not self.silent:
                    reason.parent.mkdir(parents=True, exist_ok=True)
                    reason.write_text("found a reason; expected none\n")
                failed.append(Failure(target, "log"))
            else:
                state = "diverged" if name in self.diverge else "done"
                write_result(folder / target, make_result(self.runs[name], state=state, probes=[]))
        return Outcome((), tuple(failed), tuple(failure.target for failure in failed))


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the runs be without a dataset and a cluster; return the names of the checks of these that were made."""
    made: list[str] = []
    for name in ("check_datalists", "check_folds", "check_start"):
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: made.append(name))
    return made


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, runs: Any, write: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    """Return a function that starts the study, with what it returned, said and ran."""
    workflow = Workflow()
    workflow.runs = {run.id: run for run in runs}
    monkeypatch.setattr(module, "run_workflow", workflow)
    monkeypatch.setattr(module, "estimate_hours", lambda left, *_, **__: Estimate(0.2 * len(left), "a guess"))

    def run(content: dict[str, Any] = STUDY, **options: Any) -> tuple[int, str, Workflow]:
        lines: list[str] = []
        chosen = {"output": tmp_path / "out", "yes": True, **options}
        status = run_study(StudyOptions(write(content), **chosen), lines.append)
        return status, "\n".join(lines), workflow

    run.workflow = workflow  # type: ignore[attr-defined]
    return run


@pytest.mark.slow
def test_all_runs_then_the_report_and_nothing_the_second_time(start, runs, tmp_path):
    status, text, workflow = start(jobs=2)
    assert status == 0
    # Seed by seed, in the order of the file.
    assert [call["targets"] for call in workflow.calls] == [
        [f"runs/{run.id}.json" for run in runs if run.seed == seed] for seed in (0, 1)
    ]
    assert workflow.calls[0]["jobs"] == 2
    words = workflow.calls[0]["config"]["words"][runs[0].id]
    assert words[0] == "study"
    assert words[-2:] == ["--run", runs[0].id]
    assert str(tmp_path / "out" / "study.html") in text
    assert start()[0] == 0
    assert len(workflow.calls) == 2


def test_a_cluster_gets_all_runs_at_once(start, runs):
    start(profile="slurm")
    assert [call["targets"] for call in start.workflow.calls] == [[f"runs/{run.id}.json" for run in runs]]


def test_more_seeds_start_only_the_new_runs(start, runs):
    assert start(changed("seeds", to=[0]))[0] == 0
    start()
    assert start.workflow.calls[1]["targets"] == [f"runs/{run.id}.json" for run in runs if run.seed == 1]


def test_a_part_that_is_wanted_now_is_measured(start, runs, tmp_path):
    save(runs[0], tmp_path / "out")
    start({**STUDY, "measure": {"probes": True}})
    assert len(start.workflow.calls[0]["targets"] + start.workflow.calls[1]["targets"]) == 6


def test_a_run_that_failed_is_named_and_tried_again(start, runs, tmp_path):
    start.workflow.fail = {runs[1].id}
    status, text, _ = start()
    assert status == 1
    assert f"{runs[1].id}: found a reason; expected none" in text
    report = json.loads((tmp_path / "out" / "study.json").read_text())
    assert runs[1].id in json.dumps(report["failed"])
    start.workflow.fail = set()
    assert start()[0] == 0
    assert start.workflow.calls[2]["targets"] == [f"runs/{runs[1].id}.json"]


def test_a_run_that_diverged_counts_and_is_named(start, runs):
    start.workflow.diverge = {runs[2].id}
    status, text, _ = start()
    assert (status, f"diverged: {runs[2].id}" in text) == (1, True)
    start()
    assert len(start.workflow.calls) == 2


def test_hours_above_those_allowed_need_yes(start):
    with pytest.raises(InputError, match=r"6 runs of about 1\.2 hours.*--yes"):
        start(yes=False)
    assert start.workflow.calls == []
    with pytest.raises(InputError, match=r"at most 0\.5 hours"):
        start(yes=False, jobs=2, hours=0.5)
    assert start(yes=False, jobs=2)[0] == 0


def test_a_dry_run_lists_and_starts_nothing(start, runs, tmp_path):
    save(runs[0], tmp_path / "out")
    status, text, workflow = start(dry_run=True)
    assert (status, workflow.calls) == (0, [])
    assert f"done  {runs[0].id}" in text
    assert f"to do {runs[1].id}" in text
    assert "5 of 6 runs, about 1 hours" in text
    assert not (tmp_path / "out" / "study.html").exists()


def test_a_report_of_what_is_there(start, runs, tmp_path):
    save(runs[0], tmp_path / "out")
    status, text, workflow = start(report_only=True)
    assert (status, workflow.calls) == (1, [])
    assert f"missing: {', '.join(run.id for run in runs[1:])}" in text
    assert (tmp_path / "out" / "study.md").is_file()


def test_what_no_longer_fits_is_named_and_stays(start, runs, tmp_path):
    old = save(runs[0], tmp_path / "out")
    _, text, _ = start(changed("budget", to={"epochs": 9}), report_only=True)
    assert "left out: 1 result of no run in the study file" in text
    assert "budget was {'epochs': 2}, and is {'epochs': 9} now" in text
    assert old.is_file()


def test_one_run_by_its_name(monkeypatch, runs, write, tmp_path):
    done = []
    monkeypatch.setattr(module, "do_run", lambda run, output, _: done.append((run.id, output)) or output)
    options = StudyOptions(write(), output=tmp_path)
    do_one_run(options, runs[3].id)
    assert done == [(runs[3].id, tmp_path)]
    with pytest.raises(InputError, match="no run of this study"):
        do_one_run(options, "other")


def test_the_folder_is_named_by_the_study(monkeypatch, start, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert start(output=None)[0] == 0
    assert (tmp_path / "studies" / "small" / "study.html").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hours": float("nan")}, "--hours: found nan"),
        ({"hours": -1.0}, "--hours: found -1"),
        ({"dry_run": True, "report_only": True}, "--dry-run: found --report-only as well"),
    ],
)
def test_options_that_make_no_sense(start, options, words):
    with pytest.raises(InputError, match=words):
        start(**options)


def test_datasets_and_jobs_are_checked_before_anything_is_written(start, checked, tmp_path):
    start(dry_run=True)
    assert checked == ["check_start", "check_datalists", "check_folds"]
    assert not (tmp_path / "out").exists()


def test_a_result_stays_when_a_part_that_is_wanted_now_cannot_be_measured(start, runs, tmp_path):
    save(runs[0], tmp_path / "out")
    start.workflow.fail = {runs[0].id}
    status, text, _ = start({**STUDY, "measure": {"probes": True}})
    assert status == 1
    assert f"without probes: {runs[0].id}; the same command measures them" in text
    report = json.loads((tmp_path / "out" / "study.json").read_text())
    assert runs[0].id not in json.dumps(report["failed"])


def test_damaged_results_are_named_and_the_study_does_their_runs(start, runs, tmp_path):
    mine, theirs = save(runs[0], tmp_path / "out"), save(runs[1], tmp_path / "theirs")
    for file in (mine, theirs):
        file.write_text(file.read_text()[:50])
    _, text, _ = start(dry_run=True)
    assert "left out: 2 results that cannot be read" in text
    assert f"  {runs[0].id}: a file that cannot be read as the result of a run (" in text
    assert f"  {theirs}: a file that" in text
    assert f"to do {runs[0].id}" in text
    assert mine.stat().st_size == 50
    _, text, _ = start(report_only=True)
    assert f"missing: {runs[0].id}, {runs[1].id}" in text
    assert str(theirs) in (tmp_path / "out" / "study.json").read_text()
    status, text, workflow = start()
    assert status == 0
    assert len([target for call in workflow.calls for target in call["targets"]]) == 6
    assert mine.with_name(f"{mine.name}.damaged").stat().st_size == 50
    assert theirs.stat().st_size == 50


def test_a_whole_result_of_a_neighbour_takes_the_place_of_a_damaged_one(start, runs, tmp_path):
    for run in runs:
        save(run, tmp_path / "theirs")
    mine = save(runs[0], tmp_path / "out")
    mine.write_text("")
    status, _, workflow = start()
    assert (status, workflow.calls) == (0, [])
    assert json.loads(mine.read_text())["from_study"] == "theirs"
    assert mine.with_name(f"{mine.name}.damaged").is_file()


def test_a_second_start_changes_nothing_while_the_first_is_at_work(start, runs, tmp_path):
    file = save(runs[0], tmp_path / "out")
    with lock_workflow(tmp_path / "out", verb="x"), pytest.raises(InputError, match="another lightskip study at work"):
        start({**STUDY, "measure": {"probes": True}})
    assert file.is_file(), "it was not set aside to be measured again"
    assert start.workflow.calls == []


def test_a_job_that_left_no_reason_is_named_with_its_log(start, runs, tmp_path):
    start.workflow.fail, start.workflow.silent = {runs[1].id}, True
    status, text, _ = start()
    assert status == 1
    assert f"failed: {runs[1].id}: it left no reason; its log is {tmp_path / 'out' / 'log'}" in text
    assert f"missing: {runs[1].id}" in text


def test_a_job_that_ended_before_its_training_is_named_with_the_message_in_its_log(start, runs, tmp_path):
    start.workflow.fail, start.workflow.silent = {runs[1].id}, True
    log = tmp_path / "out" / ".workflow" / "logs" / f"{runs[1].id}.log"
    log.parent.mkdir(parents=True)
    log.write_text("a line\nerror: bundle: found none; expected one\n\n")
    _, text, _ = start()
    assert f"failed: {runs[1].id}: bundle: found none; expected one" in text


def test_jobs_work_where_the_user_started(start, tmp_path, monkeypatch):
    # The folders of bundles in a study file are relative to it, and Snakemake works in the folder of the results.
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    _, _, workflow = start()
    assert {call["config"]["folder"] for call in workflow.calls} == {str(tmp_path / "here")}
    text = (Path(module.__file__).parent / "Snakefile").read_text()
    assert 'folder=lambda wildcards: config["folder"]' in text
    assert "(cd {params.folder:q} && exec {JOB}" in text
