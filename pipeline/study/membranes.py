"""Score the membranes that a trained network finds in the validation pictures: V_rand and V_info."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..bundle.launch import prepare
from ..bundle.words import as_words
from ..comparison.membranes import MembraneCurve, choose_thresholds
from ..data.errors import InputError
from ..evaluation.membranes import measure_membranes
from ..evaluation.metric_names import MEMBRANE_METRICS
from ..inference import average_dropout
from ..leftovers import temporary_folder
from ..probe.session import Session

__all__ = ["find_membranes", "open_evaluation", "score_maps", "score_membranes"]

# The membrane's probability (X, Y) in [0, 1], and the mask of the reference.
Map = tuple[NDArray[np.float32], NDArray[np.bool_]]

_MEMBRANE = "membrane"


def score_membranes(
    bundle: str | Path,
    *,
    checkpoint: str | Path,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    dropout_samples: int = 1,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return V_rand and V_info of the membranes in the pictures of a validation fold.

    Pre-processing, windows and probabilities are those of ``lightskip evaluate``. Each measure is the mean over
    pictures at the threshold with the highest mean, one for all pictures, as in the ISBI 2012 challenge; see
    `measure_membranes`. The label of the membrane is the bundle's only label, or the one of that name.

    Args:
        bundle: the bundle's folder, with rendered configs, of pictures in two dimensions.
        checkpoint: file of the weights.
        fold: fold whose pictures are scored; None: the config's.
        dataset_dir: the dataset's folder; None: the config's.
        dropout_samples: passes with dropout whose probabilities are averaged, see `DropoutAveraged`; 1: one without.
        overrides: further overrides of the config, by key.

    Returns:
        ``v_rand`` and ``v_info`` in [0, 1], higher is better; their thresholds of the probability,
        ``v_rand_threshold`` and ``v_info_threshold``; and ``samples``, the number of passes. Scores and thresholds are
        None if no picture's reference has a cell.

    Raises:
        InputError: the bundle, weights, fold or dataset cannot be used, the scans are not pictures, no label is the
            membrane, or passes with dropout are asked of a network without.
    """
    with open_evaluation(bundle, checkpoint, fold, dataset_dir, overrides) as session:
        return {**score_maps(find_membranes(session, dropout_samples)), "samples": dropout_samples}


@contextmanager
def open_evaluation(
    bundle: str | Path,
    checkpoint: str | Path,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Iterator[Session]:
    """Open a bundle's evaluation of some weights, which writes nothing; arguments are those of `score_membranes`."""
    given = {
        **(overrides or {}),
        "checkpoint": checkpoint,
        **({} if fold is None else {"fold": fold}),
        **({} if dataset_dir is None else {"dataset_dir": dataset_dir}),
    }
    with temporary_folder() as folder:
        words = as_words({key: str(value) for key, value in {**given, "output_dir": folder}.items()})
        session = Session(prepare("evaluate", Path(bundle).expanduser(), words))
        try:
            yield session
        finally:
            session.close()


def find_membranes(session: Session, dropout_samples: int = 1) -> Iterator[Map]:
    """Yield the membrane's probability and the reference's mask of each validation picture, in the picture's grid.

    Args:
        session: the evaluation.
        dropout_samples: as in `score_membranes`.

    Raises:
        InputError: the scans are not pictures, no label is the membrane, or the network has no dropout.
    """
    label = _find_membrane(session)
    network = average_dropout(session.network, dropout_samples)
    for index in range(len(session.names)):
        case = session.read_case(index)
        with torch.no_grad():
            probabilities = torch.softmax(session.inferer(case.image, network), dim=1)
        membrane = session.restore_volume(case, probabilities)[label].clamp(0, 1)
        yield membrane.numpy(), np.asarray(case.label[0, 0]) == label


def score_maps(maps: Iterable[Map]) -> dict[str, float | None]:
    """Return V_rand and V_info of probabilities (H, W) against masks (H, W), as `score_membranes` returns them."""
    curves = []
    for probabilities, reference in maps:
        scores = measure_membranes(probabilities, reference)
        steps = tuple({name: getattr(one, name) for name in MEMBRANE_METRICS} for one in scores.curve)
        curves.append(MembraneCurve({"set": "", "label": ""}, scores.thresholds, steps))
    [chosen] = choose_thresholds(curves)
    found: dict[str, float | None] = {}
    for measure in ("v_rand", "v_info"):
        # A picture without a cell has no score.
        values = [curve.row[measure] for curve in curves if math.isfinite(curve.row[measure])]
        found[measure] = fmean(values) if values else None
        found[f"{measure}_threshold"] = chosen[f"{measure}_threshold"] if values else None
    return found


def _find_membrane(session: Session) -> int:
    """Return the value of the membrane's label."""
    if session.spatial_dims != 2:
        raise InputError(
            session.provenance["bundle"],
            found=f"scans in {session.spatial_dims} dimensions",
            expected="pictures, whose cells are counted one by one",
            remedy="leave the scores of membranes out",
        )
    if session.regions or session.ignored:
        raise InputError(
            session.provenance["bundle"],
            found="regions" if session.regions else "ignored values",
            expected="labels, of which every pixel is annotated: V_rand and V_info count whole cells",
            remedy="leave the scores of membranes out",
        )
    names = [name for name, value in session.labels.items() if value != 0]
    found = names if len(names) == 1 else [name for name in names if name.lower() == _MEMBRANE]
    if not found:
        raise InputError(
            session.provenance["bundle"],
            found=f"the labels {', '.join(names)}",
            expected=f"a single label, or one with the name {_MEMBRANE}",
            remedy="leave the scores of membranes out",
        )
    return session.labels[found[0]]
