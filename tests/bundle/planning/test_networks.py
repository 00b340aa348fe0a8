"""The rule of each network: from a size to arguments that the network and its settings take."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from pipeline.bundle.network_check import build_on_meta
from pipeline.bundle.network_schema import Network
from pipeline.bundle.planning.levels import make_levels
from pipeline.bundle.planning.networks import RULES, explain_network, find_rule, network_spec
from pipeline.bundle.planning.size import Size
from pipeline.data.errors import InputError
from pipeline.networks import Networks

# Sizes (voxels) and spacings (mm): a small cube, thick slices, pictures, one slice, many levels.
SHAPES: list[tuple[list[int], list[float]]] = [
    ([40, 56, 40], [1.0, 1.0, 1.0]),
    ([128, 128, 12], [0.6, 0.6, 6.0]),
    ([64, 64], [1.0, 1.0]),
    ([256, 256, 1], [1.0, 1.0, 5.0]),
    ([256, 512], [1.0, 0.3]),
    ([8, 8, 8], [1.0, 1.0, 1.0]),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("shape", "spacing"), SHAPES)
def test_the_network_takes_the_patch_and_the_settings_take_the_arguments(
    shape: list[int], spacing: list[float], name: str
) -> None:
    dims, levels = len(shape), make_levels(shape, spacing)
    size = Size(RULES[name].widths[-1], levels, 2, "nothing")
    spec = network_spec(size, dims=dims, in_channels=1, out_channels=3, network=name) | {"skip": "sum"}
    built = build_on_meta(spec)
    # The divisor is the product of the strides that fit the patch.
    assert list(built.size_divisor) == levels.divisor
    assert len(built.skips()) == len(levels.strides)
    plan = explain_network(spec, size, spacing, width_reason="enough", memory="1 GiB")
    settings: Any = TypeAdapter(Network).validate_python({key: choice.value for key, choice in plan.items()})
    settings.check_axes(dims)
    assert settings.name == name
    assert settings.size_divisor(dims) == built.size_divisor
    # What the plan leaves out is the default of the settings, or, for None, of the network.
    task = {"spatial_dims": dims, "in_channels": 1, "out_channels": 3}
    assert build_on_meta({**settings.settings(), **task, "name": name, "skip": "sum"}).spec == built.spec
    assert all(choice.reason for choice in plan.values())
    assert "enough. Training takes about 1 GiB" in plan[RULES[name].width_key].reason


@pytest.mark.parametrize("name", RULES)
def test_a_wider_network_has_more_weights(name: str) -> None:
    levels = make_levels([64, 64], [1.0, 1.0])
    counts = []
    for width in RULES[name].widths:
        spec = network_spec(Size(width, levels, 2, ""), dims=2, in_channels=1, out_channels=2, network=name)
        counts.append(sum(each.numel() for each in build_on_meta(spec | {"skip": "none"}).parameters()))
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == len(counts)


def test_every_network_can_be_planned() -> None:
    # Other tests register networks of their own.
    own = [name.lower() for name in Networks.names if Networks[name].__module__.startswith("pipeline.")]
    assert RULES.keys() == set(own)


def test_the_published_shapes_at_the_published_depths() -> None:
    pictures = Size(16, make_levels([512, 512], [1.0, 1.0]), 2, "")
    spec = network_spec(pictures, dims=2, in_channels=3, out_channels=12, network="tiramisu")
    # FC-DenseNet103, but for its kinds of layers.
    assert (spec["layers_per_block"], spec["growth"], spec["first_channels"]) == ([4, 5, 7, 10, 12, 15], 16, 48)
    spec = network_spec(Size(32, pictures.levels, 2, ""), dims=2, in_channels=1, out_channels=2, network="residual_fcn")
    # The published network without its deepest level.
    assert spec["channels"] == [32, 32, 32, 128, 256, 512]
    assert spec["blocks_per_level"] == [1, 1, 3, 8, 3]
    spec = network_spec(Size(32, pictures.levels, 2, ""), dims=2, in_channels=1, out_channels=2, network="unet")
    assert spec["channels"] == [32, 64, 128, 256, 320, 320]


def test_an_unknown_network_is_an_error_with_the_nearest_name() -> None:
    assert find_rule("vnet") is RULES["vnet"]
    with pytest.raises(InputError, match=r"--network: found V-Net; expected one of vnet.* did you mean vnet\?"):
        find_rule("V-Net")
    with pytest.raises(InputError, match="edit network in plan"):
        find_rule("my_networks.Mine")
