"""Networks quantised by NNCF, next to PyTorch's float32."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.inference import nncf_int8
from pipeline.inference.nncf_int8 import quantize_network
from pipeline.inference.runtimes import OpenVINONetwork
from pipeline.inference.signal_stack import read_signal_stack
from pipeline.networks import VNet

SHAPE = (1, 8, 8, 8)
# Not by importing it, which would start its telemetry.
needs_nncf = pytest.mark.skipif(
    not all(find_spec(name) for name in ("openvino", "nncf")), reason="needs nncf: pip install '.[quantize]'"
)


def make_network(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    network = VNet(3, in_channels=1, out_channels=3, channels=(4, 8), kernel_size=3, skip="sat").eval()
    return network.requires_grad_(False)


def draw(count: int) -> list[torch.Tensor]:
    return list(torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1)).split(1))


@needs_nncf
def test_it_computes_nearly_what_pytorch_does(tmp_path: Path) -> None:
    network, windows = make_network(), draw(4)
    before = read_signal_stack()
    quantize_network(network, windows)(tmp_path / "model.xml")
    found = OpenVINONetwork(network, shape=SHAPE, model=tmp_path / "model.xml")
    both = torch.cat(windows)
    expected = network(both)
    error = float((found(both) - expected).norm() / expected.norm())
    # As it would be without quantising: 1e-6.
    assert 1e-4 < error < 0.2
    del found
    assert read_signal_stack() == before


@needs_nncf
def test_weights_use_7_bits(tmp_path: Path) -> None:
    quantize_network(make_network(), draw(2))(tmp_path / "model.xml")
    numbers = (tmp_path / "model.bin").read_bytes()
    layers = ElementTree.parse(tmp_path / "model.xml").getroot().iter("layer")
    small = [layer.find("data").attrib for layer in layers if layer.get("type") == "Const"]
    small = [one for one in small if one["element_type"] == "i8"]
    assert len(small) >= 5
    for one in small:
        start = int(one["offset"])
        values = torch.frombuffer(bytearray(numbers[start : start + int(one["size"])]), dtype=torch.int8)
        assert 32 < int(values.int().abs().max()) <= 64


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(InputError, match=r"model.xml: found a network that OpenVINO cannot read .*lightskip quantize"):
        OpenVINONetwork(make_network(), shape=SHAPE, model=tmp_path / "model.xml")


@needs_nncf
def test_another_network_s_model_is_refused(tmp_path: Path) -> None:
    quantize_network(make_network(), draw(2))(tmp_path / "model.xml")
    with pytest.raises(InputError, match=r"model.xml: found other logits than PyTorch's .*lightskip quantize"):
        OpenVINONetwork(make_network(seed=1), shape=SHAPE, model=tmp_path / "model.xml")


@needs_nncf
@pytest.mark.slow
def test_nothing_is_told_to_its_maker(tmp_path: Path) -> None:
    script = f"""
import socket, sys
def refuse(*_, **__): raise AssertionError("asked for an address")
socket.getaddrinfo = socket.socket.connect = refuse
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_nncf_int8 import draw, make_network
from pipeline.inference.nncf_int8 import quantize_network
quantize_network(make_network(), draw(1))
assert "openvino_telemetry" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@needs_nncf
def test_a_network_that_cannot_be_quantised_is_one_message() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return {"logits": x.numpy()}

    with pytest.raises(InputError, match="lightskip quantize: found a network that cannot be quantised"):
        quantize_network(Odd(), draw(1))


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nncf_int8, "find_spec", lambda name: None if name == "nncf" else object())
    with pytest.raises(InputError, match=r"found no package nncf; .*pip install 'lightskip\[quantize\]'"):
        quantize_network(torch.nn.Identity(), [])
