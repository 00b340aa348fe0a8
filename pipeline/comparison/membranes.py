"""V_rand and V_info of membranes in a comparison: one threshold for all cases of a set, as the challenge takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.errors import InputError
from ..evaluation.membranes import SegmentScores, measure_membranes
from ..evaluation.metric_names import MEMBRANE_METRICS
from ..evaluation.outcomes import score_outcome
from .probabilities import Probabilities, read_probabilities

__all__ = ["MembraneCurve", "choose_thresholds", "measure_curve", "require_slices"]

_MEASURES = ("v_rand", "v_info")


@dataclass(frozen=True)
class MembraneCurve:
    """The scores of a case and set at all thresholds.

    Attributes:
        row: the row of ``cases.csv``, which `choose_thresholds` completes.
        thresholds: the thresholds; none if the scores are those of a label map, or of an absent structure.
        scores: the scores at each of them, else one.
    """

    row: dict[str, Any]
    thresholds: tuple[float, ...]
    scores: tuple[Mapping[str, float], ...]


def require_slices(labels: Sequence[str], spatial_dims: int) -> None:
    """Raise InputError if labels are asked for in three dimensions."""
    if labels and spatial_dims != 2:
        raise InputError(
            "--membranes",
            found=f"label maps in {spatial_dims} dimensions",
            expected="slices in two dimensions, whose cells are counted one by one",
            remedy="leave it out, or compare slices",
        )


def measure_curve(
    row: dict[str, Any],
    prediction: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    found: Probabilities | None = None,
    channel: int = 0,
) -> MembraneCurve:
    """Return the scores of a case, from its probabilities at all thresholds, or without any from its label map.

    Args:
        row: the case's row for the label, with its ``outcome``. A label that one side lacks has the outcome's scores.
        prediction: mask of the predicted membrane (X, Y).
        reference: mask of the same shape.
        found: the file of probabilities.
        channel: the membrane's channel in it.

    Raises:
        InputError: the file holds other numbers.
    """
    if row["outcome"] != "found":
        decided = score_outcome(row["outcome"])
        return MembraneCurve(row, (), ({name: decided[name] for name in MEMBRANE_METRICS},))
    if found is None:
        return MembraneCurve(row, (), (_as_row(measure_membranes(prediction, reference, thresholds=(0.5,)).v_rand),))
    try:
        scores = measure_membranes(read_probabilities(found, 2)[channel], reference)
    except ValueError as error:
        raise InputError(
            found.path,
            found=str(error),
            expected="probabilities in [0, 1]",
            remedy="write them again with lightskip predict --probabilities, or leave --membranes out",
        ) from error
    return MembraneCurve(row, scores.thresholds, tuple(_as_row(one) for one in scores.curve))


def choose_thresholds(curves: Sequence[MembraneCurve]) -> list[dict[str, Any]]:
    """Write the scores into the rows of all cases, at the threshold with the highest mean of a set and label.

    V_rand and V_info have a threshold each, and their parts are those at it. The lowest of equal ones is taken.

    Args:
        curves: of all cases, sets and labels.

    Returns:
        For each set and label: the thresholds (None without any probabilities), and the number of cases with them.
    """
    groups: dict[tuple[str, str], list[MembraneCurve]] = {}
    for curve in curves:
        groups.setdefault((curve.row["set"], curve.row["label"]), []).append(curve)
    chosen = []
    for (name, label), group in groups.items():
        steps = next((one.thresholds for one in group if one.thresholds), ())
        entry: dict[str, Any] = {"set": name, "label": label}
        for measure in _MEASURES:
            place = _find_best(group, measure, max(len(steps), 1))
            entry[f"{measure}_threshold"] = steps[place] if steps else None
            for one in group:
                scores = one.scores[place if one.thresholds else 0]
                one.row.update({key: scores[key] for key in MEMBRANE_METRICS if key.startswith(measure)})
        chosen.append({**entry, "cases_with_probabilities": sum(bool(one.thresholds) for one in group)})
    return chosen


def _find_best(group: Sequence[MembraneCurve], measure: str, steps: int) -> int:
    """Return the place of the threshold with the highest mean of a measure; values that are NaN do not count."""
    values = np.array(
        [[one.scores[place if one.thresholds else 0][measure] for place in range(steps)] for one in group]
    )
    counted = ~np.isnan(values).any(axis=1)
    return int(values[counted].mean(axis=0).argmax()) if counted.any() else 0


def _as_row(scores: SegmentScores) -> dict[str, float]:
    return {name: getattr(scores, name) for name in MEMBRANE_METRICS}
