"""The words of a training, and what a training that ends early leaves."""

import json
from dataclasses import replace

import pytest
import torch

from pipeline.bundle.words import parse_values, read_words
from pipeline.data.errors import InputError
from pipeline.study import train as module
from pipeline.study.schema import Budget
from pipeline.study.train import train_run, training_words

STATE = {"network": {}, "optimizer": {}}


def settings(run, folder):
    return parse_values(read_words(training_words(run, folder)))


def test_words_of_a_training_of_epochs(runs, tmp_path):
    found = settings(runs[1], tmp_path / "run")
    assert found["epochs"] == 2
    assert found["minutes"] == "$None"
    assert found["val_interval"] == 1
    assert found["skip"] == ["sat", {"select": "soft"}]
    assert found["sparsity"] == 1e-4
    assert (found["fold"], found["seed"], found["precision"], found["device"]) == (0, 0, "float32", "cpu")
    assert found["network_def"]["_target_"] == "pipeline.networks.VNet"
    assert found["network_def"]["channels"] == [2, 4]
    assert found["network_def"]["skip"] == "@skip"
    assert found["patch"] == [16, 16, 16]
    assert found["cache_dir"] == str(tmp_path / "prepared")
    assert "dataset_dir" not in found


def test_words_of_a_training_of_minutes(runs, tmp_path):
    run = replace(runs[0], arm=replace(runs[0].arm, budget=Budget(minutes=2.5), dataset_dir=tmp_path))
    found = settings(run, tmp_path / "run")
    assert (found["epochs"], found["minutes"], found["clock"]) == ("$None", 2.5, "processor")
    assert found["dataset_dir"] == str(tmp_path)


@pytest.fixture
def process(monkeypatch):
    """Replace the process of a training: return its words, and let it leave files and a status."""

    class Process:
        def __init__(self):
            self.words, self.status, self.files, self.log, self.state = [], 0, {}, "", None

        def __call__(self, words, log, *, threads):  # noqa: ARG002
            self.words.append(list(words))
            for name, text in self.files.items():
                (log.parent / name).write_text(text)
            if self.state is not None:
                torch.save(self.state, log.parent / "last.pt")
            with log.open("a") as file:
                file.write(self.log)
            return self.status, 10.0, 2**20

    found = Process()
    monkeypatch.setattr(module, "run_logged", found)
    return found


def test_a_training_runs_once(runs, tmp_path, process):
    process.state = STATE
    first = train_run(runs[0], tmp_path / "run")
    assert first == {"state": "done", "reason": "", "training_seconds": 10.0, "training_resident_bytes": 2**20}
    assert train_run(runs[0], tmp_path / "run") == first
    assert len(process.words) == 1
    assert process.words[0][:2] == ["train", str(runs[0].arm.bundle)]
    assert json.loads((tmp_path / "run" / "settings.json").read_text()) == dict(runs[0].settings)


def test_a_training_that_diverged_is_done(runs, tmp_path, process):
    process.status, process.files = 1, {"diverged.json": '{"reason": "the loss is nan"}'}
    result = train_run(runs[0], tmp_path / "run")
    assert (result["state"], result["reason"]) == ("diverged", "the loss is nan")


def test_an_interrupted_training_resumes_and_its_time_adds_up(runs, tmp_path, process):
    process.status, process.state, process.log = 1, STATE, "Traceback\nRuntimeError: the error of it\n\n"
    with pytest.raises(InputError, match="exit status 1: RuntimeError: the error of it"):
        train_run(runs[0], tmp_path / "run")
    process.status = 0
    assert train_run(runs[0], tmp_path / "run")["training_seconds"] == 20.0
    assert process.words[1][-2:] == ["--resume", "True"]


def test_the_time_of_a_training_whose_first_start_was_killed_is_not_known(runs, tmp_path, process):
    process.status, process.state = 1, STATE
    with pytest.raises(InputError):
        train_run(runs[0], tmp_path / "run")
    # A killed start leaves no record of its time.
    (tmp_path / "run" / "time.json").unlink()
    process.status = 0
    assert train_run(runs[0], tmp_path / "run")["training_seconds"] is None


def test_an_interrupted_training_of_minutes_starts_again(runs, tmp_path, process):
    run = replace(runs[0], arm=replace(runs[0].arm, budget=Budget(minutes=2.5)))
    process.status, process.state = 1, STATE
    with pytest.raises(InputError):
        train_run(run, tmp_path / "run")
    process.status = 0
    assert train_run(run, tmp_path / "run")["training_seconds"] == 10.0
    assert "--resume" not in process.words[1]


@pytest.mark.parametrize("damage", ["no state", "half a state", "no record"])
def test_a_training_whose_files_are_missing_or_damaged_starts_again(runs, tmp_path, process, damage):
    process.state = STATE
    train_run(runs[0], tmp_path / "run")
    state, record = tmp_path / "run" / "last.pt", tmp_path / "run" / "trained.json"
    if damage == "no state":
        state.unlink()
    elif damage == "half a state":
        state.write_bytes(state.read_bytes()[:100])
    else:
        record.write_text('{"state": "do')
    assert train_run(runs[0], tmp_path / "run")["state"] == "done"
    # What the state still has is not trained again.
    assert ("--resume" in process.words[1]) == (damage == "no record")


def test_a_training_that_diverged_needs_no_weights(runs, tmp_path, process):
    process.status, process.files = 1, {"diverged.json": '{"reason": "the loss is nan"}'}
    assert train_run(runs[0], tmp_path / "run") == train_run(runs[0], tmp_path / "run")
    assert len(process.words) == 1
