"""Measure how the Dice of a trained network falls with graded perturbations of its scans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ...bundle.launch import prepare
from ...bundle.words import as_words
from ...data.errors import InputError
from ...leftovers import temporary_folder
from ..weights import plain_weights
from .curves import describe_curves
from .perturbations import Perturbation, choose_perturbations
from .session import GridCase, RobustnessSession
from .torchio_images import import_torchio

__all__ = ["measure_robustness", "spread_cases"]

# Copies of a scan that go through the network together: PyTorch needs twice as long for a single window on a CPU.
_TOGETHER = 8
_MAX_VOXELS = 2**24  # of the copies together, for the memory of large scans


def measure_robustness(
    bundle: str | Path,
    *,
    training_folder: str | Path | None = None,
    checkpoint: str | Path | None = None,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    cases: int = 10,
    overrides: Mapping[str, Any] | None = None,
    perturbations: Sequence[str] | None = None,
    seed: int = 0,
    runtime: str = "auto",
) -> dict[str, Any]:
    """Measure the Dice of some validation cases under each perturbation and level.

    Cases, pre-processing, windows, post-processing and Dice are those of ``lightskip evaluate``. So level 0, the
    untouched scan, has its numbers. Perturbations are made in the network's grid, before the normalisation; the
    reference label map is never changed.

    Args:
        bundle: the bundle's folder, with rendered configs.
        training_folder: folder of a training; the weights of its last epoch are measured.
        checkpoint: file of weights, or a training's ``last.pt``, to measure instead. Without both: the weights that
            ``lightskip evaluate`` takes.
        fold: fold whose validation cases are measured; None: that of the training, or the config's.
        dataset_dir: the dataset's folder; None: the config's.
        cases: number of cases, evenly spread over the sorted names; all if there are fewer.
        overrides: further overrides of the config by key.
        perturbations: names from `PERTURBATIONS`; None: all.
        seed: seed of the random parts of the perturbations.
        runtime: what computes the network, as for ``lightskip evaluate``.

    Returns:
        ``cases`` (names), ``seed``, ``runtime``, ``dice`` and ``case_dice`` of the untouched scans, ``perturbations``
        and ``area``, ready for JSON. `describe_curves` has the definitions.

    Raises:
        InputError: a name, the bundle, weights, fold or dataset cannot be used, there is no case, or TorchIO is not
            installed.
    """
    chosen = choose_perturbations(perturbations)
    if cases < 1:
        raise InputError("cases", found=str(cases), expected="1 or more", remedy="name the number of cases to measure")
    if training_folder is not None and checkpoint is not None:
        raise InputError(
            str(checkpoint),
            found=f"the folder {training_folder} as well",
            expected="one of the two: both choose the weights",
            remedy="leave one out",
        )
    import_torchio()
    weights = training_folder if training_folder is not None else checkpoint
    settings = {"runtime": runtime, **(overrides or {})}
    with _open(Path(bundle).expanduser(), weights, fold, dataset_dir, settings) as session:
        indices = spread_cases(session.names, cases)
        measured = []
        with tqdm(total=len(indices) * (1 + 5 * len(chosen)), desc="perturbing", disable=None) as bar:
            for index in indices:
                rows = []
                for row in _measure_case(session, session.read_in_grid(index), chosen, seed):
                    rows.append(row)
                    bar.update()
                measured.append(np.array(rows))
        names = [session.names[index] for index in indices]
        return describe_curves(names, chosen, measured, seed=seed, runtime=session.runtime)


def spread_cases(names: Sequence[str], number: int) -> list[int]:
    """Return the places of `number` names that are evenly spread over the sorted names, first and last among them."""
    order = sorted(range(len(names)), key=lambda place: names[place])
    if number >= len(order):
        return order
    return [order[round(place)] for place in np.linspace(0, len(order) - 1, number)]


@contextmanager
def _open(
    bundle: Path,
    weights: str | Path | None,
    fold: int | None,
    dataset_dir: str | Path | None,
    overrides: Mapping[str, Any],
) -> Iterator[RobustnessSession]:
    """Open the evaluation; nothing that it writes stays."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        given: dict[str, Any] = {**overrides, "output_dir": folder, "dataset_dir": dataset_dir}
        if weights is not None:
            given["checkpoint"], trained_fold = stack.enter_context(plain_weights(weights))
            fold = trained_fold if fold is None and "fold" not in overrides else fold
        given["fold"] = fold if fold is not None else overrides.get("fold")
        words = as_words({key: str(value) for key, value in given.items() if value is not None})
        session = RobustnessSession(prepare("evaluate", bundle, words))
        stack.callback(session.close)
        yield session


def _measure_case(
    session: RobustnessSession, case: GridCase, chosen: Sequence[Perturbation], seed: int
) -> Iterator[list[float]]:
    """Yield the Dice of a case by label: untouched, then perturbation by perturbation, level by level."""
    # Alone, so that its windows are in the batches of an evaluation.
    [untouched] = session.measure_each([session.finish_case(case)])
    yield list(untouched.values())
    together = max(1, min(_TOGETHER, _MAX_VOXELS // case.scan.size))
    copies = _perturb(session, case, chosen, seed)
    while ready := [session.finish_case(case, scan) for scan in islice(copies, together)]:
        yield from (list(dice.values()) for dice in session.measure_each(ready))


def _perturb(
    session: RobustnessSession, case: GridCase, chosen: Sequence[Perturbation], seed: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the perturbed copies of a scan."""
    for one in chosen:
        for level in range(1, 1 + len(one.levels)):
            scan = one.apply(case.scan, case.spacing, level, seed=seed, case=case.name)
            if session.keeps_zeros:
                # A head is cut out after the scan was taken, perturbations included.
                scan[case.scan == 0] = 0
            yield scan
