"""Test that the short scripts run and write their results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("name", "key", "arms"),
    [
        ("augmentation", "ways", {"MONAI, sample by sample", "the recipe's, as a batch"}),
        pytest.param(
            "variants", "variants", {"as the bundle has it", "PReLU", "channels last"}, marks=pytest.mark.long
        ),
    ],
)
def test_quick(name: str, key: str, arms: set[str], tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script(name, "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert arms <= set(found[key])
    # Where it was measured, but not where on that machine.
    assert found["machine"]["cpu"]
    assert str(tmp_path) not in output.read_text()
    wrong = run_script(name, "--bundle", "no_such_bundle", "-o", str(output))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert "error: " in wrong.stdout
