"""The parts of a plan's schema: data, training, evaluation, post-processing, a skip connection without a file."""

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, ValidationInfo, field_validator

from .losses import LossName
from .schema_rules import NonNegative, Positive, Schema, Sentence, Text, require, require_plain

__all__ = ["Data", "Evaluation", "InlineSkip", "Postprocessing", "Training", "TrainingScans"]

Range = Annotated[list[FiniteFloat], Field(min_length=3, max_length=3)]


class TrainingScans(Schema):
    """The training scans in numbers, each as [lowest, median, highest] over the scans.

    ``extent`` and ``spacing`` are per axis, right-left, posterior-anterior, inferior-superior (in 2D in the file's
    order), in mm, of pictures without spacing in pixels. The others are per channel: ``low``, ``middle`` and ``high``
    are the 1st, 50th and 99th percentile of a scan's intensities, ``span`` is the distance from low to high, ``zero``
    is low, and ``centre`` the distance from low to middle, both over span. ``distinct`` is the least number of
    distinct intensities in up to 50 000 voxels.
    """

    cases: PositiveInt
    extent: list[Range]
    spacing: list[Range]
    low: list[Range]
    middle: list[Range]
    high: list[Range]
    span: list[Range]
    zero: list[Range]
    centre: list[Range]
    distinct: list[PositiveInt]


class Data(Schema):
    """The source and kind of the scans.

    ``manifest`` is the datalist JSON, relative to the plan's folder; None takes the dataset folder's ``dataset.json``.
    ``folder`` is the folder of the scans on this machine, relative to the plan's folder; None leaves it to the command
    line. ``outside`` allows absolute paths and links in the datalist that lead out of this folder. ``licence`` is an
    SPDX identifier or a sentence. ``channels`` names the input channels in order. ``unit`` is that of all lengths:
    pictures without a spacing have pixels, those of microscopes µm or nm. ``scans``
    are the training scans in numbers, with which prediction compares a scan; without them it compares nothing.
    """

    manifest: Text | None = None
    folder: Text | None = None
    outside: bool = False
    source: Sentence
    licence: Sentence
    modality: Literal["MRI", "CT", "US", "EM", "synthetic", "other"]
    unit: Literal["mm", "px", "µm", "nm"] = "mm"
    channels: list[Text] = Field(min_length=1)
    scans: TrainingScans | None = None

    @field_validator("channels")
    @classmethod
    def _check_channels(cls, value: list[str]) -> list[str]:
        require_plain(value)
        return value

    @field_validator("scans")
    @classmethod
    def _check_scans(cls, value: TrainingScans | None, info: ValidationInfo) -> TrainingScans | None:
        channels = len(info.data.get("channels", ()))
        for key in ("low", "middle", "high", "span", "zero", "centre", "distinct"):
            given = channels if value is None else len(getattr(value, key))
            require(not channels or given == channels, f"must have {channels} entries, one per channel", subkey=key)
        return value


class Training(Schema):
    """The schedule of the training; lengths are in epochs.

    ``loss`` is explained in :func:`~pipeline.bundle.losses.loss_component`, without the sparsity term of skips.
    ``average_momentum`` is the share of each step's weights in the running average, which is validated and saved.
    Without ``epochs`` the training lasts ``minutes``. With both it ends with whichever is reached first. None for
    ``val_interval`` spreads validations evenly, for ``warmup_epochs`` it is 4.5 % of the training, and for
    ``early_stop_patience`` there is no early stop. ``threads`` are those of the CPU that the plan was timed with.
    ``cache_rate`` is the share of the prepared cases that stay in memory.
    """

    epochs: PositiveInt | None = None
    minutes: Positive | None = Field(default=None, validate_default=True)
    val_interval: PositiveInt | None = None
    loss: LossName = "dice_ce"
    learning_rate: Positive
    weight_decay: NonNegative
    warmup_epochs: NonNegativeInt | None = None
    average_momentum: float = Field(default=0.01, gt=0, le=1)
    samples_per_case: PositiveInt = 1
    cache_rate: float = Field(default=1.0, ge=0, le=1)
    early_stop_patience: PositiveInt | None = None
    threads: PositiveInt | None = None
    seed: NonNegativeInt

    @field_validator("minutes")
    @classmethod
    def _check_length(cls, value: float | None, info: ValidationInfo) -> float | None:
        given = value is not None or info.data.get("epochs", 1) is not None
        require(given, "must be a number where there are no epochs: one of the two ends the training")
        return value

    @field_validator("val_interval", "warmup_epochs")
    @classmethod
    def _check_within_training(cls, value: int | None, info: ValidationInfo) -> int | None:
        epochs = info.data.get("epochs")
        require(
            value is None or epochs is None or value <= epochs, f"must be at most the {epochs} epochs of the training"
        )
        is_warmup = info.field_name == "warmup_epochs" and info.data.get("epochs", 1) is None
        require(value is None or not is_warmup, "needs epochs; without them leave it out, for 4.5 % of the training")
        return value


class Evaluation(Schema):
    """``tolerance_mm`` is the largest distance (mm) between surfaces that NSD counts as agreement."""

    tolerance_mm: Positive = 1.0


class Postprocessing(Schema):
    """The cleaning of label maps in their scan's own grid, by label name; empty settings clean nothing.

    ``largest_component`` names labels that keep only their largest component, ``fill_holes`` labels whose holes are
    filled. ``minimum_ml`` is a volume (ml) per label: smaller components are removed. In 2D ``minimum_mm2`` is an area
    (mm2) instead.
    """

    largest_component: list[str] = Field(default=[])
    fill_holes: list[str] = Field(default=[])
    minimum_ml: dict[str, Positive] = Field(default={})
    minimum_mm2: dict[str, Positive] = Field(default={})


class InlineSkip(Schema):
    """A skip connection without a file in ``configs/skips``, such as the user's own; the keys are those of a file.

    ``skip`` is a name, ``[name, {option: value}]``, or a list with one of these per level, finest first. ``sparsity``
    is the weight of the selecting skips' L1 term in the loss.
    """

    skip: str | list[Any]
    sparsity: NonNegative = 0.0

    @field_validator("skip")
    @classmethod
    def _check_skip(cls, value: str | list[Any]) -> str | list[Any]:
        require_plain(value)
        return value
