"""The schema of a study file: what is compared, how often, and with which budget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from ..bundle.schema_rules import Name, NonNegative, Positive, Schema, Text, require

__all__ = ["Budget", "Group", "Measure", "Membranes", "NetworkChoice", "Robustness", "SkipChoice", "Study"]

_MAX_EPOCHS, _MAX_THREADS = 1_000_000, 1024
_YEAR = 366 * 24 * 60  # minutes, the most that a training takes
# Seeds of NumPy, which MONAI sets too, have 32 bits.
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]


class Budget(Schema):
    """The length of each training: ``epochs`` (equal steps), or ``minutes`` of the processor's own clock.

    Minutes of the processor do not count what other programs take. A training with minutes completes its learning rate
    schedule in them.
    """

    epochs: Annotated[int, Field(gt=0, le=_MAX_EPOCHS)] | None = None
    minutes: Annotated[Positive, Field(le=_YEAR)] | None = Field(default=None, validate_default=True)

    @field_validator("minutes")
    @classmethod
    def _check_one(cls, value: float | None, info: ValidationInfo) -> float | None:
        one = (value is None) != (info.data.get("epochs") is None)
        require(one, "and epochs: give one of the two, epochs for equal steps or minutes for equal time")
        return value

    def words(self) -> str:
        """Return the budget in words: ``6 epochs`` or ``8 min``."""
        return f"{self.minutes:g} min" if self.epochs is None else f"{self.epochs} epochs"


class NetworkChoice(Schema):
    """A network with arguments that differ from the bundle's; ``label`` names it in the report.

    Arms of networks with the same label are compared with each other. ``variant`` then tells them apart: it is added
    to the names of their skips.

    ``name`` is a registered network. Its arguments are keys next to it. A network of the bundle's own kind takes all
    other arguments from the plan, another one the widths, kernels, strides, normalisation, activation and dropout.
    """

    name: Text
    label: Text | None = None
    variant: Text | None = None
    arguments: dict[str, Any] = Field(default={})


class SkipChoice(Schema):
    """A skip connection without a file in ``configs/skips``; ``label`` names it in the report."""

    skip: str | list[Any]
    label: Text | None = None
    sparsity: NonNegative = 0.0


class Group(Schema):
    """Arms: every network with every skip on one bundle; budget, seeds and folds replace the study's."""

    bundle: Text
    dataset_dir: Text | None = None
    networks: list[Text | NetworkChoice] = Field(min_length=1)
    skips: list[Text | SkipChoice] = Field(min_length=1)
    budget: Budget | None = None
    seeds: Seeds | None = None
    folds: Seeds | None = None
    overrides: dict[str, Any] = Field(default={})


class Robustness(Schema):
    """The number of validation cases that are perturbed, and the perturbations; all of them without a list."""

    cases: PositiveInt = 10
    perturbations: list[Text] | None = None


class Membranes(Schema):
    """V_rand and V_info; ``samples`` is the number of passes with dropout that are averaged, 1 for none."""

    samples: PositiveInt = 1


class Measure(Schema):
    """What is measured besides metrics and costs; ``true`` takes the defaults."""

    robustness: Robustness | bool = False
    probes: bool = False
    membranes: Membranes | bool = False


class Study(Schema):
    """A study: groups of arms with common seeds, folds and budget.

    ``baseline`` is the label of the skip that others are compared with. ``threads`` are the CPU threads of each run.
    """

    name: Name
    question: Text
    about: Text | None = None
    baseline: Text = "concat"
    seeds: Seeds
    folds: Seeds = Field(default=[0])
    budget: Budget
    threads: Annotated[int, Field(gt=0, le=_MAX_THREADS)] = 1
    device: Text = "cpu"
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    measure: Measure = Measure()
    arms: list[Group] = Field(min_length=1)

    @field_validator("seeds", "folds")
    @classmethod
    def _check_once(cls, value: list[int]) -> list[int]:
        require(len(set(value)) == len(value), "must have each number once")
        return value
