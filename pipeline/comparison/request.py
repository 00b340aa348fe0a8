"""The options of a comparison, as the command line or a program names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ..data.errors import InputError
from ..evaluation.lesions import MIN_IOU
from ..evaluation.metric_names import ALL_METRICS, CALIBRATION_METRICS, LESION_METRICS, MEMBRANE_METRICS

__all__ = [
    "Request",
    "check_numbers",
    "choose_metrics",
    "choose_tolerances",
    "require_labels",
    "require_plain_labels",
]

DEFAULT_TOLERANCE_MM = 1.0
MIN_RESAMPLES = 100
CLDICE = "cldice"  # asked for label by label


@dataclass(frozen=True)
class Request:
    """The options of a comparison.

    Attributes:
        reference: folder of label maps, datalist or bundle.
        sets: the sets' words: ``FOLDER``, ``NAME=FOLDER`` or ``ARM:SEED=FOLDER``.
        output: folder of the results.
        part: part of a datalist: ``test``, ``training`` or the number of a fold.
        fold: a fold of a bundle or datalist.
        dataset_dir: folder that a datalist's paths start from.
        labels: labels and their values in the reference; empty for those of the datalist, bundle or files.
        as_background: values that count as background.
        regions: the values or names of each region's labels, by its name; empty for those of the datalist or bundle.
        ignore: values of the reference that count in no metric; empty for those of the datalist or bundle.
        cases: names of the only cases to compare; empty for all.
        subjects: a table (``case,subject`` in CSV, or a JSON mapping) or a regular expression whose first group is the
            subject; None for the datalist's.
        metrics: names of metrics; empty for all but optional ones.
        tolerance_mm: tolerances of the NSD, ``X`` for all labels or ``NAME=X``; empty for the plan's, or 1 mm.
        lesions: labels whose lesions are matched one by one.
        lesion_iou: IoU from which a predicted lesion is matched.
        cldice: labels that are tubes.
        membranes: labels in two dimensions that separate cells.
        calibration: whether to measure the probabilities next to predictions.
        jobs: number of processes; None for one per CPU.
        memory: bytes that the cases which are read at the same time may take together; None for 80 % of what is free.
        seed: seed of the bootstrap.
        resamples: draws of the bootstrap.
        command: the command line, for the summary.
        progress: whether to show bars.
    """

    reference: Path
    sets: Sequence[str]
    output: Path
    part: str | None = None
    fold: int | None = None
    dataset_dir: Path | None = None
    labels: Sequence[tuple[str, int]] = ()
    as_background: Sequence[int] = ()
    regions: Sequence[tuple[str, Sequence[str]]] = ()
    ignore: Sequence[int] = ()
    cases: Sequence[str] = ()
    subjects: str | None = None
    metrics: Sequence[str] = ()
    tolerance_mm: Sequence[tuple[str, float]] = ()
    lesions: Sequence[str] = ()
    lesion_iou: float = MIN_IOU
    cldice: Sequence[str] = ()
    membranes: Sequence[str] = ()
    calibration: bool = False
    jobs: int | None = None
    memory: int | None = None
    seed: int = 0
    resamples: int = 10_000
    command: str = ""
    progress: bool = True


def choose_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Return the named metrics in the order of their table; without names all that are not optional.

    Raises:
        InputError: a name is unknown.
    """
    known = [name for name in ALL_METRICS if name != CLDICE]
    remedies = {
        **dict.fromkeys(LESION_METRICS, "--lesions LABEL"),
        **dict.fromkeys(MEMBRANE_METRICS, "--membranes LABEL"),
        **dict.fromkeys(CALIBRATION_METRICS, "--calibration"),
    }
    remedies[CLDICE] = "--cldice LABEL"
    for name in names:
        if name not in known:
            raise InputError(
                "--metrics",
                found=name,
                expected=f"some of {', '.join(known)}",
                remedy=f"ask for it with {remedies[name]}"
                if name in remedies
                else "name some of these, or leave it out",
            )
    return tuple(name for name in known if (name in names if names else not ALL_METRICS[name].optional))


def check_numbers(request: Request) -> None:
    """Raise InputError for an IoU, a seed or a number of draws that is out of range."""
    rules = (
        ("--lesion_iou", request.lesion_iou, 0 < request.lesion_iou <= 1, "an IoU above 0, at most 1"),
        ("--seed", request.seed, request.seed >= 0, "a whole number, 0 or more"),
        ("--resamples", request.resamples, request.resamples >= MIN_RESAMPLES, f"{MIN_RESAMPLES} or more"),
    )
    for option, value, fits, expected in rules:
        if not fits:
            raise InputError(option, found=str(value), expected=expected, remedy="leave it out, or correct it")


def choose_tolerances(
    pairs: Sequence[tuple[str, float]], labels: Sequence[str], default: float | None
) -> dict[str, float]:
    """Return the tolerance of the NSD, in mm, of each label.

    Args:
        pairs: the user's: an empty name stands for all labels, later ones replace earlier ones.
        labels: names of the labels.
        default: the plan's; None without one.

    Raises:
        InputError: a label is unknown, or a tolerance is below 0.
    """
    require_labels("--tolerance_mm", [name for name, _ in pairs if name], labels)
    found = dict.fromkeys(labels, DEFAULT_TOLERANCE_MM if default is None else default)
    for name, value in pairs:
        if not isfinite(value) or value < 0:
            raise InputError(
                "--tolerance_mm", found=f"{value:g}", expected="a distance in mm, 0 or more", remedy="correct it"
            )
        found |= {name: value} if name else dict.fromkeys(labels, value)
    return found


def require_labels(option: str, names: Sequence[str], labels: Sequence[str]) -> None:
    """Raise InputError for a name that is no label."""
    for name in names:
        if name not in labels:
            raise InputError(
                option,
                found=f"the label {name}",
                expected=f"one of {', '.join(labels)}",
                remedy="name one of these labels",
            )


def require_plain_labels(option: str, *, regions: Sequence[str], ignored: Sequence[int]) -> None:
    """Raise InputError for an option that needs labels of which every voxel is annotated."""
    if regions or ignored:
        found = f"the regions {', '.join(regions)}" if regions else f"the ignored values {', '.join(map(str, ignored))}"
        raise InputError(
            option,
            found=f"a comparison with {found}",
            expected="labels, of which every pixel is annotated: V_rand and V_info count whole cells",
            remedy=f"leave {option} out",
        )
