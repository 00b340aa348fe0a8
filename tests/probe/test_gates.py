from typing import Any

import pytest
import torch
from monai.networks.nets.attentionunet import AttentionBlock
from torch import Tensor, nn

from pipeline.networks import Skip, VNet
from pipeline.probe.gates import GateMeans, describe_weights, watch_gates
from pipeline.probe.levels import Level, find_levels


class Gated(nn.Module):
    """A gate of positions, as squeeze & excitation has: its forward calls its method `gate`."""

    def gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x[:, :1])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def test_gates_are_seen_and_averaged() -> None:
    network = nn.Sequential(Gated(), Gated())
    x = torch.randn(2, 3, 4, 4)
    means = GateMeans()
    expected = network(x)
    with watch_gates(network, means):
        assert torch.equal(network(x), expected)
        network(x[:1])
    first = torch.sigmoid(x[:, :1])
    # Three windows: both of the first batch, and one again.
    of_first = (first[0].mean() * 2 + first[1].mean()) / 3
    assert means.means()["0"] == pytest.approx(float(of_first), abs=1e-5)
    assert means.means().keys() == {"0", "1"}
    assert means.means("1").keys() == {""}
    assert all("gate" not in module.__dict__ for module in network)
    network(x)
    assert means.means()["0"] == pytest.approx(float(of_first), abs=1e-5)


def test_the_gate_of_an_attention_block_is_its_psi() -> None:
    block = AttentionBlock(2, f_int=2, f_g=4, f_l=4).eval()
    x, decoder = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    seen: list[tuple[str, Tensor]] = []
    with watch_gates(nn.ModuleDict({"skip": block}), lambda *what: seen.append(what)), torch.no_grad():
        gated = block(decoder, x)
    [(name, gate)] = seen
    assert name == "skip"
    assert gate.shape == (1, 1, 8, 8)
    torch.testing.assert_close(gate * x, gated)


def test_the_selection_of_a_level() -> None:
    network = VNet(2, 1, 2, (3, 4), kernel_size=3, skip=("sat", {"select": "hard", "threshold": 0.5}))
    [level] = find_levels(network, "model.pt")
    skip: Any = level.skip
    with torch.no_grad():
        skip.select.weight[:] = torch.tensor([0.25, -0.75, 1.5])
    assert describe_weights(level) == {
        "selection": {"mode": "hard", "threshold": 0.5, "weights": [0.25, -0.75, 1.5], "selected": [1, 2]}
    }
    [level] = find_levels(VNet(2, 1, 2, (3, 4), kernel_size=3, skip="concat"), "model.pt")
    assert describe_weights(level) == {}


def test_the_number_of_a_scalar_skip() -> None:
    skip = Skip["scalar"](2, 4, 4)
    with torch.no_grad():
        skip.beta.fill_(0.0)
    # softplus(0) is the logarithm of 2.
    assert describe_weights(Level(0, "skip", "scalar", skip)) == {"alpha": 0.693147}
