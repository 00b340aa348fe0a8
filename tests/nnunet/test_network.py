from typing import Any

import pytest
import torch

from pipeline.data.errors import InputError
from pipeline.networks import Networks
from pipeline.nnunet.network import build_planned_network, planned_arguments
from pipeline.nnunet.settings import Settings

from .plans import PLAIN_2D, PLAIN_3D, changed, residual


def test_levels_are_those_of_the_plans() -> None:
    # Written down by hand from PLAIN_3D.
    assert planned_arguments("vnet", PLAIN_3D) == {
        "channels": [32, 64, 128, 256],
        "kernel_size": [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 2, 2], [1, 2, 2], [2, 2, 2]],
        "norm": ["instance", {"eps": 1e-05, "affine": True}],
        "act": ["leakyrelu", {}],
        "residual": "decoder",
        "head": "pointwise",
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"norm_op": None}, {"norm": None}),
        (
            {"norm_op": "torch.nn.modules.batchnorm.BatchNorm3d", "norm_op_kwargs": {"eps": 0.01}},
            {"norm": ["batch", {"eps": 0.01}]},
        ),
        (
            {"norm_op": "torch.nn.GroupNorm", "norm_op_kwargs": {"num_groups": 4}},
            {"norm": ["group", {"num_groups": 4}]},
        ),
        (
            {"nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"negative_slope": 0.2, "inplace": True}},
            {"act": ["leakyrelu", {"negative_slope": 0.2}]},
        ),
        ({"nonlin": "torch.nn.modules.activation.ReLU", "nonlin_kwargs": None}, {"act": ["relu", {}]}),
        ({"dropout_op": "torch.nn.Dropout3d", "dropout_op_kwargs": {"p": 0.1}}, {"dropout": 0.1}),
    ],
)
def test_layers_are_those_of_the_plans(change: dict[str, Any], expected: dict[str, Any]) -> None:
    arguments = planned_arguments("vnet", changed(PLAIN_3D, **change))
    assert {key: arguments[key] for key in expected} == expected


def test_a_network_gets_only_arguments_that_it_takes() -> None:
    @Networks.register("few_arguments")
    class FewArguments:
        def __init__(self, spatial_dims, in_channels, out_channels, skip, strides) -> None:
            pass

    try:
        assert planned_arguments("few_arguments", PLAIN_2D) == {"strides": [[2, 2], [2, 2], [2, 2]]}
    finally:
        del Networks.components["FEW_ARGUMENTS"]


# Other tests register networks of their own.
OWN = sorted(name.lower() for name in Networks.names if Networks[name].__module__.startswith("pipeline."))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        # The finest level has the input's size, the next ones that of nnU-Net's strides, without the deepest level.
        (PLAIN_3D, [(4, 16, 16), (4, 8, 8), (4, 4, 4)]),
        (residual(PLAIN_2D), [(16, 16), (8, 8), (4, 4)]),
    ],
    ids=["plain-3d", "residual-2d"],
)
def test_every_network_has_outputs_at_every_level_of_the_decoder(
    name: str, architecture: dict[str, Any], sizes: list[tuple[int, ...]]
) -> None:
    network = build_planned_network(
        changed(architecture, features_per_stage=[4, 8, 8, 8]),
        Settings(name, ["sum", "none", "at"]),
        spatial_dims=len(sizes[0]),
        in_channels=2,
        out_channels=3,
    )
    outputs = network.train()(torch.zeros(2, 2, *sizes[0]))
    assert [tuple(output.shape) for output in outputs] == [(2, 3, *size) for size in sizes]
    assert [type(skip).__name__ for skip in network.skips().values()] == ["SumSkip", "NoSkip", "AttendTransfer"]


def test_the_decoder_of_the_unet_is_in_lightskips_order() -> None:
    # nnU-Net's decoder lists the deepest stage first, LightSkip's the finest.
    numbers = {"n_conv_per_stage": [1, 2, 3, 4], "n_conv_per_stage_decoder": [3, 2, 1]}
    arguments = planned_arguments("unet", changed(PLAIN_3D, **numbers))
    assert (arguments["convs_per_level"], arguments["decoder_convs_per_level"]) == ([1, 2, 3, 4], [1, 2, 3])


def test_plans_of_the_residual_encoder_make_the_unets_residual_form() -> None:
    arguments = planned_arguments("unet", residual(PLAIN_3D))
    assert arguments["encoder"] == "residual"
    assert (arguments["blocks_per_level"], arguments["decoder_convs_per_level"]) == ([1, 3, 4, 6], [1, 1, 1])


def test_an_argument_of_the_settings_replaces_that_of_the_plans() -> None:
    settings = Settings("vnet", "sum", arguments={"act": "prelu", "channels": [4, 8, 8, 8]})
    network = build_planned_network(PLAIN_3D, settings, spatial_dims=3, in_channels=1, out_channels=2)
    assert network.spec is not None
    assert (network.spec["act"], network.channels) == ("prelu", (4, 8, 8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": [[1, 2, 2], [1, 2, 2], [1, 2, 2], [2, 2, 2]]}, r"strides.*found \[1, 2, 2\] for the first stage"),
        ({"strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 4, 4]]}, r"strides.*found \[2, 4, 4\] for stage 3"),
        ({"strides": [[1, 1, 1], [1, 2, 2], [1, 1, 1], [2, 2, 2]]}, r"strides.*found \[1, 1, 1\] for stage 2"),
        ({"norm_op": "torch.nn.RMSNorm"}, r"norm_op.*found RMSNorm"),
        ({"nonlin": "torch.nn.Hardtanh"}, r"nonlin.*found Hardtanh"),
    ],
)
def test_plans_that_a_network_cannot_follow_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"(?s){message}"):
        planned_arguments("vnet", changed(PLAIN_3D, **change))


def test_plans_without_levels_are_refused() -> None:
    primus = {"network_class_name": "architectures.primus.Primus", "arch_kwargs": {"patch_embed_size": [8, 8, 8]}}
    with pytest.raises(InputError, match=r"(?s)no features_per_stage, for the network architectures.primus.Primus"):
        planned_arguments("vnet", primus)


def test_a_network_of_other_levels_is_refused() -> None:
    settings = Settings("vnet", "sum", arguments={"strides": None})
    with pytest.raises(InputError, match=r"divides the patch by \(8, 8, 8\).*4 levels and \(2, 8, 8\)"):
        build_planned_network(PLAIN_3D, settings, spatial_dims=3, in_channels=1, out_channels=2)


def test_weights_that_are_not_finite_are_not_loaded() -> None:
    def build() -> torch.nn.Module:
        return build_planned_network(PLAIN_2D, Settings("vnet"), spatial_dims=2, in_channels=1, out_channels=2)

    weights = build().state_dict()
    build().load_state_dict(weights)
    next(iter(weights.values())).view(-1)[0] = torch.nan
    with pytest.raises(InputError, match="nnU-Net's checkpoint: found weights that are not finite"):
        build().load_state_dict(weights)
