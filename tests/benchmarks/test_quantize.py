"""Models that are quantised, and the script without and with NNCF."""

import gc
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import quantize
import quantize_models
import torch

from pipeline.inference.signal_stack import read_signal_stack
from pipeline.networks import VNet


@pytest.fixture
def network() -> Any:
    torch.manual_seed(0)
    network = VNet(3, in_channels=1, out_channels=3, channels=(4, 8), kernel_size=3, skip="sat").eval()
    return network.requires_grad_(False)


# Not by importing it, which would start its telemetry.
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino: pip install '.[runtime]'")
def test_a_model_in_float32_computes_what_the_network_does(network: Any, tmp_path: Path) -> None:
    x = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    model = quantize_models.convert(network, (1, *x.shape[1:]))
    quantize_models.save(model, tmp_path / "a.xml")
    before = read_signal_stack()
    for form in (model, tmp_path / "a.xml"):
        compiled = quantize_models.CompiledModel(form)
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-4)
        assert compiled.precision == "float32"
        assert compiled.primitives()
        assert all(name.endswith("f32") for name in compiled.primitives())
    # A stack of a model that is gone would end the process at the next signal.
    del compiled
    gc.collect()
    assert read_signal_stack() == before


@pytest.mark.slow
@pytest.mark.parametrize("variant", quantize_models.VARIANTS)
def test_a_quantised_model_computes_nearly_the_same(network: Any, variant: str) -> None:
    if not quantize_models.is_installed():
        pytest.skip("nncf is not installed")
    windows = list(torch.randn(3, 1, 8, 8, 8, generator=torch.Generator().manual_seed(1)).split(1))
    model = quantize_models.convert(network, (1, 1, 8, 8, 8))
    found = quantize_models.CompiledModel(quantize_models.quantize(model, windows, **quantize_models.VARIANTS[variant]))
    expected = network(windows[0])
    error = float((found(windows[0]) - expected).norm() / expected.norm())
    assert 0 < error < 0.3
    assert any(name.lower().endswith("i8") for name in found.primitives())


def test_without_the_packages_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(quantize, "is_installed", lambda: False)
    monkeypatch.setattr(sys, "argv", ["quantize.py", "-o", str(tmp_path / "found.json")])
    assert quantize.main() == 0
    assert "needs openvino and nncf" in capsys.readouterr().out
    assert not (tmp_path / "found.json").exists()


@pytest.mark.long
def test_the_script_runs_through(tmp_path: Path, run_script: Callable[..., Any]) -> None:
    if not quantize_models.is_installed():
        pytest.skip("nncf is not installed")
    output = tmp_path / "found.json"
    done = run_script("quantize", "--quick", "-o", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    for isas in found["networks"].values():
        times = isas["native"]["times"]
        assert times["float32"]["to float32"]["median"] == 1
        assert any(name.startswith("int8") for name in times)
    assert str(tmp_path) not in output.read_text()
    wrong = run_script("quantize", "--bundle", "no_such_bundle", "-o", str(output))
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
