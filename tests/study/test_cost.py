"""Costs by hand: a network so small that its parameters, multiply-adds and bytes can be counted."""

import pytest
import torch

from pipeline.study.cost import Task, measure_cost, measure_skip_bytes, time_step

SPEC = {
    "name": "vnet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [2, 4],
    "convs_per_level": [1, 1], "decoder_convs_per_level": [1], "kernel_size": 3, "norm": ["instance", {"affine": True}],
    "act": ["leakyrelu", {"negative_slope": 0.01}], "dropout": 0.0, "residual": "decoder", "head": "pointwise",
}  # fmt: skip
VOXELS = 8 * 8 * 8


def make_task(skip):
    return Task({**SPEC, "skip": skip}, sparsity=0.0, patch=(8, 8, 8), window=(8, 8, 8), batch=2)


@pytest.mark.parametrize(
    ("skip", "handed", "kept"),
    [
        ("concat", 2, 2),
        ("sum", 2, 2),
        ("none", 0, 0),
        ("at", 1, 1),
        ("sat", 1, 1),
        ("st", 2, 2),
        (
            ["sat", {"maps": 1, "gate": "linear", "merge": "sum"}],
            2,
            1,
        ),  # one map is kept, and projected to two channels
    ],
)
def test_bytes_of_a_skip_in_float32(skip, handed, kept):
    spec = {**SPEC, "skip": skip}
    expected = [{"level": 0, "handed_bytes": 4 * handed * VOXELS, "kept_bytes": 4 * kept * VOXELS}]
    assert measure_skip_bytes(spec, (8, 8, 8)) == expected


def test_bytes_by_level_finest_first():
    spec = {**SPEC, "channels": [2, 4, 8], "convs_per_level": [1, 1, 1], "decoder_convs_per_level": [1, 1]}
    levels = measure_skip_bytes({**spec, "skip": ["concat", {"all_but": 0}]}, (8, 8, 8))
    assert [level["kept_bytes"] for level in levels] == [0, 4 * 4 * VOXELS // 8]


@pytest.mark.slow
def test_costs_of_a_network():
    without, concat = measure_cost(make_task("none")), measure_cost(make_task("concat"))
    # The stage's first convolution has two more input channels: 2 x 2 kernels of 27 weights.
    assert concat["parameters"] - without["parameters"] == 2 * 2 * 27
    assert concat["window_multiply_adds"] - without["window_multiply_adds"] == 2 * 2 * 27 * VOXELS
    # Forward once, backward to the input and to the kernel; a batch has two patches.
    assert concat["step_multiply_adds"] - without["step_multiply_adds"] == 3 * 2 * 2 * 2 * 27 * VOXELS
    assert concat["skip_bytes_kept"] == 4 * 2 * VOXELS
    assert concat["training_peak_bytes"] > concat["inference_peak_bytes"] > 4 * concat["parameters"]
    assert concat["step_seconds"] > 0
    assert time_step(make_task("none")) > 0


def test_precision_is_checked():
    assert make_task("none").precision == "float32"
    assert make_task("none").device == torch.device("cpu")
