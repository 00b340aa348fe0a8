"""Two checkouts, here twice the same, are compared on one scan."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_a_checkout_beside_itself(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script("builds", str(ROOT), "--quick", "--rounds", "1", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["scan"] == [96, 96, 48]
    assert set(found["parts"]) == {"ct", "files", "start"}
    assert found["compared"]["ct"] == found["compared"]["files"] == {"voxels": 0, "of": 96 * 96 * 48}
    ct = found["parts"]["ct"]
    assert 0 < ct["share of voxels between classes"]["this"]["median"] <= 1
    assert 0 <= ct["mean Dice"]["this"]["median"] <= 1
    for name in ("preparing", "writing", "read to written, without the network", "whole"):
        this, other, ratio = (found["parts"]["files"][name][key]["median"] for key in ("this", "other", "ratio"))
        assert this > 0
        assert ratio == pytest.approx(this / other)


def test_what_is_no_checkout_is_named(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    done = run_script("builds", str(tmp_path), "-o", str(tmp_path / "found.json"))
    assert done.returncode == 2
    assert f"error: {tmp_path}: found no pipeline/cli; expected a checkout of LightSkip" in done.stdout
    assert not (tmp_path / "found.json").exists()
