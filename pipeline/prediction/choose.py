"""The work of `lightskip postprocess`: choose a bundle's post-processing on its validation fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from tqdm import tqdm

from ..bundle.edit_plan import replace_block
from ..bundle.plan import Plan, load_plan, plan_file
from ..bundle.planning.choice import Choice
from ..bundle.planning.write import plan_text
from ..bundle.render import write_rendered
from ..evaluation.choose_cleaning import choose_cleaning
from ..evaluation.cleaning_cases import Case
from ..evaluation.cleaning_choice import KEPT, CleaningChoice, format_choice_json, format_choice_table
from ..files import write_text
from ..labelmaps.clean import clean_label_map
from ..leftovers import temporary_folder
from .fold_cases import (
    check_fold,
    choose_fold_weights,
    find_annotated,
    read_fold,
    read_reference,
    require_rendered,
    training_fold,
)
from .predictor import Predictor

__all__ = ["PostprocessingChoice", "choice_text", "choose_postprocessing"]

_KEY = "postprocessing"
_REPORT = "docs/postprocessing.json"


@dataclass(frozen=True)
class PostprocessingChoice:
    """The post-processing that was chosen for a bundle.

    Attributes:
        choice: the chosen steps, and all trials.
        fold: fold whose cases were predicted.
        weights: line that names the weights; empty if the user named their file.
        files: the files that were written; none in a dry run.
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
) -> PostprocessingChoice:
    """Choose a bundle's post-processing by its effect on the label maps of the validation fold.

    Labels are cleaned, also those of a network with regions. Ignored voxels do not count, nor do labels in cases in
    which they were not annotated.

    The fold is predicted without post-processing; `choose_cleaning` documents which steps are tried and kept. Then
    ``postprocessing`` of ``plan.yaml`` is replaced, the configs are rendered, and all numbers are written to
    ``docs/postprocessing.json``. Label maps are kept in a temporary folder, and one case is in memory at a time.

    Args:
        bundle: the bundle's folder, with plan and rendered configs.
        checkpoint: file of the weights, which must not have been trained on the fold. None: see `find_weights`.
        training: training whose weights are used instead, by name or path; its fold is the default fold.
        fold: fold whose cases are predicted; None: the config's.
        dataset_dir: the dataset's folder; None: the config's.
        dry_run: whether to write nothing.
        predictor: `Predictor`, or a callable with the same arguments.

    Raises:
        InputError: the bundle, its dataset or the weights cannot be used, the configs differ from the plan, or a
            prediction and its reference have different grids.
    """
    bundle = Path(bundle).expanduser()
    plan = load_plan(bundle)
    require_rendered(bundle)
    if training is not None and fold is None:
        fold = training_fold(bundle, training)
    cases, fold = read_fold(bundle, fold, dataset_dir)
    checkpoint, weights = choose_fold_weights(bundle, checkpoint, training, fold)
    check_fold(cases, plan)
    ready = predictor(bundle, checkpoint=checkpoint, postprocessing=False)
    with temporary_folder() as folder:
        stored = [
            (_store(ready(case["image"]).labels, case["label"], plan, folder / f"{number}.npz"), case)
            for number, case in enumerate(tqdm(cases, desc="predicting", disable=None))
        ]
        choice = choose_cleaning(
            lambda: _read_cases(stored, plan), plan.labels, clean_label_map, ignored=[len(plan.labels)]
        )
    provenance = {
        "bundle": plan.name,
        "bundle_version": plan.version,
        "checkpoint": [path.name for path in ready.bundle.checkpoints],
        "checkpoint_sha256": list(ready.bundle.sha256),
        "fold": fold,
        "precision": ready.bundle.precision,
        "device": str(ready.bundle.device),
    }
    written = () if dry_run else _write(bundle, choice, provenance)
    return PostprocessingChoice(choice, fold, weights, written)


def choice_text(chosen: PostprocessingChoice) -> str:
    """Return a choice as text for people: the table, the steps that are kept, the files."""
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


def _store(prediction: NDArray[Any], label: str, plan: Plan, file: Path) -> Path:
    """Write a case's two label maps, in the network's values, and its affine to a file."""
    reference, affine = read_reference(label, prediction, plan.labels, plan.label_values, ignored=plan.ignored_values)
    np.savez_compressed(file, prediction=prediction, reference=reference, affine=affine)
    return file


def _read_cases(stored: Sequence[tuple[Path, Mapping[str, Any]]], plan: Plan) -> Iterator[Case]:
    for file, item in stored:
        annotated = find_annotated(item, plan)
        with np.load(file) as case:
            yield Case(case["prediction"], case["reference"], case["affine"], annotated)


def _write(bundle: Path, choice: CleaningChoice, provenance: Mapping[str, Any]) -> tuple[Path, ...]:
    file, report = plan_file(bundle), bundle / _REPORT
    old = file.read_bytes().decode()
    new = replace_block(file, _KEY, _plan_block(choice))
    written = [report]
    if new != old:
        write_text(file, new)
        try:
            written = [file, *write_rendered(bundle), report]
        except BaseException:
            # Plan and configs must match.
            write_text(file, old)
            raise
    write_text(report, format_choice_json(choice, provenance))
    return tuple(written)


def _plan_block(choice: CleaningChoice) -> str:
    """Return the lines for the plan, each step with its reason; an empty text if no step is kept."""
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
