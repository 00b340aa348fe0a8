import os
import sys

import pytest
from processes import run_alone, stream


def test_a_process_is_measured_alone(tmp_path):
    ballast = b"1" * 600_000_000
    words = [sys.executable, "-c", "import time; held = bytes(200_000_000); time.sleep(0.3); print('done')"]
    run = run_alone(words, tmp_path / "log.txt")
    assert run.seconds >= 0.3
    # zeros that nothing touched are no memory, so `held` may count or not; this process's ballast must not.
    assert 1e6 < run.peak < len(ballast)
    assert (tmp_path / "log.txt").read_text() == "done\n"
    with pytest.raises(RuntimeError, match="exit status 3"):
        run_alone([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log.txt")


def test_a_process_holds_what_it_touches(tmp_path):
    peaks = [
        run_alone([sys.executable, "-c", f"held = b'1' * {size}"], tmp_path / "log.txt").peak
        for size in (1, 200_000_000)
    ]
    assert peaks[1] - peaks[0] == pytest.approx(200e6, rel=0.02)


def test_exit_statuses_that_are_no_failure_and_the_folder(tmp_path):
    (tmp_path / "inner").mkdir()
    words = [sys.executable, "-c", "import os; print(os.getcwd()); raise SystemExit(1)"]
    run = run_alone(words, tmp_path / "log.txt", folder=tmp_path / "inner", accepted=(0, 1))
    assert run.cpu_seconds > 0
    assert (tmp_path / "log.txt").read_text().strip() == str((tmp_path / "inner").resolve())


@pytest.mark.slow
def test_stream_runs_in_another_process():
    found = list(stream(_count, 3, add=os.getpid()))
    assert [number for number, _ in found] == [os.getpid() + i for i in range(3)]
    assert {process for _, process in found} != {os.getpid()}


@pytest.mark.slow
def test_stream_tells_that_the_process_failed():
    results = stream(_fail)
    assert next(results) == "first"
    with pytest.raises(RuntimeError, match="_fail ended early: 1"):
        next(results)


def _count(n, *, add):
    for i in range(n):
        yield i + add, os.getpid()


def _fail():
    yield "first"
    raise ValueError
