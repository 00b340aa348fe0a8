"""One run of a study: what is trained and measured, what is taken over, and what a failure leaves."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from pipeline.data.errors import InputError
from pipeline.locks import hold_lock
from pipeline.study import run_step
from pipeline.study.result import LaterResultError, read_result, result_file
from pipeline.study.run_step import do_run, find_result
from pipeline.study.schema import Measure

from .conftest import make_result, save

PARTS = ["curve", "cases", "cost", "levels", "weight_changes"]


@pytest.fixture
def tmp_path(tmp_path):
    """A study's folder without neighbours: those of `tmp_path` itself are other tests'."""
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


@pytest.fixture
def work(monkeypatch, runs):
    """Replace training and measurement; return the record of calls, and what a training says."""

    state = {"state": "done", "reason": "", "training_seconds": 12.5, "training_resident_bytes": 1000}
    done = SimpleNamespace(trained=[], measured=[], state=state, error=None)

    def train(run, folder):
        done.trained.append(run.id)
        if done.error is not None:
            raise done.error
        folder.mkdir(parents=True, exist_ok=True)
        return done.state

    def measure(run, folder, wanted, parts):
        done.measured.append(list(parts))
        content = make_result(run, robustness={"cases": ["a"], "perturbations": []}, probes=[])
        return {part: content[part] for part in [*parts, "machine"]}

    monkeypatch.setattr(run_step, "train_run", train)
    monkeypatch.setattr(run_step, "measure_run", measure)
    return done


def test_a_run_is_trained_and_measured_once(tmp_path, runs, work):
    file = do_run(runs[0], tmp_path, Measure())
    content = read_result(file)
    assert file == result_file(tmp_path, runs[0].id)
    assert content["state"] == "done"
    assert content["settings"]["skip"] == "concat"
    assert content["cost"]["training_seconds"] == 12.5
    assert content["cost"]["training_resident_bytes"] == 1000
    assert work.measured == [PARTS]
    assert do_run(runs[0], tmp_path, Measure()) == file
    assert work.trained == [runs[0].id]


@pytest.mark.parametrize("own", ["", "notes.txt\n"])
def test_git_keeps_the_results_and_leaves_the_trainings_out(tmp_path, runs, work, own):
    (tmp_path / ".gitignore").write_text("runs/\n")
    output = tmp_path / "studies" / "sat"
    output.mkdir(parents=True)
    if own:
        (output / ".gitignore").write_text(own)
    file = do_run(runs[0], output, Measure())
    weights = output / "trainings" / runs[0].id / "models" / "last.pt"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    listed = ["git", "ls-files", "--others", "--exclude-standard"]
    seen = subprocess.run(listed, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
    assert str(file.relative_to(tmp_path)) in seen
    assert not [name for name in seen if "/trainings/" in name]
    assert (output / ".gitignore").read_text().startswith(own)


def test_only_the_missing_part_is_measured_later(tmp_path, runs, work):
    do_run(runs[0], tmp_path, Measure())
    content = read_result(do_run(runs[0], tmp_path, Measure(probes=True)))
    assert work.measured == [PARTS, ["probes"]]
    assert content["cost"]["training_seconds"] == 12.5
    assert content["probes"] == []


def test_a_training_that_diverged_is_kept_and_not_measured(tmp_path, runs, work):
    work.state = {"state": "diverged", "reason": "the loss is nan in epoch 1, step 3 of 4", "training_seconds": 1.0}
    content = read_result(do_run(runs[0], tmp_path, Measure(robustness=True)))
    assert (content["state"], content["reason"]) == ("diverged", work.state["reason"])
    assert work.measured == []
    do_run(runs[0], tmp_path, Measure(robustness=True))
    assert work.trained == [runs[0].id]


def test_a_failure_leaves_its_reason_and_the_next_start_tries_again(tmp_path, runs, work):
    reason = tmp_path / "trainings" / runs[0].id / "failure.txt"
    work.error = InputError("a", found="b", expected="c", remedy="d")
    with pytest.raises(InputError):
        do_run(runs[0], tmp_path, Measure())
    assert "found b; expected c" in reason.read_text()
    work.error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        do_run(runs[0], tmp_path, Measure())
    assert reason.read_text().splitlines()[-1] == "ZeroDivisionError: a bug"
    assert not result_file(tmp_path, runs[0].id).exists()
    work.error = None
    do_run(runs[0], tmp_path, Measure())
    assert not reason.exists()


def test_one_process_does_a_run(tmp_path, runs, work):
    folder = tmp_path / "trainings"
    folder.mkdir()
    with (
        hold_lock(folder / f".{runs[0].id}.lock"),
        pytest.raises(InputError, match="another lightskip study --run at work in it: process "),
    ):
        do_run(runs[0], tmp_path, Measure())
    assert work.trained == []


def test_a_result_under_another_label_or_of_a_neighbour_is_taken_over(tmp_path, runs, work):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    file = save(runs[0], theirs)
    assert find_result(runs[0], mine)["from_study"] == "theirs"
    content = read_result(do_run(runs[0], mine, Measure()))
    assert content["from_study"] == "theirs"
    assert work.trained == []
    # The same digest under another label.
    renamed = file.with_name(f"other_{runs[0].id.rpartition('_')[2]}.json")
    changed = json.loads(file.read_text())
    changed["settings"]["skip"] = "whole"
    renamed.write_text(json.dumps(changed))
    file.unlink()
    found = find_result(runs[0], theirs)
    assert (found["id"], found["settings"]["skip"]) == (runs[0].id, "concat")


def test_a_result_of_a_neighbour_without_a_wanted_part_is_trained_again(tmp_path, runs, work):
    save(runs[0], tmp_path / "theirs")
    content = read_result(do_run(runs[0], tmp_path / "mine", Measure(probes=True)))
    assert work.trained == [runs[0].id]
    assert "from_study" not in content


@pytest.mark.parametrize("text", ["", '{"format": 1, "sta', "<<<<<<< HEAD", '{"format": 2}'])
def test_a_damaged_result_of_a_neighbour_is_left_out_and_named(tmp_path, runs, work, text):
    damaged = save(runs[0], tmp_path / "a")
    damaged.write_text(text)
    unread = {}
    assert find_result(runs[0], tmp_path / "mine", unread) is None
    assert list(unread) == [damaged]
    # The next neighbour has a whole one.
    save(runs[0], tmp_path / "b")
    assert find_result(runs[0], tmp_path / "mine")["from_study"] == "b"
    assert read_result(do_run(runs[0], tmp_path / "mine", Measure()))["from_study"] == "b"
    assert damaged.read_text() == text


def test_an_own_damaged_result_is_kept_aside_and_done_again(tmp_path, runs, work):
    file = save(runs[0], tmp_path)
    half = file.read_text()[:100]
    file.write_text(half)
    assert do_run(runs[0], tmp_path, Measure()) == file
    assert read_result(file)["state"] == "done"
    assert work.trained == [runs[0].id]
    assert file.with_name(f"{file.name}.damaged").read_text() == half
    assert "*.damaged" in (tmp_path / ".gitignore").read_text().splitlines()


def test_a_result_of_a_later_version_is_not_replaced(tmp_path, runs, work):
    file = save(runs[0], tmp_path, format=2)
    with pytest.raises(LaterResultError, match="update LightSkip"):
        do_run(runs[0], tmp_path, Measure())
    assert work.trained == []
    assert json.loads(file.read_text())["format"] == 2


def test_on_a_full_disk_the_error_itself_is_raised(tmp_path, runs, work, monkeypatch):
    work.error = InputError("a", found="b", expected="c", remedy="d")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    run_step.ignore_trainings(tmp_path)
    monkeypatch.setattr(run_step, "write_text", refuse)
    with pytest.raises(InputError, match="found b"):
        do_run(runs[0], tmp_path, Measure())
