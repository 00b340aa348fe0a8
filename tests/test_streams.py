"""Work goes on when nobody takes what it prints."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import streams

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams of POSIX")
REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = """
import logging, os, subprocess, sys
from pipeline.streams import find_lost_output, guard_streams, is_closed
guard_streams()
log = logging.getLogger("a")
log.addHandler(logging.StreamHandler(sys.stdout))
for number in range(3):
    print("x" * 9000, flush=True)
    log.error("y" * 9000)
os.write(1, b"native")
subprocess.run([sys.executable, "-c", "print('child', flush=True)"], check=True)
lost = find_lost_output()
name = None if lost is None else type(lost).__name__
opened = os.open(os.devnull, os.O_RDONLY)
with open(sys.argv[1], "w") as file:
    print(name, is_closed("stdout"), is_closed("stderr"), opened > 2, file=file)
"""


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (">&-", "None True False True"),
        (">&- 2>&- <&-", "None True True True"),
        (">/dev/full", "OSError False False True"),
        (">/dev/full 2>/dev/full", "OSError False False True"),
        ("| true", "BrokenPipeError False False True"),
        ("2>&1 | true", "BrokenPipeError False False True"),
        (">/dev/null", "None False False True"),
    ],
)
def test_a_program_ends_well_whatever_its_streams_are(redirect: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    result = tmp_path / "result"
    # The reader has gone before the first line.
    wait = "sleep 0.2; " if "|" in redirect else ""
    done = subprocess.run(
        f"({wait}{sys.executable} program.py {result}; echo $? > status) {redirect}",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.read_text().strip() == expected
    assert (tmp_path / "status").read_text().strip() == "0"
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_both_streams_stay_in_order_with_and_without_buffers(unbuffered: str) -> None:
    flush = "" if unbuffered else ", flush=True"
    program = (
        "import sys; from pipeline.streams import guard_streams; guard_streams()\n"
        "for number in range(3): sys.stderr.write(str(number) + '\\n'); "
        f"print('out'{flush})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.stdout == "0\nout\n1\nout\n2\nout\n"


def test_a_log_on_a_full_disk_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.Handler.handleError
    handler = logging.FileHandler(tmp_path / "a.log")
    try:
        streams.quiet_logging()
        handler.stream.close()
        handler.stream = open("/dev/full", "w")  # noqa: SIM115, PTH123
        for _ in range(3):
            handler.handle(logging.makeLogRecord({"msg": "x" * 9000, "levelno": logging.ERROR}))
    finally:
        # Closing it would fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), handler.stream.fileno())
        handler.stream.close()
        logging.Handler.handleError = before  # type: ignore[method-assign]
    told = capsys.readouterr().err
    assert (
        told
        == f"warning: {tmp_path / 'a.log'}: found no space left on device; the log is not complete, the work goes on\n"
    )
