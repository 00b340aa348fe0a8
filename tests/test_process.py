"""A verb in a process of its own, and what an interrupt does to it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.process import run_verb

REPOSITORY = Path(__file__).resolve().parents[1]

# A verb that notes that it runs, and that it was interrupted; it takes a moment to end.
VERB = """
import os, signal, sys, time, pathlib
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = pathlib.Path({folder!r})
(folder / 'runs').write_text(str(os.getpid()))
try:
    time.sleep(100)
except KeyboardInterrupt:
    time.sleep(0.2)
    (folder / 'ended').write_text(' '.join(sys.argv))
    sys.exit(130)
"""
PARENT = """
import signal, sys
from pipeline import process
signal.signal(signal.SIGINT, signal.default_int_handler)
process._START = {verb!r}.replace('{{', '{{{{').replace('}}', '}}}}')
try:
    process.run_verb(['train', 'x'])
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.slow
def test_the_exit_status_is_the_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # A package of this name in the working directory is another project's.
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit(9)")
    assert run_verb(["--version"]) == 0
    assert run_verb(["check", "missing.json"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_the_run_alone_ends_the_verb_first(tmp_path: Path, number: int) -> None:
    verb = VERB.format(folder=str(tmp_path))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(verb=verb)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    while not (tmp_path / "runs").exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(number)
    assert parent.wait() == 130
    assert (tmp_path / "ended").read_text() == "-c train x"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "runs").read_text()), 0)
