"""The estimate against arithmetic, and against the memory of real steps of the recipe."""

import math
import os
import warnings
from dataclasses import fields

import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn

from pipeline.bench.live_memory import live_peak
from pipeline.bundle.planning.ledger import Autocast, Ledger
from pipeline.bundle.planning.memory import estimate_memory
from pipeline.bundle.planning.scratch import convolution_backward_scratch, convolution_scratch
from pipeline.inference import PrecisionInferer, choose_precision
from pipeline.networks import VNet, build_network
from pipeline.networks.precision import cpu_has_bfloat16
from pipeline.training import AverageWeights, Muon, SparseSkipLoss, parameter_groups

FLOAT = 4
NETWORK = {
    "name": "vnet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [16, 32, 64],
    "convs_per_level": [1, 2, 2],
    "decoder_convs_per_level": [1, 1],
    "kernel_size": 3,
    "norm": ("instance", {"affine": True}),
    "act": ("leakyrelu", {"negative_slope": 0.01}),
    "residual": "decoder",
    "head": "pointwise",
    "skip": "concat",
}
SIZES = {
    "patch": [32, 32, 24],
    "batch": 2,
    "window": [32, 32, 24],
    "largest_scan": [40, 40, 32],
    "cases_voxels": [40 * 40 * 32] * 5,
    "threads": 1,
}
SAT4 = ("sat", {"maps": 4, "gate": "linear", "merge": "sum"})


def test_one_convolution_by_hand() -> None:
    # Without the scratch memory of convolutions. The input, the convolution's result and its square stay for the
    # backward pass. That adds the gradient of the square's argument; the sum's gradient is expanded without a copy.
    conv = nn.Conv3d(1, 5, 3, padding=1, bias=False, device="meta")
    ledger = Ledger(threads=0)
    with ledger:
        image = torch.empty(1, 1, 8, 8, 8, device="meta")
        made = conv(image)
        assert ledger.live == (1 + 5) * 8**3 * FLOAT
        squared = made.square()
        assert ledger.live == (1 + 5 + 5) * 8**3 * FLOAT
        del made
        # The square's gradient needs it.
        assert ledger.live == (1 + 5 + 5) * 8**3 * FLOAT
        squared.sum().backward()
        del squared
    assert ledger.live == 8**3 * FLOAT + 5 * 27 * FLOAT


def test_a_view_and_a_result_in_place_cost_nothing() -> None:
    ledger = Ledger(threads=0)
    with ledger:
        x = torch.empty(100, device="meta")
        views = [x[:50], x.view(10, 10), x.add_(1)]
        assert ledger.live == ledger.peak == 100 * FLOAT
        del x
        assert ledger.live == 100 * FLOAT
        del views
        assert (ledger.live, ledger.peak) == (0, 100 * FLOAT)


def test_convolutions_are_in_the_number_format_of_autocast() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ConvTranspose2d(4, 2, 2))
    network.append(nn.Linear(7, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = [part.dtype for part in _results(network, torch.zeros(1, 1, 8, 8))]
    with Autocast("bfloat16"):
        found = [part.dtype for part in _results(network.to("meta"), torch.zeros(1, 1, 8, 8, device="meta"))]
    assert found == expected


def amx_in_use() -> bool:
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    allowed = limit in {"ALL", "DEFAULT"} or "AMX" in limit
    return allowed and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def _results(network: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    made = []
    for part in network:
        x = part(x)
        made.append(x)
    return made


@pytest.mark.parametrize(
    ("dims", "inputs", "outputs", "kernel", "stride", "transposed", "precision"),
    [
        (3, 16, 16, 3, 1, False, torch.bfloat16),
        (3, 1, 16, 3, 1, False, torch.float32),
        (3, 24, 24, 3, 1, False, torch.float32),
        (3, 16, 32, 2, 2, False, torch.float32),
        (3, 32, 16, 2, 2, True, torch.float32),
        (2, 16, 32, 3, 1, False, torch.bfloat16),
        (2, 16, 32, 2, 2, False, torch.bfloat16),
    ],
)
def test_the_scratch_of_a_convolution_is_what_onednn_takes(
    dims: int, inputs: int, outputs: int, kernel: int, stride: int, transposed: bool, precision: torch.dtype
) -> None:
    if not (torch.backends.mkldnn.is_available() and cpu_has_bfloat16()):
        pytest.skip("the blocks are those of a CPU with AVX-512 and bfloat16")
    if precision == torch.bfloat16 and amx_in_use():
        pytest.skip("AMX takes other blocks for bfloat16; ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 leaves it out")
    size = [32, 40, 32] if dims == 3 else [192, 160]
    size = [n // stride for n in size] if transposed else size
    kinds = {(2, False): nn.Conv2d, (2, True): nn.ConvTranspose2d, (3, False): nn.Conv3d, (3, True): nn.ConvTranspose3d}
    padding = kernel // 2 if stride == 1 else 0
    layer = kinds[dims, transposed](inputs, outputs, kernel, stride=stride, padding=padding).to(precision)
    x = torch.randn(2, inputs, *size, dtype=precision, requires_grad=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made: list[torch.Tensor] = []
        layer(x)
        forward = live_peak(lambda: made.append(layer(x)))
        gradient = torch.ones_like(made[0])
        backward = live_peak(lambda: made[0].backward(gradient))
    finally:
        torch.set_num_threads(threads)
    given = [x.grad, layer.weight.grad, layer.bias.grad]
    tail = [[stride] * dims, [padding] * dims, [1] * dims, transposed, [0] * dims, 1]
    of_forward = convolution_scratch([x, layer.weight, layer.bias, *tail], made[0], 1)
    of_backward = convolution_backward_scratch([gradient, x, layer.weight, [outputs], *tail, [True] * 3], given, 1)
    assert _bytes(made[0]) + of_forward == pytest.approx(forward, rel=0.12)
    assert sum(map(_bytes, given)) + of_backward == pytest.approx(backward, rel=0.12)


@pytest.mark.parametrize(
    ("changes", "precision"),
    [({}, "float32"), ({"skip": SAT4}, "bfloat16"), ({"residual": "merged"}, "bfloat16")],
)
def test_the_traced_step_holds_what_a_real_step_of_the_recipe_holds(changes: dict, precision: str) -> None:
    if precision == "bfloat16" and not cpu_has_bfloat16():
        pytest.skip("a CPU without bfloat16 takes other memory for it")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = build_network(NETWORK | changes)
        step = _recipe(network, precision)
        step()
        real = live_peak(step)
    finally:
        torch.set_num_threads(threads)
    estimate = estimate_memory(NETWORK | changes, **SIZES, precision=precision)
    # The estimate has the loader's batch as well; that and the one in use are there before the real step.
    batches = 2 * 2 * math.prod(SIZES["patch"]) * (FLOAT + 1)
    assert estimate.live - batches == pytest.approx(real, rel=0.2)


def test_the_network_is_weights_gradients_states_and_average() -> None:
    network = build_network(NETWORK)
    optimizer = Muon(parameter_groups(network, 0.01), lr=1e-3)
    average = AverageWeights(network, 0.01).average
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    tensors = [*network.parameters(), *network.buffers(), *average.parameters()]
    tensors += [parameter.grad for parameter in network.parameters()]
    tensors += [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    # A kernel that is all but a vector has two states as well.
    assert estimate_memory(NETWORK, **SIZES).network == pytest.approx(sum(map(_bytes, tensors)), rel=0.01)


@pytest.mark.slow
def test_more_of_anything_takes_more() -> None:
    estimate = estimate_memory(NETWORK, **SIZES)
    assert (
        estimate_memory(NETWORK, **SIZES, precision="float32").step
        > estimate_memory(NETWORK, **SIZES, precision="bfloat16").step
    )
    for change, part in [
        ({"patch": [32, 32, 28]}, "step"),
        ({"patch": [32, 64, 24]}, "step"),
        ({"batch": 3}, "step"),
        ({"largest_scan": [400, 40, 320]}, "validation"),
        ({"window": [64, 64, 64]}, "validation"),
        ({"largest_native": [160, 160, 32]}, "preparation"),
        ({"largest_native": [160, 160, 32]}, "prediction"),
        ({"cases_voxels": [40 * 40 * 32] * 6}, "cache"),
    ]:
        more = estimate_memory(NETWORK, **SIZES | change)
        assert getattr(more, part) > getattr(estimate, part), change
        assert more.total >= estimate.total
    wider = estimate_memory(NETWORK | {"channels": [32, 64, 128]}, **SIZES)
    assert wider.network > 3.9 * estimate.network
    assert wider.step > estimate.step


def test_the_cache_is_image_label_and_places() -> None:
    estimate = estimate_memory(NETWORK | {"in_channels": 2}, **SIZES | {"cases_voxels": [1000, 3000]})
    assert estimate.cache == 4000 * (2 * FLOAT + 1) + 2 * 3 * 20000 * 8


def test_a_gpu_holds_the_network_and_the_machine_the_cases() -> None:
    on_cpu = estimate_memory(NETWORK, **SIZES)
    on_gpu = estimate_memory(NETWORK, **SIZES | {"cases_voxels": [10**9]}, device="cuda:0")
    assert on_gpu.live < on_cpu.live  # no copies for oneDNN
    assert on_gpu.total == on_gpu.process + on_gpu.network + max(on_gpu.step, on_gpu.validation)
    assert on_gpu.host > 5 * 10**9 > on_gpu.total
    assert on_cpu.host == on_cpu.total


def test_nothing_of_the_predicted_size_is_allocated() -> None:
    sizes = SIZES | {"patch": [2048, 2048, 1024], "window": [2048, 2048, 1024], "largest_scan": [4096, 4096, 2048]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found: list[int] = []
        peak = live_peak(lambda: found.append(estimate_memory(NETWORK, **sizes).total))
    assert found[0] > 2**40
    assert peak < 2**20


def test_the_number_format_is_the_one_that_a_training_would_choose() -> None:
    chosen = estimate_memory(NETWORK, **SIZES, precision=choose_precision("cpu"))
    assert estimate_memory(NETWORK, **SIZES) == chosen


def test_every_part_is_in_whole_bytes() -> None:
    estimate = estimate_memory(NETWORK, **SIZES | {"largest_native": [44, 40, 32]})
    assert all(isinstance(getattr(estimate, part.name), int) for part in fields(estimate) if part.name != "device")
    assert isinstance(estimate.total, int)


def test_a_patch_that_does_not_fit_the_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        estimate_memory(NETWORK, **SIZES | {"patch": [30, 32, 24]})


def _recipe(network: VNet, precision: str):
    image = torch.randn(2, 1, *SIZES["patch"])
    label = torch.randint(3, (2, 1, *SIZES["patch"]), dtype=torch.uint8)
    loss = SparseSkipLoss(DiceCELoss(softmax=True, to_onehot_y=True, batch=True), network, 1e-4)
    optimizer = Muon(parameter_groups(network, 0.01), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        prediction = PrecisionInferer(precision)(image, network)
        loss(prediction, label).backward()
        optimizer.step()

    return step


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
