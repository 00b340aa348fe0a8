"""Networks and skips on a GPU give what they give on the CPU. Run by `make test-gpu`."""

import copy

import pytest
import torch
from torch.nn.modules.dropout import _DropoutNd

from .test_networks import NETWORKS, PAIRS, SIZES, SKIPS

if not torch.cuda.is_available():
    pytest.skip("this machine has no GPU", allow_module_level=True)

pytestmark = pytest.mark.gpu


def make(pair, spatial_dims):
    network_type, small, _ = NETWORKS[pair[0]]
    torch.manual_seed(0)
    network = network_type(
        spatial_dims=spatial_dims, in_channels=1, out_channels=3, skip=SKIPS[pair[1]], **small(spatial_dims)
    )
    for part in network.modules():
        if isinstance(part, _DropoutNd):
            # Each device has random numbers of its own.
            part.p = 0.0
    return network


def compute(network, x, device):
    """Return the logits and the gradients of all weights, on the CPU."""
    network = copy.deepcopy(network).to(device)
    logits = network(x.to(device))
    logits.square().mean().backward()
    return logits.detach().cpu(), [weight.grad.cpu() for weight in network.parameters() if weight.grad is not None]


def relative_error(found, expected):
    return float((found.float() - expected.float()).norm() / expected.float().norm())


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_same_logits_and_gradients_as_on_the_cpu(pair, spatial_dims):
    network = make(pair, spatial_dims).double()
    x = torch.randn(2, 1, *(2 * size for size in SIZES[spatial_dims]), dtype=torch.float64)
    expected, expected_gradients = compute(network, x, "cpu")
    found, gradients = compute(network, x, "cuda")
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-10)


# Half the digits of a format remain after the layers of a small network.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.1)])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_short_format_gives_nearly_the_same(pair, dtype, tolerance):
    network = make(pair, 3).cuda().eval()
    x = torch.randn(2, 1, *(2 * size for size in SIZES[3]), device="cuda")
    with torch.inference_mode():
        expected = network(x)
        with torch.autocast("cuda", dtype):
            found = network(x)
    assert relative_error(found.cpu(), expected.cpu()) < tolerance
