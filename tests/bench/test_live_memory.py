import torch
from torch import nn

from pipeline.bench.live_memory import live_peak

N = 1000


class Double(nn.Module):
    def forward(self, x):
        y = x * 2
        z = y + 1
        del y
        return z * 3


def test_live_peak_by_hand():
    x = torch.ones(N)
    module = Double()

    def work():
        with torch.inference_mode():
            module(x)

    # At most two tensors of a thousand float32 at a time, and the scalar of "+ 1" or "* 3" as a float32 or a float64.
    assert 8 * N <= live_peak(work) <= 8 * N + 32
    assert live_peak(work) == live_peak(work)


def test_live_peak_of_a_training_step_by_hand():
    layer = nn.Linear(N, 1, bias=False)
    x = torch.ones(1, N)

    def work():
        # Forward keeps y, one float; backward makes the gradient of the weights.
        layer.zero_grad(set_to_none=True)
        layer(torch.tanh(x * 2)).sum().backward()

    # x * 2 is freed when tanh is done: two of them; later tanh's result and the gradient: two again.
    assert 8 * N <= live_peak(work) <= 8 * N + 64


def test_live_peak_counts_what_a_kernel_makes_for_itself():
    x = torch.ones(2, N, 2).transpose(1, 2)
    # Sorting copies the transposed input: beside values (4 bytes) and indices (8 bytes) there is more.
    assert live_peak(lambda: x.sort(dim=1)) > 12 * x.numel()
