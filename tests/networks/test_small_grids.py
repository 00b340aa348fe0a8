"""Gradients of kernels on grids that are smaller than they are, next to float64 and float32."""

import pytest
import torch
import torch.nn.functional as F

from pipeline.inference import PrecisionInferer
from pipeline.networks.small_grids import Float32OnSmallGrids


def fill_free_memory(*shapes: tuple[int, ...]) -> None:
    """Leave large numbers in memory that the next tensors are likely to get."""
    for shape in shapes:
        kept = [torch.full(shape, 1e31, dtype=dtype) for dtype in (torch.float32, torch.bfloat16) for _ in range(5)]
        del kept


def gradient(conv: torch.nn.Module, x: torch.Tensor, precision: str) -> torch.Tensor:
    conv.weight.grad = None
    fill_free_memory(conv.weight.shape, x.shape)
    PrecisionInferer(precision)(x, conv).square().mean().backward()
    return conv.weight.grad


@pytest.mark.parametrize("size", [(2, 2, 2), (2, 6, 5), (1, 4, 4), (5, 2, 3), (3, 3, 3), (8, 8, 8)])
@pytest.mark.parametrize("kind", [torch.nn.Conv3d, torch.nn.ConvTranspose3d])
def test_the_gradient_of_a_kernel_is_right_on_any_grid(kind, size):
    torch.manual_seed(0)
    conv, x = kind(16, 16, 3, padding=1), torch.randn(2, 16, *size)
    exact = gradient(conv.double(), x.double(), "float32")
    conv.float()
    for _ in range(10):
        error = float((gradient(conv, x, "bfloat16") - exact).abs().max())
        assert error < 0.05 * float(exact.abs().max())


@pytest.mark.parametrize(
    ("size", "kernel", "is_small"),
    [((2, 6, 6), 3, True), ((6, 6, 2), 3, True), ((3, 6, 6), 3, False), ((1, 6, 6), (1, 3, 3), False)],
)
def test_only_small_grids_are_computed_in_float32(size, kernel, is_small):
    torch.manual_seed(0)
    conv, x = torch.nn.Conv3d(4, 4, kernel, padding="same"), torch.randn(2, 4, *size)
    with Float32OnSmallGrids(), torch.autocast("cpu", torch.bfloat16):
        found = conv(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, conv(x).bfloat16()) == is_small


def test_without_autocast_nothing_changes():
    conv, x = torch.nn.Conv3d(4, 4, 3, padding=1), torch.randn(2, 4, 2, 2, 2)
    with Float32OnSmallGrids():
        assert conv(x).dtype == torch.float32


def test_arguments_may_have_names():
    x, kernel = torch.randn(1, 4, 2, 2, 2), torch.randn(4, 4, 3, 3, 3)
    with torch.autocast("cpu", torch.bfloat16), Float32OnSmallGrids():
        found = F.conv3d(input=x, weight=kernel, padding=1)
    assert torch.equal(found, F.conv3d(x, kernel, padding=1).bfloat16())
