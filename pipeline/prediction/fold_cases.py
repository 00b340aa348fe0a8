"""The cases of a bundle's folds, their references, and weights that were not trained on a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.launch_checks import config_files, evaluate_key
from ..bundle.plan import Plan
from ..bundle.render import check_rendered
from ..bundle.trainings import choose_weights, find_training, list_trainings, no_weights_error, refuse_two_choices
from ..bundle.words import lightskip_command
from ..data.cases import ALL_CASES, no_validation_error
from ..data.check import check_cases
from ..data.errors import InputError, input_error_behind
from ..data.reader import LoadScand
from ..evaluation.rows import find_annotated_values

__all__ = [
    "check_fold",
    "choose_fold_weights",
    "find_annotated",
    "list_regions",
    "read_fold",
    "read_reference",
    "require_rendered",
    "training_fold",
]


def require_rendered(bundle: Path) -> None:
    """Raise InputError if a bundle's configs differ from its plan."""
    differing = check_rendered(bundle)
    if differing:
        raise InputError(
            bundle,
            found=f"configs that differ from the plan: {', '.join(differing)}",
            expected="configs as the plan renders them: they are rendered again at the end",
            remedy=f"{lightskip_command('render', bundle)}, and check that the weights still fit",
        )


def read_fold(
    bundle: Path, fold: int | str | None, dataset_dir: str | Path | None, *, part: str = "val_cases"
) -> tuple[list[dict[str, Any]], int]:
    """Return the cases of the training config, with ``image`` and ``label``, and the fold.

    Args:
        bundle: the bundle's folder.
        fold: the fold that validates; None: the config's.
        dataset_dir: the dataset's folder; None: the config's.
        part: ``val_cases``, those of the fold, or ``train_cases``, those of all others.

    Raises:
        InputError: the config or the dataset cannot be used, or all cases train and none validates.
    """
    if fold == ALL_CASES:
        raise no_validation_error(f"fold {ALL_CASES} of {bundle}")
    folder = None if dataset_dir is None else Path(dataset_dir).expanduser().absolute()
    given = {key: str(value) for key, value in {"fold": fold, "dataset_dir": folder}.items() if value is not None}
    files = config_files("train", bundle)
    try:
        return evaluate_key(files, bundle, given, part), int(evaluate_key(files, bundle, given, "fold"))
    except RuntimeError as error:
        # MONAI wraps errors of the config's own functions.
        raise input_error_behind(error) or error from error


def training_fold(bundle: Path, training: str | Path) -> int | None:
    """Return the fold that a training was validated on; None if that is not known.

    Raises:
        InputError: there is no such training, or it was trained on all cases.
    """
    fold = find_training(bundle, training).fold
    if isinstance(fold, str):
        raise no_validation_error(f"training {training}")
    return fold


def check_fold(cases: list[dict[str, Any]], plan: Plan) -> None:
    """Check the files of cases, as before a training; see `check_cases` for the errors."""
    check_cases(
        cases,
        labels=plan.label_values or plan.labels,
        ignored=plan.ignored_values,
        channels=len(plan.data.channels),
        spatial_dims=plan.spatial_dims,
    )


def list_regions(plan: Plan) -> dict[str, list[int]]:
    """Return the values of each region's labels in the network, by the region's name; empty without regions."""
    return {name: [plan.labels[label] for label in labels] for name, labels in (plan.regions or {}).items()}


def find_annotated(case: Mapping[str, Any], plan: Plan) -> set[int] | None:
    """Return the values of the labels that were annotated in a case of `read_fold`; None if all were."""
    return find_annotated_values(plan.labels, list_regions(plan), case.get("annotated"))


def choose_fold_weights(
    bundle: Path, checkpoint: str | Path | None, training: str | Path | None, fold: int
) -> tuple[str | Path | None, str]:
    """Return the file of weights that were not trained on a fold, and a line that names them.

    Args:
        bundle: the bundle's folder.
        checkpoint: the file, if the user names it.
        training: training that the user names, by name or path.
        fold: the fold.

    Returns:
        The file, None for the config's own weights; and the line, empty if the user named the file.

    Raises:
        InputError: both are named, or there are trainings, but none of this fold.
    """
    refuse_two_choices(checkpoint, training)
    if checkpoint is not None:
        return checkpoint, ""
    weights = choose_weights(bundle, named=training, fold=fold)
    if weights is None and list_trainings(bundle):
        raise no_weights_error(bundle, fold=fold)
    if weights is None:
        return checkpoint, ""
    return (None if weights.training is None else weights.file), weights.note


def read_reference(
    label: str,
    prediction: NDArray[Any],
    labels: Mapping[str, int],
    values: Mapping[str, int] | None,
    *,
    ignored: Sequence[int] = (),
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a label map in the network's values.

    Args:
        label: its file.
        prediction: the label map to compare it with, whose shape it must have.
        labels: the network's values by name.
        values: the file's values by name; None if they are the same.
        ignored: values in the file that do not count. They become the number of labels, which is no label's value.

    Returns:
        The label map, and its affine (voxel to world, mm).

    Raises:
        InputError: the label map has another shape.
    """
    image = LoadScand("label", ensure_channel_first=True)({"label": label})["label"]
    voxels = np.rint(np.asarray(image[0]))
    if voxels.shape != prediction.shape:
        raise InputError(
            label,
            found=f"a label map of {_product(voxels.shape)} voxels, and a prediction of {_product(prediction.shape)}",
            expected="a label map in the grid of its scan",
            remedy="correct the file, or leave it out",
        )
    kind = np.promote_types(prediction.dtype, np.min_scalar_type(len(labels))) if ignored else prediction.dtype
    reference = np.zeros(prediction.shape, dtype=kind)
    for value in ignored:
        reference[voxels == value] = len(labels)
    for name, value in (values or labels).items():
        reference[voxels == value] = labels[name]
    return reference, np.asarray(image.affine, dtype=np.float64)


def _product(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
