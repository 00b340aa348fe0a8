import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.locks import hold_lock
from pipeline.workflow import jobs


def test_a_job_is_lightskip_with_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a folder" / "job.lock"
    command = f"{jobs.job_command(sys.executable)} {shlex.quote(str(lock))} --version"
    # No `lightskip` on the path, and another project's package in the working directory.
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit(9)")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "lightskip")
    assert lock.is_file()


def test_a_job_that_is_at_work_is_not_started_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "shard_1.lock"
    with hold_lock(lock):
        assert jobs.find_running(tmp_path).keys() == {"shard_1"}
        with pytest.raises(SystemExit) as ended:
            jobs.hold_job(str(lock))
    assert ended.value.code == 2
    assert f"{lock}: found this job at work already" in capfd.readouterr().err
    assert jobs.find_running(tmp_path) == {}


def test_a_file_system_without_locks_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path, **__: object) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(jobs, "take_lock", refuse)
    jobs.hold_job(str(tmp_path / "job.lock"))
