"""The plan's schema: what is particular to one bundle's task, with the checks across its fields."""

import re
from difflib import get_close_matches
from math import prod
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

__all__ = ["Data", "Evaluation", "Network", "Plan", "Postprocessing", "Training"]


def _matching(pattern: str, meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        _require(re.fullmatch(pattern, value) is not None, f"must be {meaning}")
        return value

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Dimensions = Field(min_length=2, max_length=3)
Layer = str | list[Any]
Name = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and _, such as hippocampus_t1")]
Version = Annotated[str, _matching(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", "three numbers, such as 1.0.2")]
FileName = Annotated[str, _matching(r"[A-Za-z0-9_-]+", "the name of a file of configs/skips, without .yaml")]
Module = Annotated[str, _matching(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "a module as one imports it, such as my_skips")]

_OPPOSITES = ("LR", "PA", "IS")


class _Schema(BaseModel):
    # Strict: a quoted number or a `true` where a count belongs is a slip, not something to convert.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(_Schema):
    """Where the scans come from and what they are.

    ``manifest`` is the datalist JSON, relative to the plan's folder; None takes the dataset folder's ``dataset.json``.
    ``folder`` is where the scans lie here, relative to the plan's folder; None leaves it to the command line.
    ``licence`` is an SPDX identifier or a sentence. ``channels`` names the input channels in order.
    """

    manifest: Text | None = None
    folder: Text | None = None
    source: Text
    licence: Text
    modality: Literal["MRI", "CT", "US", "EM", "synthetic", "other"]
    channels: list[Text] = Field(min_length=1)


class Network(_Schema):
    """Size and layers of the network; per-level lists are finest level first.

    ``kernel_size`` is a number, or a list with one per axis, for all levels; or a list with one of these per level, of
    which at least one is a list. ``strides`` has an entry per transition between levels: 2, or a list with 1 or 2 per
    axis; left out, it is 2 everywhere. Both are as ``VNet`` takes them.
    """

    channels: list[PositiveInt] = Field(min_length=2)
    convs_per_level: list[PositiveInt]
    decoder_convs_per_level: list[PositiveInt]
    kernel_size: int | list[int | list[int]]
    strides: list[int | list[int]] | None = None
    norm: Layer
    act: Layer
    dropout: float = Field(default=0.0, ge=0, lt=1)
    residual: Literal["merged", "decoder"] = "merged"

    @field_validator("convs_per_level", "decoder_convs_per_level")
    @classmethod
    def _one_entry_per_level(cls, value: list[int], info: ValidationInfo) -> list[int]:
        if "channels" in info.data:
            levels = len(info.data["channels"]) - (info.field_name == "decoder_convs_per_level")
            _require(
                len(value) == levels,
                f"needs {levels} entries, finest level first, for {len(info.data['channels'])} levels of "
                f"network.channels (a decoder has one fewer)",
            )
        return value

    @field_validator("kernel_size", mode="before")
    @classmethod
    def _odd_sizes(cls, value: Any, info: ValidationInfo) -> Any:
        entries = _as_list(value)
        _require(
            all(type(size) is int and size > 0 and size % 2 == 1 for entry in entries for size in _as_list(entry)),
            "must be an odd number of voxels, a list with one per axis, or a list with one of these per level, of "
            "which at least one is a list; an even kernel shifts the grid",
        )
        if _is_nested(value) and "channels" in info.data:
            levels = len(info.data["channels"])
            _require(
                len(value) == levels,
                f"needs {levels} entries, finest level first, for {levels} levels of network.channels",
            )
        return value

    @field_validator("strides", mode="before")
    @classmethod
    def _one_or_two(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None:
            return value
        _require(
            isinstance(value, list)
            and all(type(step) is int and step in (1, 2) for entry in value for step in _as_list(entry))
            and all(2 in _as_list(entry) for entry in value),
            "must be a list with an entry per transition between levels: 2, or a list with 1 or 2 per axis, at least "
            "one of them 2",
        )
        if "channels" in info.data:
            levels = len(info.data["channels"])
            _require(
                len(value) == levels - 1,
                f"needs {levels - 1} entries, finest level first, between {levels} levels of network.channels",
            )
        return value

    @field_validator("norm", "act", mode="before")
    @classmethod
    def _name_or_name_with_options(cls, value: Any) -> Any:
        named = isinstance(value, str) and value != ""
        with_options = isinstance(value, list) and [type(item) for item in value] == [str, dict]
        _require(named or with_options, "must be a name such as instance, or [name, {option: value}]")
        return value


class Training(_Schema):
    """How long and how fast to train; lengths are in epochs.

    ``average_momentum`` is the share of each step's weights in the running average that is validated and saved,
    ``minutes`` an end to the training before its epochs, ``cache_rate`` the share of the prepared cases that is kept in
    memory.
    """

    epochs: PositiveInt
    minutes: Positive | None = None
    val_interval: PositiveInt
    learning_rate: Positive
    weight_decay: NonNegative
    warmup_epochs: NonNegativeInt
    average_momentum: float = Field(default=0.01, gt=0, le=1)
    samples_per_case: PositiveInt = 1
    cache_rate: float = Field(default=1.0, ge=0, le=1)
    early_stop_patience: PositiveInt
    seed: NonNegativeInt

    @field_validator("val_interval", "warmup_epochs")
    @classmethod
    def _within_the_training(cls, value: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs", value)
        _require(value <= epochs, f"is longer than the training of {epochs} epochs")
        return value


class Evaluation(_Schema):
    """``tolerance_mm`` is how far (mm) a surface may lie from the reference's and still count for NSD."""

    tolerance_mm: Positive = 1.0


class Postprocessing(_Schema):
    """How label maps are cleaned in their scan's own grid, by the labels' names; nothing is cleaned where it is empty.

    ``largest_component`` names labels that keep their largest component alone, ``fill_holes`` those whose holes are
    filled. ``minimum_ml`` is the volume (ml) by label below which a component is removed; ``minimum_mm2`` is the area
    (mm2) instead, where a scan has two axes.
    """

    largest_component: list[str] = []
    fill_holes: list[str] = []
    minimum_ml: dict[str, Positive] = {}
    minimum_mm2: dict[str, Positive] = {}


class InlineSkip(_Schema):
    """A skip connection that has no file in ``configs/skips``, such as one of your own; the same keys as there.

    ``skip`` is anything that ``VNet`` takes: a name, ``[name, {option: value}]``, or a list with one per level, finest
    first. ``sparsity`` is the weight of the selecting skips' L1 term in the loss.
    """

    skip: str | list[Any]
    sparsity: NonNegative = 0.0


class Plan(_Schema):
    """Everything a bundle's configs need to know about its task.

    ``spacing`` is in mm, ``patch`` (training) and ``window`` (inference) in voxels, ``window_overlap`` is a fraction
    of the window, ``mirror_axes`` are spatial axes from 0. ``label_values`` are the labels' values in the files where
    these are others than the consecutive ones of ``labels``. ``intensity_range``, ``intensity_mean`` and
    ``intensity_std`` are in the scan's own units (Hounsfield units for CT). ``class_ratios`` says how often a patch is
    centred on each label, background first; None: half of them on the background.
    ``skip`` names a file of ``configs/skips``, or holds what such a file holds; ``imports``
    are modules that register skips.
    """

    name: Name
    title: Text
    version: Version
    changelog: dict[str, str]
    task: Text
    description: Text
    intended_use: Text
    authors: Text
    copyright: Text
    references: list[str] = []
    data: Data
    labels: dict[str, int]
    label_values: dict[str, int] | None = None
    orientation: str
    spacing: list[Positive] = Dimensions
    intensity_range: list[FiniteFloat] | None = None
    intensity_mean: FiniteFloat | None = None
    intensity_std: Positive | None = None
    normalisation: Literal["zscore", "zscore_nonzero", "ct"]
    network: Network
    patch: list[PositiveInt] = Dimensions
    window: list[PositiveInt] = Dimensions
    window_overlap: float = Field(default=0.5, ge=0, lt=1)
    batch: PositiveInt
    mirror_axes: list[int]
    class_ratios: list[NonNegative] | None = None
    skip: Annotated[
        Annotated[FileName, Tag("[name]")] | Annotated[InlineSkip, Tag("[inline]")],
        Discriminator(lambda value: "[inline]" if isinstance(value, dict | InlineSkip) else "[name]"),
    ]
    imports: list[Module] = []
    training: Training
    evaluation: Evaluation = Evaluation()
    postprocessing: Postprocessing = Postprocessing()

    # Checks across fields sit on the later field, so that each names its key and all are listed in one go.

    @property
    def spatial_dims(self) -> int:
        """2 or 3: the number of axes that ``spacing`` has."""
        return len(self.spacing)

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """What patch and window sizes (voxels) divide by, one number per axis: the product of the axis's strides."""
        return _size_divisor(self.network, self.spatial_dims)

    @field_validator("changelog")
    @classmethod
    def _tells_this_version(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        version = info.data.get("version")
        _require(version is None or version in value, f"has no entry for the version {version}")
        return value

    @field_validator("labels")
    @classmethod
    def _consecutive_from_background(cls, value: dict[str, int]) -> dict[str, int]:
        _require(value.get("background") == 0, "must contain background: 0")
        _require(len(value) > 1, "needs at least one label besides background")
        _require(
            sorted(value.values()) == list(range(len(value))),
            f"must be the consecutive integers 0 to {len(value) - 1}, each once",
        )
        return value

    @field_validator("label_values")
    @classmethod
    def _a_value_for_every_label(cls, value: dict[str, int] | None, info: ValidationInfo) -> dict[str, int] | None:
        names = set(info.data.get("labels", value or ()))
        _require(
            value is None or (set(value) == names and len(set(value.values())) == len(value)),
            f"must give each of the labels ({', '.join(sorted(names))}) a value of its own, and no other",
        )
        return value

    @field_validator("class_ratios")
    @classmethod
    def _a_ratio_for_every_label(cls, value: list[float] | None, info: ValidationInfo) -> list[float] | None:
        labels = len(info.data.get("labels", value or ()))
        _require(
            value is None or (len(value) == labels and sum(value) > 0),
            f"needs {labels} numbers, one per label with background first, and one of them above 0",
        )
        return value

    @field_validator("orientation")
    @classmethod
    def _one_letter_per_axis(cls, value: str) -> str:
        pairs = [pair for letter in value for pair in _OPPOSITES if letter in pair]
        _require(
            len(value) == 3 and sorted(pairs) == sorted(_OPPOSITES),
            "must be three letters, one of L/R, one of P/A and one of I/S, such as RAS",
        )
        return value

    @field_validator("intensity_range")
    @classmethod
    def _low_and_high(cls, value: list[float] | None) -> list[float] | None:
        _require(value is None or (len(value) == 2 and value[0] < value[1]), "must be [low, high] with low below high")
        return value

    @field_validator("normalisation")
    @classmethod
    def _range_where_it_is_used(cls, value: str, info: ValidationInfo) -> str:
        if "intensity_range" in info.data:
            given = info.data["intensity_range"] is not None
            _require(value != "ct" or given, "needs intensity_range: [low, high] beside it")
            _require(value == "ct" or not given, "does not use intensity_range; remove that, or choose ct")
        scaled = [info.data.get(key) is not None for key in ("intensity_mean", "intensity_std")]
        _require(all(scaled) or not any(scaled), "needs intensity_mean and intensity_std together, or neither")
        _require(value == "ct" or not any(scaled), "does not use intensity_mean and intensity_std; remove them")
        return value

    @field_validator("network")
    @classmethod
    def _kernels_and_strides_fit_the_axes(cls, value: Network, info: ValidationInfo) -> Network:
        if isinstance(value.kernel_size, list) and not _is_nested(value.kernel_size):
            _require_axes(value.kernel_size, info, below="kernel_size")
        for key in ("kernel_size", "strides"):
            for entry in _as_list(getattr(value, key)):
                if isinstance(entry, list):
                    _require_axes(entry, info, below=key, each="lists of ")
        return value

    @field_validator("patch", "window")
    @classmethod
    def _network_takes_the_size(cls, value: list[int], info: ValidationInfo) -> list[int]:
        _require_axes(value, info)
        if "network" in info.data and "spacing" in info.data:
            network = info.data["network"]
            divisor = _size_divisor(network, len(value))
            smaller = [max(size // d, 1) * d for size, d in zip(value, divisor, strict=True)]
            larger = [-(-size // d) * d for size, d in zip(value, divisor, strict=True)]
            multiple = divisor[0] if len(set(divisor)) == 1 else divisor
            _require(
                value == larger,
                f"must be divisible by {multiple} (two per level below the finest of network.channels"
                f"{', but where network.strides has 1' if network.strides else ''}); "
                f"the nearest sizes that are: {smaller} and {larger}",
            )
        return value

    @field_validator("mirror_axes")
    @classmethod
    def _axes_exist(cls, value: list[int], info: ValidationInfo) -> list[int]:
        axes = len(info.data.get("spacing", [1, 1, 1]))
        _require(
            len(set(value)) == len(value) and all(0 <= axis < axes for axis in value),
            f"must be different axes out of 0 to {axes - 1}",
        )
        return value

    @field_validator("postprocessing")
    @classmethod
    def _cleans_labels_that_there_are(cls, value: Postprocessing, info: ValidationInfo) -> Postprocessing:
        for key in ("largest_component", "fill_holes", "minimum_ml", "minimum_mm2"):
            names = list(getattr(value, key))
            _require(len(set(names)) == len(names), "must name each label once", below=key)
            if "labels" in info.data:
                _require_labels(names, info.data["labels"], below=key)
        if "spacing" in info.data:
            axes = len(info.data["spacing"])
            given, other = ("minimum_ml", "minimum_mm2")[:: 1 if axes == 2 else -1]
            _require(not getattr(value, given), f"is not for {axes} axes, as spacing has; use {other}", below=given)
        return value


def _size_divisor(network: Network, axes: int) -> tuple[int, ...]:
    strides = network.strides or [2] * (len(network.channels) - 1)
    steps = [entry if isinstance(entry, list) else [entry] * axes for entry in strides]
    return tuple(prod(axis) for axis in zip(*steps, strict=True))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_nested(value: Any) -> bool:
    return any(isinstance(entry, list) for entry in _as_list(value))


def _require(condition: bool, message: str, *, below: str = "") -> None:
    if not condition:
        # Braces would be taken for a template of the message's own.
        raise PydanticCustomError("plan", "{message}", {"message": message, "below": below})


def _require_axes(value: list[Any], info: ValidationInfo, *, below: str = "", each: str = "") -> None:
    axes = len(info.data.get("spacing", value))
    _require(len(value) == axes, f"needs {each}{axes} entries, one per axis, as spacing has", below=below)


def _require_labels(names: list[str], labels: dict[str, int], *, below: str) -> None:
    known = [name for name, value in labels.items() if value != 0]
    for name in names:
        close = get_close_matches(name, known, n=1)
        nearest = f"; did you mean {close[0]}?" if close else ""
        _require(
            name in known, f"names {name}, but labels has {', '.join(known)} besides background{nearest}", below=below
        )
