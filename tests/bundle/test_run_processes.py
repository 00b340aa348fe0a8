"""A process that a signal ended cannot say so itself."""

import pytest
import torch.distributed.run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from pipeline.bundle.run_processes import run_processes


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (1, 1, ""),
        (-9, 137, "number 1: found a process that was ended by signal 9 (SIGKILL); the others"),
        (-99, 227, "signal 99 (unknown)"),
    ],
)
def test_the_exit_status_and_the_message(monkeypatch, capsys, tmp_path, code, status, words):
    def main(_words):
        raise ChildFailedError("train", {1: ProcessFailure(1, 4711, code, str(tmp_path / "none"))})

    monkeypatch.setattr(torch.distributed.run, "main", main)
    assert run_processes(["-m", "x"]) == status
    said = capsys.readouterr().err
    assert words in said
    assert bool(words) == ("--resume" in said)
