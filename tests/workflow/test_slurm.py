import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.workflow.find_profile import Profile
from pipeline.workflow.slurm import cancel_queued, slurm_words

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


RUN = "2081e9c6-1f56-4abf-aba8-4a6e65810b8b"


@pytest.mark.parametrize(
    ("profile", "text", "commands"),
    [
        (SLURM, f"host: a\nSLURM run ID: {RUN}\nshard: 1\n", [["scancel", "--state=PENDING", f"--name={RUN}"]]),
        (SLURM, "host: a\n", []),
        (SLURM, "SLURM run ID: --user=somebody\n", []),
        (SLURM, None, []),
        (Profile(), f"SLURM run ID: {RUN}\n", []),
    ],
)
def test_jobs_that_a_killed_start_left_in_the_queue_are_cancelled(
    profile: Profile, text: str | None, commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def cancel(command: list[str], **_: Any) -> None:
        called.append(command)
        # A cluster without the program, or one that does not answer, stops nothing.
        raise FileNotFoundError(command[0])

    monkeypatch.setattr(subprocess, "run", cancel)
    log = tmp_path / "snakemake.log"
    if text is not None:
        log.write_text(text)
    cancel_queued(profile, log)
    assert called == commands
