"""The schema of a plan: the settings of one bundle's task, with checks across fields."""

from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    FiniteFloat,
    PositiveInt,
    Tag,
    ValidationInfo,
    field_validator,
)

from .label_rules import check_ignored_values, check_region_order, check_regions, require_labels
from .losses import NEEDS_ALL_VOXELS
from .network_schema import Network
from .schema_parts import Data, Evaluation, InlineSkip, Postprocessing, Training, TrainingScans
from .schema_rules import (
    Dimensions,
    FileName,
    Module,
    Name,
    NonNegative,
    Positive,
    Schema,
    Sentence,
    Version,
    require,
    require_axes,
    require_plain,
)

__all__ = ["Data", "Evaluation", "InlineSkip", "Plan", "Postprocessing", "Training", "TrainingScans"]

_OPPOSITES = ("LR", "PA", "IS")


class Plan(Schema):
    """All settings of a bundle's task.

    ``spacing`` is in mm, ``patch`` (training) and ``window`` (inference) in voxels, ``window_overlap`` is a fraction
    of the window, ``mirror_axes`` are spatial axes from 0. ``label_values`` are the labels' values in the files, where
    they differ from the consecutive values of ``labels``. ``regions`` are the labels of each region: the network then
    predicts regions, which may overlap, and not labels. ``region_order`` is the label that each region writes into a
    label map, the first one first, later ones over it. ``ignored_values`` are values in the files that count as not
    annotated. ``partial_labels`` says that cases of the datalist name their annotated labels. ``intensity_range``,
    ``intensity_mean`` and ``intensity_std`` are in the scan's own units (Hounsfield units for CT). ``class_ratios`` are
    the relative numbers of patches centred on each label, background first; None centres half of them on the
    background. ``skip`` names a file of ``configs/skips``, or has the content of such a file. ``imports`` are modules
    that register skips or networks.
    """

    name: Name
    title: Sentence
    version: Version
    changelog: dict[str, Sentence]
    task: Sentence
    description: Sentence
    intended_use: Sentence
    authors: Sentence
    copyright: Sentence
    references: list[Sentence] = Field(default=[])
    data: Data
    labels: dict[str, int]
    label_values: dict[str, int] | None = None
    regions: dict[str, list[str]] | None = None
    region_order: dict[str, str] | None = Field(default=None, validate_default=True)
    ignored_values: list[int] = Field(default=[])
    partial_labels: bool = False
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
    imports: list[Module] = Field(default=[])
    training: Training
    evaluation: Evaluation = Evaluation()
    postprocessing: Postprocessing = Postprocessing()

    # A check across fields belongs to the later field: its error names that key, and all errors are listed at once.

    @property
    def spatial_dims(self) -> int:
        """2 or 3: the number of axes of ``spacing``."""
        return len(self.spacing)

    @property
    def outputs(self) -> list[str]:
        """The names of the network's output channels: the regions, or the labels with the background first."""
        return list(self.regions) if self.regions else sorted(self.labels, key=self.labels.__getitem__)

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """Per axis, the number that must divide patch and window sizes (voxels): the product of the axis's strides."""
        return self.network.size_divisor(self.spatial_dims)

    @field_validator("changelog")
    @classmethod
    def _check_changelog(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        version = info.data.get("version")
        require(version is None or version in value, f"has no entry for the version {version}")
        return value

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, value: dict[str, int]) -> dict[str, int]:
        require_plain(list(value))
        require(value.get("background") == 0, "must contain background: 0")
        require(len(value) > 1, "needs at least one label besides background")
        require(
            sorted(value.values()) == list(range(len(value))),
            f"must be the consecutive integers 0 to {len(value) - 1}, each once",
        )
        return value

    @field_validator("label_values")
    @classmethod
    def _check_label_values(cls, value: dict[str, int] | None, info: ValidationInfo) -> dict[str, int] | None:
        names = set(info.data.get("labels", value or ()))
        require(
            value is None or (set(value) == names and len(set(value.values())) == len(value)),
            f"must map each of the labels ({', '.join(sorted(names))}) to a different value, and name no others",
        )
        return value

    @field_validator("regions")
    @classmethod
    def _check_regions(cls, value: dict[str, list[str]] | None, info: ValidationInfo) -> dict[str, list[str]] | None:
        require_plain(list(value or ()))
        if "labels" in info.data:
            check_regions(value, info.data["labels"])
        return value

    @field_validator("region_order")
    @classmethod
    def _check_region_order(cls, value: dict[str, str] | None, info: ValidationInfo) -> dict[str, str] | None:
        if {"labels", "regions"} <= set(info.data):
            check_region_order(value, info.data["regions"], info.data["labels"])
        return value

    @field_validator("ignored_values")
    @classmethod
    def _check_ignored_values(cls, value: list[int], info: ValidationInfo) -> list[int]:
        check_ignored_values(value, info.data.get("label_values") or info.data.get("labels", {}))
        return value

    @field_validator("class_ratios")
    @classmethod
    def _check_class_ratios(cls, value: list[float] | None, info: ValidationInfo) -> list[float] | None:
        labels = len(info.data.get("labels", value or ()))
        require(
            value is None or (len(value) == labels and sum(value) > 0),
            f"needs {labels} numbers, one per label with background first, at least one of them above 0",
        )
        return value

    @field_validator("orientation")
    @classmethod
    def _check_orientation(cls, value: str) -> str:
        pairs = [pair for letter in value for pair in _OPPOSITES if letter in pair]
        require(
            len(value) == 3 and sorted(pairs) == sorted(_OPPOSITES),
            "must be three letters, one of L/R, one of P/A and one of I/S, such as RAS",
        )
        return value

    @field_validator("intensity_range")
    @classmethod
    def _check_intensity_range(cls, value: list[float] | None) -> list[float] | None:
        require(value is None or (len(value) == 2 and value[0] < value[1]), "must be [low, high] with low below high")
        return value

    @field_validator("normalisation")
    @classmethod
    def _check_normalisation(cls, value: str, info: ValidationInfo) -> str:
        if "intensity_range" in info.data:
            given = info.data["intensity_range"] is not None
            require(value != "ct" or given, "needs intensity_range: [low, high]")
            require(value == "ct" or not given, "does not use intensity_range; remove intensity_range, or choose ct")
        scaled = [info.data.get(key) is not None for key in ("intensity_mean", "intensity_std")]
        require(all(scaled) or not any(scaled), "needs intensity_mean and intensity_std together, or neither")
        require(value == "ct" or not any(scaled), "does not use intensity_mean and intensity_std; remove them")
        return value

    @field_validator("network")
    @classmethod
    def _check_network(cls, value: Network, info: ValidationInfo) -> Network:
        require_plain(value.model_dump(mode="json"))
        if "spacing" in info.data:
            value.check_axes(len(info.data["spacing"]))
        return value

    @field_validator("patch", "window")
    @classmethod
    def _check_size(cls, value: list[int], info: ValidationInfo) -> list[int]:
        require_axes(value, len(info.data.get("spacing", value)))
        if "network" in info.data and "spacing" in info.data:
            network = info.data["network"]
            divisor = network.size_divisor(len(value))
            smaller = [max(size // d, 1) * d for size, d in zip(value, divisor, strict=True)]
            larger = [-(-size // d) * d for size, d in zip(value, divisor, strict=True)]
            multiple = divisor[0] if len(set(divisor)) == 1 else divisor
            require(
                value == larger,
                f"must be divisible by {multiple} ({network.size_rule}); "
                f"the nearest such sizes are {smaller} and {larger}",
            )
        return value

    @field_validator("skip", mode="before")
    @classmethod
    def _check_skip(cls, value: Any) -> Any:
        require(
            isinstance(value, str | dict | InlineSkip),
            "must be the name of a file in configs/skips, or {skip: NAME OR LIST}, such as skip: {skip: [none, sat]}",
        )
        return value

    @field_validator("mirror_axes")
    @classmethod
    def _check_mirror_axes(cls, value: list[int], info: ValidationInfo) -> list[int]:
        axes = len(info.data.get("spacing", [1, 1, 1]))
        require(
            len(set(value)) == len(value) and all(0 <= axis < axes for axis in value),
            f"must be different axes from 0 to {axes - 1}",
        )
        return value

    @field_validator("training")
    @classmethod
    def _check_loss(cls, value: Training, info: ValidationInfo) -> Training:
        partial = bool(info.data.get("ignored_values") or info.data.get("partial_labels"))
        require(
            not partial or value.loss not in NEEDS_ALL_VOXELS,
            f"needs {NEEDS_ALL_VOXELS.get(value.loss)} of whole structures, and voxels are without annotation: choose "
            "another one, such as dice_ce or tversky",
            subkey="loss",
        )
        return value

    @field_validator("postprocessing")
    @classmethod
    def _check_postprocessing(cls, value: Postprocessing, info: ValidationInfo) -> Postprocessing:
        for key in ("largest_component", "fill_holes", "minimum_ml", "minimum_mm2"):
            names = list(getattr(value, key))
            require(len(set(names)) == len(names), "must name each label once", subkey=key)
            if "labels" in info.data:
                require_labels(names, info.data["labels"], subkey=key)
        if "spacing" in info.data:
            axes = len(info.data["spacing"])
            given, other = ("minimum_ml", "minimum_mm2")[:: 1 if axes == 2 else -1]
            require(not getattr(value, given), f"is not for the {axes} axes of spacing; use {other}", subkey=given)
        return value
