from itertools import product

import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from pipeline.networks.block_convs import block_conv, make_block_conv, make_transposed_block_conv

STRIDES = [(1, 1), (2, 2), (2, 1), (1, 1, 1), (2, 2, 2), (2, 2, 1)]


def results(conv: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the convolution's output, and the gradients of its square's sum."""
    out = conv(x)
    return [out, *torch.autograd.grad(out.square().sum(), [x, *conv.parameters()])]


# Not the functions' own text, which has an address: each process of the tests would name them otherwise.
@pytest.fixture(
    params=product(STRIDES, [make_block_conv, make_transposed_block_conv]),
    ids=lambda pair: f"{pair[1].__name__} {pair[0]}",
)
def conv(request: pytest.FixtureRequest) -> nn.Module:
    stride, make = request.param
    torch.manual_seed(0)
    return make(len(stride), 3, 5, stride).double()


@pytest.fixture
def x(conv: nn.Module) -> torch.Tensor:
    return torch.randn(2, 3, *[4, 6, 2][: conv.weight.ndim - 2], dtype=torch.float64, requires_grad=True)


def test_gradients_are_those_of_pytorch(conv: nn.Module, x: torch.Tensor) -> None:
    torch.testing.assert_close(results(conv.train(), x), results(conv.eval(), x))


@pytest.mark.slow
def test_gradients_have_gradients(conv: nn.Module, x: torch.Tensor) -> None:
    assert torch.autograd.gradcheck(conv, x)
    assert torch.autograd.gradgradcheck(conv, x)


def test_it_is_pytorchs_convolution_by_class_and_weights(conv: nn.Module, x: torch.Tensor) -> None:
    theirs = next(kind for kind in type(conv).__mro__ if kind.__module__ == "torch.nn.modules.conv")
    other = theirs(3, 5, conv.kernel_size, conv.stride).double()
    other.load_state_dict(conv.state_dict())
    assert torch.equal(conv.eval()(x), other(x))


@pytest.mark.parametrize("training", [False, True])
def test_scripted_it_computes_the_same(conv: nn.Module, x: torch.Tensor, training: bool) -> None:
    conv.train(training)
    torch.testing.assert_close(torch.jit.script(conv)(x), conv(x))


def test_under_autocast_it_computes_in_the_short_format(conv: nn.Module, x: torch.Tensor) -> None:
    conv, x = conv.float().train(), x.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = results(conv, x)
    assert short[0].dtype == torch.bfloat16
    # The gradients have the format of what they are for.
    assert {gradient.dtype for gradient in short[1:]} == {torch.float32}
    torch.testing.assert_close([part.float() for part in short], results(conv, x), rtol=0.1, atol=0.5)


def test_without_a_bias_and_without_a_gradient_of_the_input() -> None:
    conv = make_block_conv(3, 2, 4, (2, 2, 2), bias=False)
    conv(torch.randn(1, 2, 4, 4, 4)).sum().backward()
    assert conv.bias is None
    assert conv.weight.grad is not None


def test_the_result_may_be_changed_in_place() -> None:
    conv = make_block_conv(2, 2, 3)
    conv(torch.randn(1, 2, 4, 4, requires_grad=True)).mul_(2).sum().backward()
    assert block_conv(torch.ones(1, 2, 4, 4), torch.ones(3, 2, 1, 1), None, training=True).eq(2).all()


def test_monais_tensors_are_taken() -> None:
    conv = make_block_conv(2, 2, 3)
    x = MetaTensor(torch.randn(1, 2, 4, 4))
    torch.testing.assert_close(torch.as_tensor(conv(x)), conv.eval()(x.as_tensor()))
