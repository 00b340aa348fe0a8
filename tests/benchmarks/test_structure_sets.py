"""Test that the benchmark of structure sets runs, and that its balls are as accurate as the document says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_quick(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script("structure_sets", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert set(found["parts"]) == {"write", "read"}
    assert all(ball["mean_error"] < 0.5 and ball["dice"] == 1 for ball in found["balls"])
    assert str(tmp_path) not in output.read_text()
