"""Two checkouts, here twice the same, are compared by a training step."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_checkout_beside_itself(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script("step_builds", str(ROOT), "--quick", "--rounds", "2", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())["seconds"]
    assert {key: value["count"] for key, value in found.items()} == {"this": 2, "other": 2, "ratio": 2}
    assert found["this"]["median"] > 0


def test_what_is_no_checkout_is_named(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    done = run_script("step_builds", str(tmp_path), "-o", str(tmp_path / "found.json"))
    assert done.returncode == 2
    assert f"error: {tmp_path}: found no benchmarks/steps.py; expected a checkout of LightSkip" in done.stdout
    assert not (tmp_path / "found.json").exists()
