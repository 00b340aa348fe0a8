"""A port of the Tiramisu, here a stand-in of one convolution, is timed next to LightSkip's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PORT = """
from torch import nn

class Stub(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Conv2d(3, classes, 1), nn.LogSoftmax(dim=1))
"""


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """Return a folder with a port."""
    (tmp_path / "stub_port.py").write_text(PORT)
    return tmp_path


@pytest.mark.long
def test_times_and_ratios(port: Path, run_script: Callable[..., Any]) -> None:
    output = port / "found.json"
    words = ["stub_port:Stub", '{"classes": 11}', "--size", "64", "--rounds", "1", "--skip", "sat", "-o", str(output)]
    done = run_script("tiramisu_ports", str(port), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["parameters"]["the port"] == 3 * 11 + 11
    assert found["parameters"]["Tiramisu"] == 9_322_091
    for phase in ("inference", "training step"):
        times = {name: values["seconds"]["median"] for name, values in found[phase].items()}
        assert list(times) == ["the port", "Tiramisu", "Tiramisu, sat"]
        for name, values in found[phase].items():
            assert values["ratio"]["median"] == pytest.approx(times[name] / times["the port"])


def test_a_port_that_cannot_be_built_is_named(port: Path, run_script: Callable[..., Any]) -> None:
    done = run_script("tiramisu_ports", str(port), "stub_port:Missing", "-o", str(port / "found.json"))
    assert done.returncode == 2
    assert "error: stub_port:Missing of" in done.stdout
    assert not (port / "found.json").exists()
