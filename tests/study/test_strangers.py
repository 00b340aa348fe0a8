"""A study file of somebody else's runs nothing but trainings."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.study.read_study import read_study
from pipeline.workflow.run import run_workflow

from .conftest import changed

PAYLOAD = "$__import__('pathlib').Path('marker').touch()"
SNAKEFILE = Path(sys.modules[read_study.__module__].__file__).with_name("Snakefile")


@pytest.mark.parametrize(
    "keys",
    [
        ("device",),
        ("arms", 0, "overrides", "patch"),
        ("arms", 0, "networks", 0, "act"),
        ("arms", 0, "skips", 2, "skip"),
        ("arms", 0, "bundle"),
    ],
)
@pytest.mark.parametrize("value", [PAYLOAD, "%file.json::key"])
def test_expressions_are_refused_with_their_line(write, keys, value):
    with pytest.raises(InputError, match=r"study.yaml, line \d+, .*does not start with \$"):
        read_study(write(changed(*keys, to=value)))


def test_a_class_to_call_is_refused(write):
    with pytest.raises(InputError, match="_target_"):
        read_study(write(changed("arms", 0, "overrides", "loss", to={"_target_": "os.system", "command": "true"})))


def test_texts_of_the_report_may_be_anything(write):
    assert read_study(write(changed("question", to="$5 or {{ more }}?"))).study.question.startswith("$5")


@pytest.mark.slow
def test_no_shell_reads_the_words_of_a_run(tmp_path):
    pytest.importorskip("snakemake")
    folder = tmp_path / "a b'; touch MARK1; $(touch MARK2) \"q {x}"
    program = "import json, pathlib, sys; pathlib.Path('runs/r.json').write_text(json.dumps(sys.argv[2:]))"
    words = ["study", f"{folder}/s;touch MARK3.yaml", "--x=$(touch MARK4)", "`touch MARK5`", "{log}", "<script>"]
    outcome = run_workflow(
        SNAKEFILE,
        folder=folder,
        targets=["runs/r.json"],
        config={
            "job": shlex.join([sys.executable, "-c", program]),
            "words": {"r": words},
            "folder": str(folder),
            "threads": 1,
            "mem_mb": 100,
            "runtime": 5,
        },
    )
    assert outcome.status == 0
    assert json.loads((folder / "runs" / "r.json").read_text()) == words
    assert not list(tmp_path.rglob("MARK*"))
