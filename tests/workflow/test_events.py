import json
from pathlib import Path

from pipeline.workflow.events import Journal


def lines(*contents: dict[str, object]) -> list[str]:
    return [json.dumps(content) + "\n" for content in contents]


def test_jobs_are_counted_and_a_job_that_succeeds_at_last_has_not_failed() -> None:
    journal = Journal(Path("/out"))
    begin = {"event": "job_info", "jobid": 2, "rule_name": "run", "output": ["runs/b.json"], "log": ["logs/b.log"]}
    events = list(
        journal.read(
            [
                *lines({"event": "run_info", "stats": {"run": 3, "fast": 1, "all": 1, "total": 5}}),
                *lines(begin, {"event": "job_error", "jobid": 2}, begin),
                *lines({"event": "job_finished", "job_id": 2}),
                # The last rule makes no file.
                *lines({"event": "job_info", "jobid": 0, "rule_name": "all", "output": [], "log": []}),
                *lines({"event": "job_finished", "job_id": 0}),
                '{"event": "job_err',
            ]
        )
    )
    assert [(event.kind, event.attempt, event.done) for event in events] == [
        ("started", 1, 0),
        ("failed", 1, 0),
        ("started", 2, 0),
        ("done", 2, 1),
    ]
    assert {(event.target, event.log, event.total) for event in events} == {("runs/b.json", "logs/b.log", 4)}
    assert (journal.done, journal.failed) == (["runs/b.json"], {})


def test_a_job_whose_last_attempt_failed_has_failed() -> None:
    journal = Journal(Path("/out"))
    begin = {"event": "job_info", "jobid": 1, "rule_name": "run", "output": ["a"], "log": []}
    list(journal.read(lines(begin, {"event": "job_error", "jobid": 1})))
    assert (journal.done, journal.failed) == ([], {"a": ""})


def test_files_that_are_sent_to_another_machine_have_the_same_names() -> None:
    journal = Journal(Path("/out"))
    sent = {"output": ["/out/runs/b.json (send to storage)"], "log": ["/out/logs/b.log (send to storage)"]}
    [event] = journal.read(lines({"event": "job_info", "jobid": 1, "rule_name": "run", **sent}))
    assert (event.target, event.log) == ("runs/b.json", "logs/b.log")
