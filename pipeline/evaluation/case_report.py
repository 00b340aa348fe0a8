"""CaseReport: an evaluator's handler that measures each case and writes the results at the end of the run."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.utils import convert_to_numpy

from ..data.case_names import case_stem
from ..data.faults import explain_fault, is_dead_worker, is_explained, name_next_cases
from ..data.images.units import length_unit, require_unit
from ..data.voxel_size import voxel_size
from ..quiet import is_not_interrupt
from .metrics import measure_case
from .one_value import OneValue
from .results import write_results
from .rows import describe_counting
from .summary import format_summary

__all__ = ["CaseReport"]

logger = logging.getLogger(__name__)

_Measured = dict[str, list[dict[str, Any]]]


class CaseReport:
    """Write ``cases.csv`` and ``summary.json`` of an evaluation, and log a table.

    A handler for `monai.engines.SupervisedEvaluator` (with ``decollate=True``, its default). It measures each case
    after post-processing and writes the files at the end of the run. In a distributed run rank 0 gathers the rows of
    all ranks and writes. A case that the sampler repeated counts once.

    Lengths of pictures without a spacing are in pixels, and the names of metrics say so: ``hd95_px``.

    Args:
        output_dir: folder for both files, created if missing.
        labels: value of each label by name; 0 is the background.
        tolerance_mm: tolerance of the NSD in mm.
        pred_key: key of the predicted label map, (1, X, Y, Z) or (1, X, Y) integers: after argmax.
        label_key: key of the reference label map, of the same shape. Its affine defines the spacing in mm.
        image_key: key of the scan, whose file name names the case.
        names: names of the cases, by the scan's (first) file, from `names_in_datalist`. Other cases are named by
            `name_cases`.
        subjects: whose scan each is, by the scan's (first) file, from `subjects_in_datalist`. Intervals are over
            subjects; every other case counts as one of its own.
        regions: the labels' values of each region, for rows of regions instead of labels.
        ignored: values of the reference label map that count in no metric: see `measure_case`.
        annotated: names of the labels or regions that were annotated in a case, by the scan's (first) file, from
            `annotated_in_datalist`. The others have no row in this case. Other cases have all rows.
        provenance: what produced the predictions (a JSON-safe dictionary), copied into the summary.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        labels: Mapping[str, int],
        *,
        tolerance_mm: float = 1.0,
        pred_key: str = "pred",
        label_key: str = "label",
        image_key: str = "image",
        names: Mapping[str, str] | None = None,
        subjects: Mapping[str, str] | None = None,
        regions: Mapping[str, Sequence[int]] | None = None,
        ignored: Sequence[int] = (),
        annotated: Mapping[str, Sequence[str]] | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.labels = dict(labels)
        self.tolerance_mm = tolerance_mm
        self.pred_key = pred_key
        self.label_key = label_key
        self.image_key = image_key
        self.names = dict(names or {})
        self.subjects = dict(subjects or {})
        self.regions = {name: list(values) for name, values in (regions or {}).items()}
        self.ignored = list(ignored)
        self.annotated = dict(annotated or {})
        self.provenance = provenance
        self._measured: _Measured = {}
        self._unit: str | None = None
        self._only = OneValue()

    def attach(self, engine: Engine) -> None:
        """Register with the evaluator. Each run starts a new report."""
        engine.logger.addFilter(is_not_interrupt)
        engine.logger.addFilter(lambda _: not is_explained(sys.exc_info()[1]))
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._measure)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _start(self, _engine: Engine) -> None:
        self._measured, self._unit = {}, None
        self._only = OneValue()

    def _measure(self, engine: Engine) -> None:
        """Add the rows of one batch.

        Raises:
            ValueError: If a prediction is not on its reference's grid, or has undeclared labels.
            InputError: If reference label maps have lengths in different units.
        """
        for batch, output in zip(engine.state.batch, engine.state.output, strict=True):
            item = {**batch, **output}
            source = self._find_source(item[self.image_key])
            prediction, reference = item[self.pred_key], item[self.label_key]
            if prediction.shape != reference.shape:
                msg = (
                    f"{self._name(source)}: prediction has shape {tuple(prediction.shape)} and reference "
                    f"{tuple(reference.shape)}: expected both as (1, X, Y, Z) label maps on the reference's grid"
                )
                raise ValueError(msg)
            unit = self._find_unit(reference)
            try:
                self._measured[source] = measure_case(
                    prediction,
                    reference,
                    spacing=_find_spacing(reference),
                    labels=self.labels,
                    tolerance_mm=self.tolerance_mm,
                    voxel_size=_size_of_voxel(reference),
                    affine=convert_to_numpy(reference.affine) if isinstance(reference, MetaTensor) else None,
                    unit=unit,
                    regions=self.regions,
                    ignored=self.ignored,
                    annotated=self.annotated.get(source),
                )
            except ValueError as error:
                msg = f"{self._name(source)}: {error}"
                raise ValueError(msg) from error
            self._only.add(prediction, reference)

    def _finish(self, _engine: Engine) -> None:
        gathered = _gather(self._measured)
        only = idist.all_gather(self._only.state)
        if idist.get_rank() != 0:
            return
        measured = {source: rows for part in gathered for source, rows in part.items()}
        empty = OneValue.describe(only, self.labels)
        report = write_results(
            self.output_dir,
            measured,
            names=self.names,
            subjects=self.subjects,
            tolerance_mm=self.tolerance_mm,
            provenance=self.provenance,
            unit=self._unit or "mm",
            regions=self._name_regions(),
            notes=[
                *([empty] if empty else []),
                *describe_counting(
                    self._name_regions(),
                    ignored=bool(self.ignored),
                    partial=sum(source in self.annotated for source in measured),
                    cases=len(measured),
                ),
            ],
        )
        notes = "".join(f"\nnote: {note}" for note in report["notes"])
        cases = f"{report['cases']} case{'s' * (report['cases'] != 1)}"
        logger.info("%s, written to %s\n%s%s", cases, self.output_dir, format_summary(report), notes)

    def _fail(self, engine: Engine, error: BaseException) -> None:
        loader = engine.data_loader
        workers = int(getattr(loader, "num_workers", 0)) if is_dead_worker(error) else 0
        done = engine.state.iteration if workers else max(engine.state.iteration - 1, 0)
        explained = explain_fault(
            error,
            where=self.output_dir,
            cases=name_next_cases(loader, done, more=max(workers - 1, 0)),
            doing="evaluating",
            memory_remedy="close other programs, or set a smaller --window, or --validate#dataloader#num_workers 0; or "
            "segment the cases with lightskip predict --memory SIZE, and measure them with lightskip compare",
        )
        # Ignite takes an error for handled if a handler returns.
        if explained is None:
            raise error
        raise explained from error

    def _name_regions(self) -> dict[str, list[str]]:
        """Return the names of the labels of each region."""
        names = {value: name for name, value in self.labels.items()}
        return {region: [names.get(value, str(value)) for value in values] for region, values in self.regions.items()}

    def _name(self, source: str) -> str:
        return self.names.get(source) or case_stem(source)

    def _find_unit(self, label_map: Any) -> str:
        """Return the unit of lengths in a label map, which must be that of all cases."""
        source = label_map.meta.get("filename_or_obj") if isinstance(label_map, MetaTensor) else None
        unit = "mm" if source is None else length_unit(str(source))
        self._unit = self._unit or unit
        require_unit(str(source), unit, self._unit)
        return unit

    def _find_source(self, image: Any) -> str:
        """Return the scan's path, or a name that is unique over all ranks if it was not read from a file."""
        if isinstance(image, MetaTensor) and "filename_or_obj" in image.meta:
            return str(image.meta["filename_or_obj"])
        return f"case_{len(self._measured) * idist.get_world_size() + idist.get_rank() + 1:04d}"


def _find_spacing(label_map: torch.Tensor) -> list[float]:
    """Return the spacing in mm of a (1, X, Y[, Z]) label map; 1 mm if it has no affine."""
    dims = label_map.ndim - 1
    if not isinstance(label_map, MetaTensor):
        return [1.0] * dims
    return [float(step) for step in affine_to_spacing(label_map.affine, r=dims)]


def _size_of_voxel(label_map: torch.Tensor) -> float | None:
    """Return the size of a voxel (mm3, in 2D mm2) of a (1, X, Y[, Z]) label map; None if it has no affine."""
    if not isinstance(label_map, MetaTensor):
        return None
    return voxel_size(convert_to_numpy(label_map.affine), label_map.ndim - 1)


def _gather(measured: _Measured) -> list[_Measured]:
    """Return the rows of every process, by rank. They travel as JSON: objects would travel as pickles."""
    if idist.get_world_size() == 1:
        return [measured]
    texts: list[str] = idist.all_gather(json.dumps(measured, default=_to_number))
    return [json.loads(text) for text in texts]


def _to_number(value: Any) -> Any:
    """Return a number of NumPy or PyTorch as Python's."""
    return value.item()
