"""Test that the compared runtimes compute the same."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import runtimes_ways
import torch

from pipeline.inference import inferers
from pipeline.networks import VNet
from pipeline.networks.precision import cpu_has_bfloat16

from ..inference.fake_gpu import FakeGpu


def test_every_way_gives_the_same_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {name for name in runtimes_ways.PACKAGES if runtimes_ways.is_installed(name)}
    # Its exporter takes seconds to import: the long test has it.
    monkeypatch.setattr(runtimes_ways, "is_installed", lambda name: name in there - {"ONNX Runtime"})
    torch.manual_seed(0)
    network = VNet(3, in_channels=1, out_channels=3, channels=(4, 8), kernel_size=3, skip="sat").eval()
    network.requires_grad_(False)
    ways = runtimes_ways.build_ways(network, (2, 1, 8, 8, 8), 1)
    formats = ("float32", "bfloat16") if cpu_has_bfloat16() else ("float32",)
    runtimes = ("PyTorch", *(("OpenVINO",) if "OpenVINO" in there else ()))
    assert {f"{runtime} {precision}" for runtime in runtimes for precision in formats} <= ways.keys()
    x = torch.randn(2, 1, 8, 8, 8)
    expected = network(x)
    for name, way in ways.items():
        most = 0.05 if "bfloat16" in name else 1e-5
        assert float((way(x) - expected).norm() / expected.norm()) < most, name
    assert any(float((way(x) - expected).norm()) > 0 for way in ways.values())


def test_every_way_of_a_gpu_gives_the_same_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    monkeypatch.setattr(inferers, "cpu_has_bfloat16", lambda: True)
    torch.manual_seed(0)
    network = VNet(3, in_channels=1, out_channels=3, channels=(4, 8), kernel_size=3, skip="sat").eval()
    network.requires_grad_(False)
    problems: list[str] = []
    ways, spent = runtimes_ways.build_gpu_ways(network, (2, 1, 8, 8, 8), gpu, on_problem=problems.append)
    assert ways.keys() == spent.keys()
    assert [name for name in ways if runtimes_ways.is_plain(name)] == ["PyTorch float32", "PyTorch bfloat16"]
    assert len(ways) == 8
    assert problems == []
    x = torch.randn(2, 1, 8, 8, 8)
    expected = network(x)
    for name, way in ways.items():
        most = 0.05 if "bfloat16" in name else 1e-5
        assert float((way(x) - expected).norm() / expected.norm()) < most, name
    gpu.problem = torch.OutOfMemoryError("out of memory")
    ways, _ = runtimes_ways.build_gpu_ways(network, (2, 1, 8, 8, 8), gpu, on_problem=problems.append)
    assert len(ways) == 4
    assert problems[0] == "PyTorch float32, CUDA graph is left out: the memory of the GPU does not suffice"


@pytest.mark.long
def test_the_script_runs_through(tmp_path: Any, run_script: Callable[..., Any]) -> None:
    output = tmp_path / "found.json"
    done = run_script("runtimes", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert len(found["forward"]) == 3
    for setting in found["forward"].values():
        assert setting["PyTorch float32"]["to PyTorch float32"]["median"] == 1
    assert found["machine"]["cpu"]
    assert str(tmp_path) not in output.read_text()
    wrong = run_script("runtimes", "--bundle", "no_such_bundle", "-o", str(output))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert "error: " in wrong.stdout
