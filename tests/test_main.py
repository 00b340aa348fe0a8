"""The command from its first import on: Ctrl-C ends it quietly, whichever module is being imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# What pip writes for an entry of [project.scripts], with the entry's own words.
SCRIPT = """
import sys
from pipeline.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""
# Python runs this before the command. Its finder interrupts when the named module is about to be imported.
HOOK = """
import os, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("INTERRUPTED_IMPORT"):
            raise KeyboardInterrupt

sys.modules.pop(os.environ.get("INTERRUPTED_IMPORT"), None)
sys.meta_path.insert(0, Interrupt())
"""
MODULES = ["logging", "pipeline.cli", "argparse", "pipeline.cli.predict_verbs"]


def run(words: list[str], folder: Path, module: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these words, interrupted when it imports this module."""
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(HOOK)
    path = os.pathsep.join([str(folder / "hook"), str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": path, "INTERRUPTED_IMPORT": module},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("way", ["module", "script"])
def test_an_interrupted_import_ends_the_command_quietly(way: str, module: str, tmp_path: Path) -> None:
    (tmp_path / "lightskip").write_text(SCRIPT)
    words = ["-m", "pipeline"] if way == "module" else [str(tmp_path / "lightskip")]
    done = run([*words, "--version"], tmp_path, module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("sample DIR", "pipeline.data.sample"),
        ("datalist DIR -o a.json", "numpy"),
        ("check a.json", "pipeline.data.check_dataset"),
        ("plan a.json --name a", "pipeline.bundle.planning"),
        ("render a", "pydantic"),
        ("train a", "pipeline.bundle.launch"),
        ("evaluate a", "pipeline.bundle.launch"),
        ("predict a b -o c", "pipeline.prediction.command"),
        ("predict a --stdin", "pipeline.prediction.jobs"),
        ("bench a", "pipeline.bench"),
        ("export a", "pipeline.export"),
    ],
)
def test_an_interrupted_verb_ends_quietly(verb: str, module: str, tmp_path: Path) -> None:
    done = run(["-m", "pipeline", *verb.split()], tmp_path, module)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted\n"


def test_the_interrupt_of_another_program_is_its_own(tmp_path: Path) -> None:
    done = run(["-c", "import pipeline"], tmp_path, "logging")
    assert done.returncode != 0
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "words", "expected"),
    [
        (1, ["render", "nowhere", "--check"], "error: "),
        (1, ["sample", "DIR", "--cases", "4", "--scans", "0"], ""),
        (1, ["predict", "nowhere", "--stdin"], "error: --stdin: found a closed standard output"),
        (2, ["sample", "DIR", "--cases", "4", "--scans", "0"], ""),
        (2, ["render", "nowhere"], ""),
    ],
)
def test_a_closed_stream_ends_no_verb_with_a_traceback(
    closed: int, words: list[str], expected: str, tmp_path: Path
) -> None:
    # What is printed to the other stream is all that can be read.
    other = tmp_path / "other"
    redirect = f"{closed}>&- {3 - closed}>{other}"
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        f"{sys.executable} -m pipeline {' '.join(words)} {redirect}",
        shell=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=300,
    )
    text = other.read_text()
    assert done.returncode == (0 if "sample" in words else 2)
    assert "Traceback" not in text
    assert text.startswith(expected)
    if closed == 2:
        assert "error" not in text


def test_the_installed_command_is_the_one_that_is_tested_here() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert 'lightskip = "pipeline.__main__:main"' in text


def test_without_an_interrupt_the_command_runs(tmp_path: Path) -> None:
    done = run(["-m", "pipeline", "--version"], tmp_path, "no_such_module")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("lightskip ")
