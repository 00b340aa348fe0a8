"""Every network in the forms of an export: sizes stay free, and means are taken axis by axis."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pipeline.export.norms import make_norms_exact
from pipeline.networks import Networks, build_network

# Widths that are small, and the same skip or recalibration in no two networks.
SMALL: dict[str, dict[str, Any]] = {
    "vnet": {
        "name": "vnet",
        "channels": [4, 6, 8],
        "kernel_size": 3,
        "norm": ["group", {"num_groups": 2}],
        "head": "pointwise",
        "skip": "cse",
    },
    "unet": {"name": "unet", "channels": [4, 6, 8], "skip": "scse", "recalibrate": "cse"},
    "residual unet": {
        "name": "unet",
        "channels": [4, 6, 8],
        "encoder": "residual",
        "blocks_per_level": [1, 1, 1],
        "skip": "project_excite",
    },
    "tiramisu": {
        "name": "tiramisu",
        "layers_per_block": [1, 2, 2],
        "growth": 3,
        "first_channels": 4,
        "skip": "attention_gate",
        "recalibrate": "scse",
    },
    "light tiramisu": {
        "name": "tiramisu",
        "layers_per_block": [2, 3],
        "growth": 3,
        "first_channels": 4,
        "dense_skip": "sat",
        "skip": ["sat", {"select": "hard"}],
        "norm": "instance",
    },
    "residual fcn": {
        "name": "residual_fcn",
        "channels": [4, 6, 8, 8],
        "block": ["simple", "basic", "bottleneck"],
        "blocks_per_level": [1, 2, 1],
        "skip": "sum",
        "recalibrate": "project_excite",
    },
}
_REDUCTIONS = ("mean", "sum", "var", "std", "norm", "adaptive")


def build(form: str, spatial_dims: int) -> Any:
    torch.manual_seed(0)
    task = {"spatial_dims": spatial_dims, "in_channels": 1, "out_channels": 3}
    return build_network({**SMALL[form], **task}).eval()


def export(network: Any, *, is_free: bool = False) -> torch.export.ExportedProgram:
    """Return the program, with free sizes as an export writes it, or with those of the example."""
    example = torch.zeros(2, 1, *(2 * divisor for divisor in network.size_divisor))
    sizes: dict[int, Any] = {0: torch.export.Dim("batch", min=1, max=64)}
    for axis, divisor in enumerate(network.size_divisor, start=2):
        sizes[axis] = divisor * torch.export.Dim(f"axis_{axis}", min=1, max=64)
    shapes = (sizes,) if is_free else None
    return torch.export.export(make_norms_exact(network), (example,), dynamic_shapes=shapes, strict=False)


def reductions(program: torch.export.ExportedProgram) -> list[tuple[str, Any]]:
    """Return the name of each operation that joins voxels, and the axes over which it does."""
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    found = [(str(node.target), node.args[1] if len(node.args) > 1 else None) for node in calls]
    # Batch normalisation does not join voxels in evaluation mode.
    return [
        (name, axes) for name, axes in found if any(word in name for word in _REDUCTIONS) and "batch_norm" not in name
    ]


def test_every_network_is_here():
    ours = {name.lower() for name in Networks.names if Networks[name].__module__.startswith("pipeline.")}
    assert {spec["name"] for spec in SMALL.values()} == ours


@pytest.mark.slow
@pytest.mark.parametrize("form", SMALL)
def test_means_are_taken_axis_by_axis(form):
    # ONNX Runtime adds all elements of a mean over several axes one after the other, which costs digits.
    found = reductions(export(build(form, 3)))
    assert not [(name, axes) for name, axes in found if not isinstance(axes, list) or len(axes) != 1]


def test_a_mean_over_several_axes_would_be_found():
    class Mean(nn.Module):
        size_divisor = (1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3), keepdim=True) + nn.functional.instance_norm(x)

    assert [axes for _, axes in reductions(export(Mean()))] == [[2, 3], None]


@pytest.mark.export
@pytest.mark.parametrize("form", SMALL)
def test_batch_and_sizes_are_free(form):
    network = build(form, 3)
    program = export(network, is_free=True)
    # As in a file, which has no guards.
    exported = program.module(check_guards=False)
    for multiples in ((2, 2, 2), (5, 1, 3)):
        window = torch.randn(1, 1, *(n * d for n, d in zip(multiples, network.size_divisor, strict=True)))
        with torch.inference_mode():
            torch.testing.assert_close(exported(window), network(window), rtol=0, atol=1e-5)
