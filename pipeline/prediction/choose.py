"""`lightskip postprocess`: predicts a bundle's validation fold, and writes into its plan what cleaning is worth it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from ..bundle.edit_plan import with_block
from ..bundle.launch_checks import config_files, evaluated
from ..bundle.plan import Plan, load_plan, plan_file
from ..bundle.planning.choice import Choice
from ..bundle.planning.write import plan_text
from ..bundle.render import check_rendered, write_rendered
from ..bundle.trainings import choose_weights, find_training
from ..bundle.words import lightskip
from ..data.check import check_cases
from ..data.errors import InputError, input_error_behind
from ..data.reader import LoadScand
from ..evaluation.choose_cleaning import choose_cleaning
from ..evaluation.cleaning_cases import Case
from ..evaluation.cleaning_choice import KEPT, CleaningChoice, format_choice_json, format_choice_table
from ..files import write_text
from ..labelmaps.clean import clean_label_map
from .predictor import Predictor

__all__ = ["Chosen", "choose_postprocessing", "chosen_text"]

_KEY = "postprocessing"
_REPORT = "docs/postprocessing.json"


@dataclass(frozen=True)
class Chosen:
    """What was chosen for a bundle.

    Attributes:
        choice: the steps, and everything that was tried.
        fold: whose cases it was measured on.
        weights: which they were, in one line; empty where the user named the file.
        files: that were written; none in a dry run.
    """

    choice: CleaningChoice
    fold: int
    weights: str
    files: tuple[Path, ...]


def choose_postprocessing(
    bundle: str | Path,
    *,
    checkpoint: str | Path | None = None,
    training: str | Path | None = None,
    fold: int | None = None,
    dataset_dir: str | Path | None = None,
    dry_run: bool = False,
    predictor: Callable[..., Any] = Predictor,
) -> Chosen:
    """Choose how a bundle's label maps are cleaned, by what it does to those of the validation fold.

    The fold is predicted without post-processing; see `choose_cleaning` for what is tried and kept. Then
    ``postprocessing`` of ``plan.yaml`` is replaced, the configs are rendered, and ``docs/postprocessing.json`` gets all
    numbers. Label maps wait in a temporary folder, one case is in memory at a time.

    Args:
        bundle: the bundle's folder, with plan and rendered configs.
        checkpoint: file of the weights; they must not have been trained on the fold. None: what `find_weights` finds.
        training: whose weights are taken instead, by name or path; its fold is taken where none is given.
        fold: whose cases are taken; None: the config's.
        dataset_dir: where the scans lie; None: the config's.
        dry_run: whether nothing is written.
        predictor: makes what predicts a scan: `Predictor`, or what is called as it is.

    Raises:
        InputError: the bundle, its dataset or the weights cannot be used, the configs are not what the plan gives, or
            a prediction does not lie in its reference's grid.
    """
    bundle = Path(bundle).expanduser()
    plan = load_plan(bundle)
    _require_rendered(bundle)
    if training is not None and fold is None:
        fold = find_training(bundle, training).fold
    cases, fold = _validation(bundle, fold, dataset_dir)
    checkpoint, weights = _weights(bundle, checkpoint, training, fold)
    check_cases(
        cases,
        labels=plan.label_values or plan.labels,
        channels=len(plan.data.channels),
        spatial_dims=plan.spatial_dims,
    )
    ready = predictor(bundle, checkpoint=checkpoint, postprocessing=False)
    with tempfile.TemporaryDirectory() as folder:
        stored = [
            _store(ready(case["image"]).labels, case["label"], plan, Path(folder) / f"{number}.npz")
            for number, case in enumerate(tqdm(cases, desc="predicting", disable=None))
        ]
        choice = choose_cleaning(lambda: _stored_cases(stored), plan.labels, clean_label_map)
    provenance = {
        "bundle": plan.name,
        "bundle_version": plan.version,
        "checkpoint": [path.name for path in ready.parts.checkpoints],
        "checkpoint_sha256": list(ready.parts.sha256),
        "fold": fold,
        "precision": ready.parts.precision,
        "device": str(ready.parts.device),
    }
    written = () if dry_run else _write(bundle, choice, provenance)
    return Chosen(choice, fold, weights, written)


def chosen_text(chosen: Chosen) -> str:
    """Tell a choice to a person: the table, what is kept, the files."""
    steps = chosen.choice.steps
    kept = yaml.safe_dump({_KEY: steps}, sort_keys=False) if steps else "kept: nothing\n"
    measured = f"{chosen.choice.cases} cases of fold {chosen.fold}"
    lines = [
        format_choice_table(chosen.choice),
        "",
        *([chosen.weights] if chosen.weights else []),
        f"measured on {measured}",
        kept,
        *map(str, chosen.files),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _require_rendered(bundle: Path) -> None:
    differing = check_rendered(bundle)
    if differing:
        raise InputError(
            bundle,
            found=f"configs that are not what the plan gives: {', '.join(differing)}",
            expected="a plan and the configs of it, which are rendered again at the end",
            remedy=f"{lightskip('render', bundle)}, and see that the weights still fit",
        )


def _validation(bundle: Path, fold: int | None, dataset_dir: str | Path | None) -> tuple[list[dict[str, Any]], int]:
    """Give the validation cases as the training config has them, and their fold."""
    folder = None if dataset_dir is None else Path(dataset_dir).expanduser().absolute()
    given = {key: str(value) for key, value in {"fold": fold, "dataset_dir": folder}.items() if value is not None}
    files = config_files("train", bundle)
    try:
        return evaluated(files, bundle, given, "val_cases"), int(evaluated(files, bundle, given, "fold"))
    except RuntimeError as error:
        # MONAI's, around what the config's own functions raise.
        raise input_error_behind(error) or error from error


def _weights(
    bundle: Path, checkpoint: str | Path | None, training: str | Path | None, fold: int
) -> tuple[str | Path | None, str]:
    """Return the file of weights, None for those that the config names, and a line about them."""
    if checkpoint is not None and training is not None:
        raise InputError(
            f"--training {training}",
            found="--checkpoint, too",
            expected="one of them: both say which weights are meant",
            remedy="leave one out",
        )
    weights = None if checkpoint is not None else choose_weights(bundle, named=training, fold=fold)
    if weights is None:
        return checkpoint, ""
    return (None if weights.training is None else weights.file), weights.note


def _store(prediction: NDArray[Any], label: str, plan: Plan, file: Path) -> Path:
    """Put a case's label maps, in the network's values, and its affine into a file."""
    image = LoadScand("label", ensure_channel_first=True)({"label": label})["label"]
    voxels = np.rint(np.asarray(image[0]))
    if voxels.shape != prediction.shape:
        raise InputError(
            label,
            found=f"a label map of {_product(voxels.shape)} voxels, and a prediction of {_product(prediction.shape)}",
            expected="a label map in the grid of its scan",
            remedy="correct the file, or leave it out",
        )
    reference = np.zeros(voxels.shape, dtype=prediction.dtype)
    for name, value in (plan.label_values or plan.labels).items():
        reference[voxels == value] = plan.labels[name]
    affine = np.asarray(image.affine, dtype=np.float64)
    np.savez_compressed(file, prediction=prediction, reference=reference, affine=affine)
    return file


def _stored_cases(files: Sequence[Path]) -> Iterator[Case]:
    for file in files:
        with np.load(file) as case:
            yield case["prediction"], case["reference"], case["affine"]


def _product(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _write(bundle: Path, choice: CleaningChoice, provenance: Mapping[str, Any]) -> tuple[Path, ...]:
    file, report = plan_file(bundle), bundle / _REPORT
    before = file.read_bytes().decode()
    after = with_block(file, _KEY, _block(choice))
    written = [report]
    if after != before:
        write_text(file, after)
        try:
            written = [file, *write_rendered(bundle), report]
        except BaseException:
            # Plan and configs belong together.
            write_text(file, before)
            raise
    write_text(report, format_choice_json(choice, provenance))
    return tuple(written)


def _block(choice: CleaningChoice) -> str:
    """The lines of the plan: each step with its reason; none where nothing is kept."""
    reasons: dict[str, list[str]] = {}
    for trial in choice.trials:
        if trial.verdict == KEPT:
            step = f"minimum_{choice.unit}" if trial.step == "minimum" else trial.step
            reasons.setdefault(step, []).append(
                f"Dice of {trial.label} {trial.dice_before:.4f} to {trial.dice_after:.4f}, better in {trial.better} "
                f"cases, worse in {trial.worse}"
            )
    source = f"by `lightskip postprocess` on {choice.cases} cases ({_REPORT})"
    steps = {key: Choice(value, f"{'; '.join(reasons[key])}; {source}") for key, value in choice.steps.items()}
    return plan_text({_KEY: steps}, heading="") if steps else ""
