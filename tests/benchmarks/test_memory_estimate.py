"""Test that the benchmark of the memory estimate runs, and that its numbers are those of its parts."""

import json
from argparse import Namespace
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
from memory_estimate import CASES, NETWORKS, _changes, estimate, main

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CASES, *NETWORKS])
def test_every_case_has_a_network_for_its_patch(name: str) -> None:
    case = (CASES | NETWORKS)[name]
    plan = yaml.safe_load(PLAN.read_text())
    options = Namespace(precision="float32", threads=1)
    estimated = estimate({**plan, **_changes(plan, case)}, case, options)
    # At the least the cases, read, and the step's finest features, kept for the backward pass.
    count = 2 * case.get("batch", 2) + 1
    assert estimated.cache > count * prod(case["scan"]) * (4 * case.get("inputs", 1) + 1)
    width = case["planned"][1] if "planned" in case else case.get("channels", [16])[0]
    assert estimated.live > 2 * width * case.get("batch", 2) * prod(case["patch"])


def test_a_bundle_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["memory_estimate.py", "--bundle", "no_such_bundle"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "error: " in capsys.readouterr().out


@pytest.mark.long
def test_quick(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script("memory_estimate", "--quick", "--threads", "1", "--epochs", "1", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    row = found["cases"]["tiny"]
    assert row["ratio"] == pytest.approx(row["total"] / row["resident"])
    # A process that has PyTorch and MONAI in it.
    assert row["resident"] > 200 * 2**20
    assert row["live_ratio"] == pytest.approx(1, abs=0.2)
    assert str(tmp_path) not in output.read_text()
