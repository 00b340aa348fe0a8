"""Windows that do not fit into memory together are computed in smaller batches, with the same result."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pipeline.inference import PrecisionSlidingWindowInferer
from pipeline.inference.smaller_batches import with_smaller_batches
from pipeline.inference.windows import Windows


class SmallMemory(nn.Module):
    """A convolution that has memory for some windows at a time; its output is used again, as OpenVINO's can be."""

    def __init__(self, most):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(1, 3, 3, padding=1)
        self.most, self.sizes, self.output = most, [], {}

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.sizes.append(len(x))
        output = self.output.setdefault(tuple(x.shape), torch.empty(len(x), 3, *x.shape[2:]))
        return output.copy_(self.conv(x).detach())


def make_inferer(batch):
    return PrecisionSlidingWindowInferer(roi_size=(8, 8, 8), sw_batch_size=batch, overlap=0.5, mode="gaussian")


def segment(network, batch):
    torch.manual_seed(1)
    inferer = make_inferer(batch)
    windows = Windows(inferer, torch.randn(1, 12, 10, 9), classes=3, device=torch.device("cpu"))
    return torch.cat([rows.logits.clone() for rows in windows.rows(network)], dim=1), inferer


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_prediction_goes_on_with_the_same_logits(most, caplog):
    network = SmallMemory(most)
    logits, inferer = segment(network, 4)
    expected, _ = segment(SmallMemory(99), inferer.sw_batch_size)
    assert torch.equal(logits, expected)
    assert inferer.sw_batch_size == {1: 1, 2: 2, 3: 2}[most]
    assert max(network.sizes) <= most
    assert caplog.records[0].getMessage() == ("too little memory for 4 windows at a time: continuing with 2")
    assert len(caplog.records) == {1: 2, 2: 1, 3: 1}[most]


def test_an_evaluation_goes_on_with_the_same_logits():
    torch.manual_seed(1)
    image = torch.randn(1, 1, 12, 10, 9)
    inferer = make_inferer(4)
    network = SmallMemory(1)
    assert torch.equal(inferer(image, network), make_inferer(1)(image, SmallMemory(99)))
    assert inferer.sw_batch_size == 1


@pytest.mark.parametrize(
    ("error", "batch", "tries"), [(MemoryError("no"), 1, 1), (MemoryError("no"), 5, 3), (RuntimeError("a bug"), 8, 1)]
)
def test_one_window_without_memory_and_other_errors_are_raised(error, batch, tries):
    done = []

    def work():
        done.append(1)
        raise error

    with pytest.raises(type(error)):
        with_smaller_batches(SimpleNamespace(sw_batch_size=batch), work)
    assert len(done) == tries
