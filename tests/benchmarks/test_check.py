import json
import sys

import pytest
from check import run_verb


def test_a_check_that_finds_something_is_measured_and_a_plan_that_fails_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("check.VERB", (sys.executable, "-c", "raise SystemExit(1)"))
    run = run_verb(["check"], tmp_path)
    assert run.keys() == {"wall", "cpu", "memory"}
    with pytest.raises(RuntimeError, match="exit status 1"):
        run_verb(["plan"], tmp_path)


@pytest.mark.long
def test_check(run_script, tmp_path):
    output = tmp_path / "check.json"
    done = run_script("check", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert results["cases"] == 12
    assert list(results["runs"]) == ["check cold, 2 workers", "check warm, 2 workers", "plan"]
    for run in results["runs"].values():
        assert all(run[unit]["count"] == 1 and run[unit]["median"] > 0 for unit in ("wall", "cpu", "memory"))
    assert results["marks_met"].keys() == {"check cold, 2 workers", "plan", "memory"}
    assert str(tmp_path) not in output.read_text()
