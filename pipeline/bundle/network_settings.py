"""What the settings of LightSkip's networks in a plan share: kernels, strides, layers, and the sizes that fit."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from .schema_rules import Layer, Schema, Width, as_list, is_nested, require, require_axes

__all__ = ["LevelSettings", "NetworkSettings"]


class NetworkSettings(Schema):
    """What the settings of LightSkip's networks share: rules for ``kernel_size``, ``strides``, ``norm`` and ``act``.

    A subclass declares these fields, in the order of its configs and after the field that says how many levels the
    network has; per-level lists are finest level first.

    ``kernel_size`` is a number, or a list with one per axis, for all levels; or a list with one of these per level, of
    which at least one is a list. ``strides`` has an entry per transition between levels: 2, or a list with 1 or 2 per
    axis; None is 2 everywhere. The networks take both in the same form. ``recalibrate`` is squeeze & excitation after
    the stages that ``recalibrate_at`` names.
    """

    if TYPE_CHECKING:
        kernel_size: Any
        strides: Any
        recalibrate: Any

    @classmethod
    def levels_of(cls, fields: Mapping[str, Any]) -> tuple[int, str]:
        """Return the number of levels and the key that determines it, from valid fields; 0 if that field is invalid."""
        return len(fields.get("channels", [])), "channels"

    @property
    def target(self) -> str:
        """The network's class in configs."""
        return f"pipeline.networks.{type(self).__name__}"

    @property
    def size_rule(self) -> str:
        """The reason for ``size_divisor``."""
        more = ", except where network.strides has 1" if self.strides else ""
        return f"a factor of two for each level of network.{self.levels_of(dict(self))[1]} below the finest{more}"

    def settings(self) -> dict[str, Any]:
        """Return the network's arguments, without those that the task sets."""
        unused = {"recalibrate", "recalibrate_at"} if self.recalibrate is None else set()
        return self.model_dump(mode="json", exclude={"name", *unused})

    def size_divisor(self, axes: int) -> tuple[int, ...]:
        """Return, per axis, the number that must divide patch and window sizes (voxels): the product of its strides."""
        strides = self.strides or [2] * (self.levels_of(dict(self))[0] - 1)
        steps = [entry if isinstance(entry, list) else [entry] * axes for entry in strides]
        return tuple(prod(axis) for axis in zip(*steps, strict=True))

    def check_axes(self, axes: int) -> None:
        """Raise pydantic's error where kernels or strides have a different number of axes."""
        if isinstance(self.kernel_size, list) and not is_nested(self.kernel_size):
            require_axes(self.kernel_size, axes, subkey="kernel_size")
        for key in ("kernel_size", "strides"):
            for entry in as_list(getattr(self, key)):
                if isinstance(entry, list):
                    require_axes(entry, axes, subkey=key, each="lists of ")

    @field_validator("kernel_size", mode="before", check_fields=False)
    @classmethod
    def _check_kernel_size(cls, value: Any, info: ValidationInfo) -> Any:
        entries = as_list(value)
        require(
            all(type(size) is int and size > 0 and size % 2 == 1 for entry in entries for size in as_list(entry)),
            "must be an odd number of voxels, a list with one per axis, or a list with one of these per level, of "
            "which at least one is a list; an even kernel shifts the grid",
        )
        levels, key = cls.levels_of(info.data)
        if is_nested(value) and levels:
            require(
                len(value) == levels,
                f"needs {levels} entries, finest level first, for {levels} levels of network.{key}",
            )
        return value

    @field_validator("strides", mode="before", check_fields=False)
    @classmethod
    def _check_strides(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None:
            return value
        require(
            isinstance(value, list)
            and all(type(step) is int and step in (1, 2) for entry in value for step in as_list(entry))
            and all(2 in as_list(entry) for entry in value),
            "must be a list with an entry per transition between levels: 2, or a list with 1 or 2 per axis, at least "
            "one of them 2",
        )
        levels, key = cls.levels_of(info.data)
        if levels:
            require(
                len(value) == levels - 1,
                f"needs {levels - 1} entries, finest level first, between {levels} levels of network.{key}",
            )
        return value

    @field_validator("norm", "act", "dense_skip", "recalibrate", mode="before", check_fields=False)
    @classmethod
    def _check_layer(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name == "recalibrate":
            return value
        named = isinstance(value, str) and value != ""
        with_options = isinstance(value, list) and [type(item) for item in value] == [str, dict]
        require(named or with_options, "must be a name such as instance, or [name, {option: value}]")
        return value


class LevelSettings(NetworkSettings):
    """Settings of a network that has a width per level."""

    name: str
    channels: list[Width] = Field(min_length=2)
    kernel_size: int | list[int | list[int]]
    strides: list[int | list[int]] | None = None
    norm: Layer
    act: Layer
    dropout: float = Field(default=0.0, ge=0, lt=1)
    recalibrate: Layer | None = None
    recalibrate_at: list[Literal["encoder", "bottleneck", "decoder"]] = Field(
        default=["encoder", "bottleneck", "decoder"]
    )
