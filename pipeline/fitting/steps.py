"""The steps of `lightskip fit`: which commands run, in which order, and the file that each leaves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..bundle.fold_trainings import fold_name, fold_words, has_finished
from ..bundle.training_facts import BEST
from ..data.cases import ALL_CASES
from ..data.datalist import test_items, training_items
from ..data.errors import InputError
from ..data.json_file import read_json
from .options import ALL_FOLDS, NO_FOLDS, FitOptions, words_for

__all__ = ["BUNDLE", "CHECK", "COMPARED", "PAGE", "Step", "list_first_steps", "list_folds", "list_later_steps"]

DATALIST, CHECK, BUNDLE, PAGE = "datalist.json", "check", "bundle", "report.html"
COMPARED = "cross_validation"
_FINAL, _FINAL_TEST = "train on all cases", "evaluate on test cases"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: its name, unique in the run.
        kind: the verb, or ``ensemble``, which is no verb.
        words: words of the command after ``lightskip``.
        output: file that is there when the step is done.
        needs: names of the steps whose files it reads.
        trainings: names of the trainings that an ensemble has.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    output: Path
    needs: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether its output exists, and of a training whether it has finished."""
        if self.kind != "train":
            return self.output.is_file()
        return has_finished(self.output.parent)


def list_first_steps(options: FitOptions) -> list[Step]:
    """Return the steps up to the check, after which the folds are known."""
    run = options.output
    datalist, check = run / DATALIST, run / CHECK
    source = [] if options.source is None else [str(options.source)]
    return [
        # Patterns and names take several words, so the dataset comes first.
        _step("datalist", "datalist", [*source, "-o", datalist, *words_for("datalist", options)], datalist),
        _step("check", "check", [datalist, "-o", check], check / "check.json", ["datalist"]),
    ]


def list_later_steps(options: FitOptions, folds: list[int]) -> list[Step]:
    """Return the steps after the check.

    The hours are those of all trainings: each fold has an equal share. With all folds, each is measured on its own
    cases by the network that has not seen them, all label maps are in one folder, and one comparison measures them. The
    final model on all cases is a training like those of the folds; only test cases with label maps can measure it.

    Args:
        options: the options.
        folds: the folds to train; none if there is only the final model.
    """
    run, bundle = options.output, options.output / BUNDLE
    hours = f"{options.hours / (len(folds) + options.final):.6g}"
    name = options.name or _bundle_name(run / DATALIST, options)
    plan = [run / DATALIST, "--name", name, "-o", run, "--folder", BUNDLE, "--check", run / CHECK, "--hours", hours]
    steps = [_step("plan", "plan", [*plan, *words_for("plan", options)], bundle / "plan.yaml", ["check"])]
    for fold in folds:
        steps += _steps_of_fold(options, fold)
    evaluated = [step.name for step in steps if step.kind == "evaluate"]
    several = len(folds) > 1
    if folds:
        compared = bundle / "evaluation" / (COMPARED if several else fold_name(folds[0]))
        words = [bundle, f"{compared.name}={bundle / 'predictions'}", "-o", compared]
        words += ["--part", "training"] if several else ["--fold", folds[0]]
        steps.append(_step("compare", "compare", words, compared / "summary.json", evaluated))
    if options.final:
        steps += _final_steps(options)
    if several or (folds and options.final):
        ensemble = bundle / "models" / "ensemble.json"
        names = (fold_name(ALL_CASES),) if options.final else tuple(map(fold_name, folds))
        trained = tuple(step.name for step in steps if step.kind == "train")
        steps.append(Step("ensemble", "ensemble", (), ensemble, trained, names))
    needed = [step.name for step in steps if step.kind == "compare"] or [steps[-1].name]
    needed += [step.name for step in steps if step.name in (_FINAL, _FINAL_TEST)]
    steps.append(_step("report", "report", [bundle, "-o", run / PAGE], run / PAGE, list(dict.fromkeys(needed))))
    return steps


def list_folds(options: FitOptions) -> list[int]:
    """Return the folds to train, from the datalist.

    Raises:
        InputError: the datalist has no such fold.
    """
    file = options.output / DATALIST
    known = sorted({item["fold"] for item in training_items(file)})
    if options.folds == NO_FOLDS:
        return []
    wanted = known if options.folds == ALL_FOLDS else [int(options.folds)]
    if not set(wanted) <= set(known):
        raise InputError(
            "--folds",
            found=options.folds,
            expected=f"one of the folds in {file}: {', '.join(map(str, known))}; or all",
            remedy="choose one of these; --fold-count N makes another number of folds",
        )
    return wanted


def _steps_of_fold(options: FitOptions, fold: int) -> list[Step]:
    bundle = options.output / BUNDLE
    runs, results = bundle / "runs" / fold_name(fold), bundle / "evaluation" / "folds" / fold_name(fold)
    train = fold_words(bundle, fold, words_for("train", options))
    evaluate = [bundle, "--training", f"fold_{fold}", "--output_dir", results]
    evaluate += ["--predictions_dir", bundle / "predictions", *words_for("evaluate", options)]
    training = f"train fold {fold}"
    return [
        _step(training, "train", [*train], runs / BEST, ["plan"]),
        _step(f"evaluate fold {fold}", "evaluate", evaluate, results / "summary.json", [training]),
    ]


def _final_steps(options: FitOptions) -> list[Step]:
    """Return the training on all cases, and its evaluation on test cases if they have label maps."""
    bundle = options.output / BUNDLE
    train = fold_words(bundle, ALL_CASES, words_for("train", options))
    steps = [_step(_FINAL, "train", [*train], bundle / "runs" / fold_name(ALL_CASES) / BEST, ["plan"])]
    if any(item.get("label") for item in test_items(options.output / DATALIST)):
        results = bundle / "evaluation" / f"{fold_name(ALL_CASES)}_test"
        words = [bundle, "--training", fold_name(ALL_CASES), "--part", "test", "--output_dir", results]
        words += words_for("evaluate", options)
        steps.append(_step(_FINAL_TEST, "evaluate", words, results / "summary.json", [_FINAL]))
    return steps


def _step(name: str, kind: str, words: list[object], output: Path, needs: list[str] | None = None) -> Step:
    return Step(name, kind, (kind, *map(str, words)), output, tuple(needs or ()))


def _bundle_name(datalist: Path, options: FitOptions) -> str:
    """Return a name for the bundle: the dataset's, in letters, digits and _."""
    content = read_json(datalist)
    folder = options.source or Path(options.passed.get("dataset_dir") or options.output)
    named = str(content.get("name") or folder.absolute().name.partition(".")[0])
    cleaned = re.sub(r"\W+", "_", named, flags=re.ASCII).strip("_").lower()[:80]
    return cleaned if re.match("[a-z_]", cleaned) else f"dataset_{cleaned}".rstrip("_")
