import json

import pytest
from check import measured


def test_a_verb_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("check._VERB", "import sys, time; held = bytes(200_000_000); time.sleep(0.3); sys.exit(1)")
    ballast = b"1" * 600_000_000
    run = measured(["check"], tmp_path)
    assert run["wall"] >= 0.3 > run["cpu"] * 0.5
    assert run["memory"] < len(ballast) / 1e9
    with pytest.raises(RuntimeError, match="exit status 1"):
        measured(["plan"], tmp_path)


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
