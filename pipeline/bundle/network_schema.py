"""The schema of a plan's ``network``: one settings class per network, chosen by the key ``name``.

To add a network, add a class here with the name of its class in ``pipeline.networks``, and one line to
:data:`Network`. Nothing here imports PyTorch: an error in a plan must not wait for it.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator

from .network_settings import LevelSettings, NetworkSettings
from .schema_rules import Count, Layer, Schema, Width, require

__all__ = ["Network", "OwnNetwork", "ResidualFCN", "Tiramisu", "UNet", "VNet", "network_component", "network_tag"]

# Arguments that the task sets. Configs have each of them once, and refer to it.
_TASK_ARGUMENTS = ("spatial_dims", "in_channels", "out_channels")

_Block = Literal["simple", "basic", "bottleneck"]


class VNet(LevelSettings):
    """Settings of :class:`pipeline.networks.VNet`, the default network.

    ``residual`` chooses a decoder stage's residual. ``head: pointwise`` is one 1x1 convolution. Unlike the published
    ``conv``, it does not normalise a patch's logits by the patch itself.
    """

    name: Literal["vnet"] = "vnet"
    convs_per_level: list[Count]
    decoder_convs_per_level: list[Count]
    residual: Literal["merged", "decoder"] = "merged"
    head: Literal["pointwise", "conv"] = "pointwise"

    @field_validator("convs_per_level", "decoder_convs_per_level")
    @classmethod
    def _check_convs(cls, value: list[int], info: ValidationInfo) -> list[int]:
        if "channels" in info.data:
            levels = len(info.data["channels"]) - (info.field_name == "decoder_convs_per_level")
            require(
                len(value) == levels,
                f"needs {levels} entries, finest level first, for {len(info.data['channels'])} levels of "
                f"network.channels (a decoder has one fewer)",
            )
        return value


class ResidualFCN(LevelSettings):
    """Settings of :class:`pipeline.networks.ResidualFCN`.

    ``block`` and the numbers of blocks have an entry per level below the finest, ``decoder_blocks_per_level`` none for
    the deepest level. None is the published rule, extended to other depths.
    """

    name: Literal["residual_fcn"] = "residual_fcn"
    block: _Block | list[_Block] | None = None
    blocks_per_level: list[Count] | None = None
    decoder_blocks_per_level: list[Count] | None = None
    short_skips: bool = True
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @field_validator("block", "blocks_per_level", "decoder_blocks_per_level")
    @classmethod
    def _check_levels(cls, value: Any, info: ValidationInfo) -> Any:
        if "channels" in info.data and isinstance(value, list):
            below = len(info.data["channels"]) - 1 - (info.field_name == "decoder_blocks_per_level")
            require(
                len(value) == below,
                f"needs {below} entries, finest level first, for {len(info.data['channels'])} levels of "
                f"network.channels: the finest has no blocks, a decoder has none at the deepest",
            )
        return value


class UNet(LevelSettings):
    """Settings of :class:`pipeline.networks.UNet`.

    ``convs_per_level`` is for the plain encoder, ``blocks_per_level`` for the residual one. None is the network's
    default for the numbers, and for ``down``.
    """

    name: Literal["unet"] = "unet"
    encoder: Literal["plain", "residual"] = "plain"
    convs_per_level: list[Count] | None = None
    blocks_per_level: list[Count] | None = None
    decoder_convs_per_level: list[Count] | None = None
    down: Literal["pool", "conv"] | None = None

    @field_validator("convs_per_level", "blocks_per_level", "decoder_convs_per_level")
    @classmethod
    def _check_counts(cls, value: list[int] | None, info: ValidationInfo) -> list[int] | None:
        other = {"convs_per_level": "residual", "blocks_per_level": "plain"}.get(info.field_name or "")
        require(
            value is None or other is None or info.data.get("encoder") != other,
            f"does not go with network.encoder {other}; leave it out",
        )
        if value is not None and "channels" in info.data:
            levels = len(info.data["channels"]) - (info.field_name == "decoder_convs_per_level")
            require(
                len(value) == levels,
                f"needs {levels} entries, finest level first, for {len(info.data['channels'])} levels of "
                f"network.channels (a decoder has one fewer)",
            )
        return value

    @field_validator("down")
    @classmethod
    def _check_down(cls, value: str | None, info: ValidationInfo) -> str | None:
        require(
            value != "pool" or info.data.get("encoder") != "residual",
            "must be conv, or left out, with network.encoder residual: its convolutions have the stride",
        )
        return value


class Tiramisu(NetworkSettings):
    """Settings of :class:`pipeline.networks.Tiramisu`. All are optional: the defaults are the published FC-DenseNet103.

    Widths follow from ``first_channels``, ``growth`` and the layers of each block. ``form`` determines what is None.
    """

    name: Literal["tiramisu"] = "tiramisu"
    form: Literal[56, 67, 103] = 103
    layers_per_block: list[Count] | None = Field(default=None, min_length=2)
    decoder_layers_per_block: list[Count] | None = None
    growth: Width | None = None
    first_channels: Width = 48
    kernel_size: int | list[int | list[int]] = 3
    strides: list[int | list[int]] | None = None
    norm: Layer = "batch"
    act: Layer = "relu"
    dropout: float = Field(default=0.2, ge=0, lt=1)
    dense_skip: Layer = "concat"
    recalibrate: Layer | None = None
    recalibrate_at: list[Literal["encoder", "bottleneck", "decoder"]] = Field(
        default=["encoder", "bottleneck", "decoder"]
    )

    @classmethod
    def levels_of(cls, fields: Mapping[str, Any]) -> tuple[int, str]:
        """Return the number of levels and the key that determines it. Each published form has six levels."""
        if fields.get("layers_per_block") is not None:
            return len(fields["layers_per_block"]), "layers_per_block"
        return 6 if "layers_per_block" in fields else 0, "form"

    @field_validator("decoder_layers_per_block")
    @classmethod
    def _check_decoder(cls, value: list[int] | None, info: ValidationInfo) -> list[int] | None:
        levels, key = cls.levels_of(info.data)
        if value is not None and levels:
            require(
                len(value) == levels - 1,
                f"needs {levels - 1} entries, finest level first, for {levels} levels of network.{key}",
            )
        return value


class OwnNetwork(Schema):
    """A network of the user's own: ``name`` is the import path of its class, every other key one of its arguments.

    The class also takes ``spatial_dims``, ``in_channels``, ``out_channels`` and ``skip``. Its arguments, and patch and
    window against its ``size_divisor``, are checked when the network is built, before a run computes anything.
    """

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def size_rule(self) -> str:
        """Empty: any size fits ``size_divisor``."""
        return ""

    @property
    def target(self) -> str:
        """The network's class in configs."""
        return self.name

    def settings(self) -> dict[str, Any]:
        """Return the network's arguments, without those that the task sets."""
        return self.model_dump(mode="json", exclude={"name"})

    def size_divisor(self, axes: int) -> tuple[int, ...]:
        """Return ones: only the built network knows its divisor."""
        return (1,) * axes

    def check_axes(self, axes: int) -> None:
        """Do nothing: the network checks its arguments itself."""

    @field_validator("name")
    @classmethod
    def _check_class(cls, value: str) -> str:
        known = _known_names()
        close = get_close_matches(value, known, n=1)
        nearest = f"; did you mean {close[0]}?" if close else ""
        require(
            re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value) is not None,
            f"must be one of {', '.join(known)}, or the import path of your own network class, such as "
            f"my_networks.MyNet{nearest}",
        )
        return value


def network_tag(value: Any) -> str:
    """Return the tag of the settings class for a plan's ``network``, which may have errors."""
    name = value.get("name", "vnet") if isinstance(value, dict) else getattr(value, "name", "vnet")
    return f"[{name}]" if name in _known_names() else "[own]"


def _known_names() -> list[str]:
    """Return the names of LightSkip's networks."""
    models = [get_args(member)[0] for member in get_args(get_args(Network)[0])]
    return [model.model_fields["name"].default for model in models if model is not OwnNetwork]


Network = Annotated[
    Annotated[VNet, Tag("[vnet]")]  # one line per network
    | Annotated[Tiramisu, Tag("[tiramisu]")]
    | Annotated[ResidualFCN, Tag("[residual_fcn]")]
    | Annotated[UNet, Tag("[unet]")]
    | Annotated[OwnNetwork, Tag("[own]")],
    Discriminator(network_tag),
]


def network_component(target: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network as a component of a MONAI config, with references to the arguments that the task sets.

    Args:
        target: the dotted class.
        settings: its arguments, or its spec. ``skip`` and the arguments that the task sets are left out, since the
            configs have them under keys of their own.
    """
    own = {key: value for key, value in settings.items() if key not in (*_TASK_ARGUMENTS, "name", "skip")}
    return {"_target_": target, **{key: f"@{key}" for key in _TASK_ARGUMENTS}, **own, "skip": "@skip"}
