"""Processes that end with the one that started them, although that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.owner import has_ended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
REPOSITORY = Path(__file__).resolve().parents[1]
# Each program starts one that says its number and then would work for long. Its end closes the standard output.
CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
PIPE = """
import subprocess, sys, time
from pipeline.parent import parent_pipe, watch_text
with parent_pipe() as watched:
    subprocess.Popen([sys.executable, "-c", watch_text(watched) + {child!r}], pass_fds=watched)
    time.sleep(600)
"""
# As of a program in the background of a shell without job control: `nohup lightskip … &` in a script.
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + PIPE
GROUP = """
import subprocess, sys, time
watch = "from pipeline.parent import end_with_group; end_with_group(); "
subprocess.Popen(["sh", "-c", 'exec "$@"', "sh", sys.executable, "-c", watch + {child!r}])
time.sleep(600)
"""
WORKER = """
from pipeline.comparison.pool import Pool
from tests.test_parent import say_and_sleep
if __name__ == "__main__":
    with Pool(2, progress=False) as pool:
        pool.map(say_and_sleep, [1, 2], title="x")
"""


def say_and_sleep(_: int) -> None:
    os.write(1, f"{os.getpid()}\n".encode())
    time.sleep(600)


@pytest.mark.parametrize(
    ("program", "children"),
    [(PIPE, 1), (DEAF, 1), (GROUP, 1), (WORKER, 2)],
    ids=["pipe", "deaf", "group", "worker"],
)
def test_a_process_ends_when_its_parent_is_killed(program: str, children: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program.format(child=CHILD) if children == 1 else program)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        process_group=0,
    )
    assert parent.stdout is not None
    with parent, parent.stdout as lines:
        numbers = [int(next(lines)) for _ in range(children)]
        parent.send_signal(signal.SIGKILL)
        # It returns once no process has the pipe any more.
        assert lines.read() == b""
    # They close their files a moment before they have ended. If they do not end, this test hangs.
    while not all(has_ended(number, 0) for number in numbers):
        time.sleep(0.02)
