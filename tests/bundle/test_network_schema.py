import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline.networks
from pipeline.bundle import network_schema
from pipeline.bundle.network_schema import LevelSettings, NetworkSettings, OwnNetwork, UNet, VNet, network_component
from pipeline.bundle.plan import load_plan
from pipeline.data.errors import InputError
from pipeline.networks import Networks, build_network

PLAN = Path(__file__).resolve().parents[2] / "bundles" / "synthetic_shapes" / "plan.yaml"
OF_THE_TASK = {"spatial_dims", "in_channels", "out_channels", "skip"}


def plan_with(folder: Path, network: Any, **changed: Any) -> Path:
    content = yaml.safe_load(PLAN.read_text()) | changed
    (folder / "plan.yaml").write_text(yaml.safe_dump(content | {"network": network}, sort_keys=False))
    return folder


def settings_of(**changed: Any) -> dict[str, Any]:
    network: dict[str, Any] = yaml.safe_load(PLAN.read_text())["network"]
    return {key: value for key, value in {**network, **changed}.items() if value is not ...}


SCHEMAS = [
    item for item in vars(network_schema).values()
    if inspect.isclass(item) and issubclass(item, NetworkSettings) and item not in (NetworkSettings, LevelSettings)
]  # fmt: skip


def test_every_network_has_settings_of_a_plan() -> None:
    ours = {name for name in Networks.names if Networks[name].__module__.startswith("pipeline.")}
    assert {schema.model_fields["name"].default.upper() for schema in SCHEMAS} == ours


@pytest.mark.parametrize("schema", SCHEMAS)
def test_settings_are_arguments_of_the_network(schema: type[NetworkSettings]) -> None:
    network_type = getattr(pipeline.networks, schema.__name__)
    assert network_type is Networks[schema.model_fields["name"].default]
    arguments = set(inspect.signature(network_type).parameters)
    assert arguments >= (set(schema.model_fields) - {"name"}) | OF_THE_TASK


def test_vnet_is_the_network_of_a_plan_that_names_none(tmp_path: Path) -> None:
    unnamed = load_plan(PLAN)
    named = load_plan(plan_with(tmp_path, {"name": "vnet", **settings_of()}))
    assert isinstance(unnamed.network, VNet)
    assert unnamed.network == named.network
    assert unnamed.network.target == "pipeline.networks.VNet"
    assert unnamed.size_divisor == (4, 4, 4)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            settings_of(name="vnett"),
            r"line \d+: network.name must be one of vnet, .*or .* did you mean vnet\? \(found 'vnett'",
        ),
        (
            settings_of(name="MyNet"),
            r"network.name must be one of vnet, .*or the import path .*such as my_networks",
        ),
        (settings_of(name=3), r"network.name should be a valid string \(found 3\)"),
        (settings_of(name="vnet", chanels=[4]), r"network.chanels is not .*did you mean network.channels"),
        (settings_of(name="vnet", head="cone"), r"network.head should be 'pointwise' or 'conv' \(found 'cone'\)"),
        (settings_of(channels=...), r"network.channels is missing"),
        ("vnet", r"network should be a valid dict"),
    ],
)
def test_a_wrong_network_is_named_with_key_and_line(tmp_path: Path, network: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(plan_with(tmp_path, network))


RESIDUAL = {"name": "residual_fcn", "channels": [8, 8, 16], "kernel_size": 3, "norm": "batch", "act": "relu"}


def test_residual_fcn_has_settings_of_blocks(tmp_path: Path) -> None:
    blocks = {"block": ["simple", "bottleneck"], "blocks_per_level": [1, 2], "decoder_blocks_per_level": [2]}
    plan = load_plan(plan_with(tmp_path, {**RESIDUAL, **blocks, "short_skips": False}))
    network = build_network({"name": "residual_fcn", "in_channels": 1, "out_channels": 2, **plan.network.settings()})
    assert plan.size_divisor == network.size_divisor == (4, 4, 4)
    assert [len(stage.blocks) for stage in network.encoder] == [1, 1, 2]
    assert len(network.decoder[0].blocks) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block": "dense"}, r"network.block.* should be 'simple', 'basic' or 'bottleneck' \(found 'dense'\)"),
        ({"block": ["simple"]}, r"network.block needs 2 entries, .* the finest has no blocks"),
        ({"blocks_per_level": [1, 2, 3]}, r"network.blocks_per_level needs 2 entries"),
        ({"decoder_blocks_per_level": [1, 2]}, r"network.decoder_blocks_per_level needs 1 entries"),
        ({"blocks_per_level": [1, 0]}, r"network.blocks_per_level.* \(found 0\)"),
    ],
)
def test_wrong_blocks_of_residual_fcn_are_named(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(plan_with(tmp_path, {**RESIDUAL, **settings}))


UNET = {"name": "unet", "channels": [8, 16, 32], "kernel_size": 3, "norm": "instance", "act": "relu"}


def test_settings_of_a_unet_build_it(tmp_path: Path) -> None:
    network = UNET | {"encoder": "residual", "blocks_per_level": [1, 2, 1], "strides": [[2, 2, 1], 2]}
    plan = load_plan(plan_with(tmp_path, network))
    assert isinstance(plan.network, UNet)
    assert plan.network.target == "pipeline.networks.UNet"
    assert plan.size_divisor == (4, 4, 2)
    built = build_network({"name": "unet", "in_channels": 1, "out_channels": 2, **plan.network.settings()})
    assert built.size_divisor == (4, 4, 2)
    assert [len(stage.blocks) for stage in built.encoder] == [1, 2, 1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"encoder": "dense"}, r"network.encoder should be 'plain' or 'residual' \(found 'dense'"),
        ({"convs_per_level": [2, 2]}, r"network.convs_per_level needs 3 entries"),
        ({"decoder_convs_per_level": [2, 2, 2]}, r"network.decoder_convs_per_level needs 2 entries"),
        ({"blocks_per_level": [1, 1, 1]}, r"network.blocks_per_level does not go with network.encoder plain"),
        (
            {"encoder": "residual", "convs_per_level": [1, 1, 1]},
            r"network.convs_per_level does not go with network.encoder residual",
        ),
        ({"encoder": "residual", "down": "pool"}, r"network.down must be conv, or left out"),
        ({"down": "mean"}, r"network.down should be 'pool' or 'conv'"),
    ],
)
def test_wrong_settings_of_a_unet_are_named(tmp_path: Path, changed: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(plan_with(tmp_path, UNET | changed))


def test_a_network_of_ones_own_has_any_keys(tmp_path: Path) -> None:
    plan = load_plan(plan_with(tmp_path, {"name": "my_networks.MyNet", "growth": 4, "layers": [["a", {"b": 1}]]}))
    assert isinstance(plan.network, OwnNetwork)
    assert plan.network.target == "my_networks.MyNet"
    assert plan.network.settings() == {"growth": 4, "layers": [["a", {"b": 1}]]}
    # Only the network can say what sizes it takes.
    assert plan.size_divisor == (1, 1, 1)


def test_the_component_is_the_class_with_literal_arguments() -> None:
    plan = load_plan(PLAN)
    component = network_component(plan.network.target, plan.network.settings())
    references = {key: component.pop(key) for key in OF_THE_TASK}
    assert references == {key: f"@{key}" for key in OF_THE_TASK}
    assert component.pop("_target_") == "pipeline.networks.VNet"
    built = build_network({"name": "vnet", **component, "in_channels": 1, "out_channels": 2})
    assert built.channels == tuple(component["channels"])
    # A whole spec leads to the same: arguments that the task sets stay references.
    assert network_component("a.B", built.spec).keys() >= {"_target_", *references}
    assert "name" not in network_component("a.B", built.spec)


def test_a_tiramisu_has_the_levels_of_its_form_or_of_its_blocks(tmp_path: Path) -> None:
    published = load_plan(plan_with(tmp_path, {"name": "tiramisu", "form": 56}, window=[64, 64, 32]))
    assert published.size_divisor == (32, 32, 32)
    assert "for each level of network.form below" in published.network.size_rule
    own = load_plan(plan_with(tmp_path, {"name": "tiramisu", "layers_per_block": [2, 2, 2], "strides": [[2, 2, 1], 2]}))
    assert own.size_divisor == (4, 4, 2)
    assert "network.layers_per_block below the finest, except" in own.network.size_rule
    built = build_network({"name": "tiramisu", "spatial_dims": 3, **own.network.settings()})
    assert (built.size_divisor, len(built.channels)) == (own.size_divisor, 3)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"form": 121}, r"network.form should be 56, 67 or 103 \(found 121\)"),
        ({"layers_per_block": [2]}, "network.layers_per_block List should have at least 2 items"),
        ({"layers_per_block": [2, 2], "strides": [2, 2]}, "strides needs 1 entries, .* 2 levels of network.layers_per"),
        ({"strides": [2, 2]}, "strides needs 5 entries, .* between 6 levels of network.form"),
        ({"decoder_layers_per_block": [2, 2]}, "decoder_layers_per_block needs 5 entries, .* 6 levels of network.form"),
        ({"kernel_size": [[3, 3, 1], 3]}, "kernel_size needs 6 entries, .* 6 levels of network.form"),
        ({"channels": [4, 8]}, "network.channels is not"),
    ],
)
def test_wrong_settings_of_a_tiramisu_are_named(tmp_path: Path, network: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_plan(plan_with(tmp_path, {"name": "tiramisu", **network}, window=[64, 64, 32]))
