import subprocess
from typing import Any

import pytest

from pipeline.workflow.find_profile import Profile
from pipeline.workflow.slurm import slurm_words

SLURM = Profile(settings={"executor": "slurm"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [(0, []), (1, ["--slurm-status-command", "squeue"]), (None, ["--slurm-status-command", "squeue"])],
)
def test_a_cluster_without_accounting_is_asked_in_another_way(
    answer: int | None, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        assert command[0] == "sacct"
        if answer is None:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, answer)

    monkeypatch.setattr(subprocess, "run", ask)
    assert slurm_words(SLURM) == words
    # What the profile says counts, and other executors have nothing to ask.
    assert slurm_words(Profile(settings={"executor": "slurm", "slurm-status-command": "sacct"})) == []
    assert slurm_words(Profile()) == []
