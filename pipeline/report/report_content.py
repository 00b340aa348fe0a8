"""The content of a report page, read from the files of a comparison, an evaluation, a training or a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.rows import OVERALL, name_overall

__all__ = ["MEAN", "CaseFiles", "Content", "History", "Lesion", "Metric", "Score"]

MEAN = OVERALL
"""The entry of the statistics over all labels, or over all regions."""


@dataclass(frozen=True)
class Metric:
    """A measured quantity.

    Attributes:
        name: the column of ``cases.csv``.
        title: the name for people.
        unit: such as ``mm``; empty for a ratio.
        better: ``higher``, ``lower`` or ``zero``; empty if neither is better.
    """

    name: str
    title: str
    unit: str = ""
    better: str = "higher"


@dataclass(frozen=True)
class Score:
    """One row of ``cases.csv``: a label of a case, in one set of predictions.

    Attributes:
        set: name of the set.
        case: name of the case.
        label: name of the label.
        outcome: ``found``, ``missed``, ``false_positive`` or ``absent``; empty if there is no reference.
        values: the finite values by metric.
        sizes: size in the reference and in the prediction; None where unknown.
        unit: unit of the sizes.
    """

    set: str
    case: str
    label: str
    outcome: str
    values: Mapping[str, float]
    sizes: tuple[float | None, float | None] = (None, None)
    unit: str = ""


@dataclass(frozen=True)
class Lesion:
    """A lesion that only one side has, from ``lesions.csv``.

    Attributes:
        set: name of the set.
        case: name of the case.
        label: name of the label.
        status: ``missed`` or ``invented``.
        size: its size; None if unknown.
        unit: unit of the size.
    """

    set: str
    case: str
    label: str
    status: str
    size: float | None
    unit: str


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case.

    Attributes:
        name: of the case.
        subject: of the case; empty if unknown or the same as the name.
        image: the scan; None if it is unknown.
        reference: the reference's label map; None without one.
        predictions: the label map of each set; None where a set lacks the case.
        values: the label's value by the value in the file, of files where they differ: by set, of the reference at "".
        entropy: the uncertainty of every voxel, 0 to 1; None without it.
        uncertainty: of the whole case, 0 to 1; None without it.
        notes: sentences about the case.
    """

    name: str
    subject: str = ""
    image: Path | None = None
    reference: Path | None = None
    predictions: Mapping[str, Path | None] = field(default_factory=dict)
    values: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    entropy: Path | None = None
    uncertainty: float | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class History:
    """The curve of a training.

    Attributes:
        name: of the training.
        columns: those of ``history.csv``: see `read_history`.
        changes: first epoch after each change of its length, and the way: see `read_changes`.
        unvalidated: that it was trained on all cases, if so.
    """

    name: str
    columns: dict[str, NDArray[np.float64]]
    changes: Sequence[tuple[int, str]] = ()
    unvalidated: str = ""


@dataclass(frozen=True)
class Content:
    """Everything that a page shows.

    Attributes:
        kind: ``comparison``, ``evaluation``, ``training``, ``bundle`` or ``prediction``.
        name: the heading.
        facts: short facts under the heading.
        run: what was run, as titles and texts.
        labels: value of each foreground label by name.
        regions: values of each region's labels, if the rows are of regions; pictures show labels.
        sets: names of the sets of predictions.
        metrics: the columns that `scores` may have.
        scores: the measured values.
        lesions: the missed and invented lesions, if lesions were matched.
        cases: the cases; a case without files is shown with its numbers alone.
        summary: ``summary.json`` of a comparison, as read; of an evaluation only its ``statistics``, in the same form.
        histories: curves of trainings.
        plan: text of ``plan.yaml``.
        notes: sentences at the top of the page.
        source: names of the files with the same content for programs.
    """

    kind: str
    name: str
    facts: Sequence[str] = ()
    run: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    regions: Mapping[str, Sequence[int]] = field(default_factory=dict)
    sets: Sequence[str] = ()
    metrics: Sequence[Metric] = ()
    scores: Sequence[Score] = ()
    lesions: Sequence[Lesion] = ()
    cases: Sequence[CaseFiles] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    histories: Sequence[History] = ()
    plan: str = ""
    notes: Sequence[str] = ()
    source: Sequence[str] = ()

    @property
    def rows(self) -> list[str]:
        """The names of the structures that rows may be of, in their order: the regions, else the labels."""
        return list(self.regions or self.labels)

    @property
    def row_word(self) -> str:
        """The word for a row: ``region``, or ``label``."""
        return "region" if self._has_regions else "label"

    @property
    def mean_name(self) -> str:
        """The name of the statistics over all rows."""
        return name_overall(["regions"] if self._has_regions else None)

    @property
    def _has_regions(self) -> bool:
        return bool(self.regions or self.summary.get("regions"))

    def find_style(self, row: str, default: int = 0) -> str:
        """Return the CSS class of a row's colours: that of a label, or of a region of several labels."""
        values = self.regions.get(row, ())
        if len(values) > 1:
            return f"r{list(self.regions).index(row)}"
        return f"s{values[0] if values else self.labels.get(row, default)}"
