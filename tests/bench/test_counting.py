import pytest
import torch
from torch import nn

from pipeline.bench.counting import MultiplyAdds, Operators, is_matrix_kernel
from pipeline.networks import VNet

N, C, D = 2, 3, 5  # samples, channels in, channels out


def forward_and_backward(network: nn.Module, x: torch.Tensor) -> tuple[int, int]:
    counted = MultiplyAdds()
    counted.start()
    output = network(x)
    forward = counted.so_far()
    output.sum().backward()
    counted.stop()
    return forward, counted.total - forward


@pytest.mark.parametrize(
    ("layer", "forward"),
    [
        # Each of the 6x8x4 voxels of the output takes 27 C products for each of D channels.
        (nn.Conv3d(C, D, 3, padding=1), N * 6 * 8 * 4 * 27 * C * D),
        (nn.Conv3d(C, D, 2, stride=2), N * 3 * 4 * 2 * 8 * C * D),
        # Each of the 6x8x4 voxels of the input is multiplied into 8 of the output, for each of D channels.
        (nn.ConvTranspose3d(C, D, 2, stride=2), N * 6 * 8 * 4 * 8 * C * D),
        (nn.Sequential(nn.Flatten(), nn.Linear(C * 192, D)), N * C * 192 * D),
    ],
)
def test_a_layer_as_by_hand(layer: nn.Module, forward: int) -> None:
    x = torch.randn(N, C, 6, 8, 4, requires_grad=True)
    # The gradients of input and kernel take as many products each as the output.
    assert forward_and_backward(layer, x) == (forward, 2 * forward)
    # The first layer of a network has no gradient of its input to compute.
    assert forward_and_backward(layer, x.detach()) == (forward, forward)


def test_a_network_as_the_sum_over_its_convolutions() -> None:
    network = VNet(3, 1, 2, channels=(4, 8), convs_per_level=(1, 1), decoder_convs_per_level=(1,), skip="sum")
    by_layer = []

    def add(layer: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        grid = inputs[0] if isinstance(layer, nn.ConvTranspose3d) else output
        products = grid[:, 0].numel() * layer.weight.numel()
        by_layer.append((products, products * (1 + inputs[0].requires_grad)))

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.register_forward_hook(add)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        counted = forward_and_backward(network, torch.randn(N, 1, 8, 8, 16))
    assert len(by_layer) > 3
    assert counted == tuple(map(sum, zip(*by_layer, strict=True)))


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("aten::convolution_backward", True),
        ("aten::mkldnn_convolution", True),
        ("aten::_convolution", True),
        ("aten::cudnn_convolution_transpose", True),
        ("aten::slow_conv_transpose3d", True),
        ("aten::_slow_conv2d_forward", True),
        ("aten::addmm", True),
        ("aten::bmm", True),
        ("aten::convert_element_type", False),
        ("ConvolutionBackward0", False),
        ("aten::native_batch_norm", False),
        ("aten::add", False),
    ],
)
def test_which_operators_are_matrix_kernels(operator: str, expected: bool) -> None:
    assert is_matrix_kernel(operator) is expected


def test_the_profile_names_the_kernels_and_takes_their_share(capfd: pytest.CaptureFixture[str]) -> None:
    layer, x = nn.Conv3d(C, D, 3), torch.randn(N, C, 16, 16, 16)
    operators = Operators(on_gpu=False)
    operators.start()
    layer(x).sum().backward()
    torch.mm(x[0, 0, 0], x[0, 0, 1])
    operators.stop()
    summary = operators.summary("training", [1.0, 3.0])
    rows = summary["training_operators"]
    assert {"aten::convolution_backward", "aten::mm"} <= {row["operator"] for row in rows}
    assert rows == sorted(rows, key=lambda row: -row["seconds"])
    assert all(row["share"] == pytest.approx(2 * row["seconds"] / 4) for row in rows)
    matrix = sum(row["share"] for row in rows if is_matrix_kernel(row["operator"]))
    assert 0 < summary["training_share_matrix_kernels"] == pytest.approx(matrix, rel=0.1)
    assert capfd.readouterr().err == ""
