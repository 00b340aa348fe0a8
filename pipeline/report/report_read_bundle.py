"""Read a training's folder, or a bundle: its plan, its trainings and its evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.yaml_file import parse_yaml
from .history import find_best, is_unvalidated, read_changes, read_history
from .report_content import Content, History, Score
from .report_read_files import read_json_file, settings_text, versions_text
from .report_read_scores import list_cases, read_comparison, read_evaluation
from .text import count_of

__all__ = ["read_bundle", "read_training"]

_PLAN_KEYS = ("title", "task", "modality", "spacing", "patch", "window", "batch", "skip", "network", "training")


def read_training(folder: Path) -> Content:
    """Return the content of a training's folder: its curve, its network, and evaluations inside it.

    Raises:
        InputError: ``history.csv`` is missing or broken.
    """
    history = _read_curve(folder / "history.csv", folder.absolute().name)
    run: dict[str, str] = {}
    for name in ("training.json", "model.json"):
        if (folder / name).is_file():
            known = read_json_file(folder / name)
            run |= {_title(key): settings_text(one) for key, one in known.items() if key != "weights_sha256"}
            if known.get("weights_sha256"):
                run["SHA-256 of the weights"] = settings_text(known["weights_sha256"])
    content = Content(
        kind="training",
        name=folder.absolute().name,
        facts=[_describe_history(history)],
        run=run,
        histories=[history],
        source=("history.csv", "model.json"),
    )
    return _join(content, _read_evaluations(folder))


def read_bundle(folder: Path) -> Content:
    """Return the content of a bundle: its plan, the curves of its trainings, and its evaluations.

    Without trainings and evaluations of its own it has those that were shipped with it, in ``docs/results``.

    Raises:
        InputError: a file of it is broken.
    """
    plan_file = folder / "plan.yaml"
    plan = plan_file.read_text(encoding="utf-8") if plan_file.is_file() else ""
    known = _parse_plan(plan)
    metadata_file = folder / "configs" / "metadata.json"
    metadata = read_json_file(metadata_file) if metadata_file.is_file() else {}
    shipped = folder / "docs" / "results"
    files = sorted((folder / "runs").glob("*/history.csv")) or sorted(shipped.glob("history.csv"))
    histories = [_read_curve(file, "shipped weights" if file.parent == shipped else file.parent.name) for file in files]
    run = {
        "Task": metadata.get("task"),
        "Version": metadata.get("version"),
        "Data": metadata.get("data_source"),
        **{_title(key): settings_text(known[key]) for key in _PLAN_KEYS if known.get(key) is not None},
        "Versions": versions_text(
            {key.removesuffix("_version"): metadata[key] for key in metadata if key.endswith("_version")}
        ),
    }
    content = Content(
        kind="bundle",
        name=str(known.get("name") or folder.absolute().name),
        facts=[count_of(len(histories), "training"), *([str(known["title"])] if known.get("title") else [])],
        run={title: str(text) for title, text in run.items() if text},
        labels=known.get("labels") or {},
        regions=known.get("regions") or {},
        histories=histories,
        plan=plan,
        notes=[f"{one.name} was {one.unvalidated}." for one in histories if one.unvalidated]
        if histories
        else ["This bundle has no training yet: run lightskip train."],
        source=("plan.yaml",),
    )
    evaluations = _read_evaluations(folder)
    if not evaluations and (shipped / "cases.csv").is_file():
        summary = read_json_file(shipped / "summary.json") if (shipped / "summary.json").is_file() else {}
        one = read_evaluation(shipped, summary)
        evaluations = [_rename(one, "shipped weights")]
    return _join(content, evaluations)


def _read_evaluations(folder: Path) -> list[Content]:
    """Return the evaluations and comparisons in the folder ``evaluation``, or one folder below it."""
    found = []
    place = folder / "evaluation"
    for file in [*place.glob("cases.csv"), *sorted(place.glob("*/cases.csv"))]:
        summary_file = file.with_name("summary.json")
        summary: dict[str, Any] = read_json_file(summary_file) if summary_file.is_file() else {}
        if summary.get("kind") == "comparison":
            found.append(read_comparison(file.parent, summary))
        else:
            found.append(_rename(read_evaluation(file.parent, summary), file.parent.name))
    return found


def _join(content: Content, evaluations: list[Content]) -> Content:
    """Return the content with the numbers of evaluations; a case of several keeps the files of the first."""
    if not evaluations:
        return content
    scores = [score for one in evaluations for score in one.scores]
    cases = {case.name: case for one in reversed(evaluations) for case in one.cases}
    labels = dict(content.labels) or {name: value for one in evaluations for name, value in one.labels.items()}
    ordered = [cases[name] for name in dict.fromkeys(case.name for one in evaluations for case in one.cases)]
    statistics = {name: entry for one in evaluations for name, entry in one.summary.get("statistics", {}).items()}
    run = dict(content.run)
    for one in evaluations:
        for title, text in one.run.items():
            run.setdefault(f"Evaluation: {title}", text)
    return replace(
        content,
        facts=[*content.facts, count_of(len(ordered), "evaluated case")],
        run=run,
        labels={name: value for name, value in labels.items() if name != "background"},
        sets=list(dict.fromkeys(name for one in evaluations for name in one.sets)),
        metrics=max((one.metrics for one in evaluations), key=len),
        scores=scores,
        cases=ordered or list_cases(scores),
        summary=evaluations[0].summary if len(evaluations) == 1 else {"statistics": statistics},
        notes=[*content.notes, *(f"{one.sets[0]}: {note}" for one in evaluations for note in one.notes)],
    )


def _rename(content: Content, name: str) -> Content:
    """Return an evaluation with another name of its one set."""
    scores = [Score(name, one.case, one.label, one.outcome, one.values, one.sizes, one.unit) for one in content.scores]
    [statistics] = content.summary["statistics"].values()
    return replace(content, sets=[name], scores=scores, summary={"statistics": {name: statistics}})


def _read_curve(file: Path, name: str) -> History:
    columns = read_history(file)
    text = ""
    if is_unvalidated(columns):
        summary = file.with_name("training.json")
        cases = read_json_file(summary).get("trained_cases") if summary.is_file() else None
        text = f"trained on all {f'{cases} ' if isinstance(cases, int) else ''}cases, not validated"
    return History(name, columns, read_changes(file), text)


def _describe_history(history: History) -> str:
    columns = history.columns
    text = f"{count_of(len(columns['epoch']), 'epoch')} in {columns['elapsed_seconds'].max() / 60:.3g} min"
    if (columns["val_mean_dice"] == columns["val_mean_dice"]).any():
        best = find_best(columns)
        text += f", best mean Dice {columns['val_mean_dice'][best]:.3f} at epoch {columns['epoch'][best]:.0f}"
    text += f", {history.unvalidated}" * bool(history.unvalidated)
    return text + "".join(f", {way} from epoch {epoch} on" for epoch, way in history.changes)


def _parse_plan(text: str) -> dict[str, Any]:
    """Return the keys of a plan, for reading only: a broken plan has none, and its text is still shown."""
    try:
        content = parse_yaml(text)
    except ValueError:
        return {}
    content = content if isinstance(content, dict) else {}
    labels = content.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, int) for value in labels.values()):
        labels = {}
    regions = content.get("regions")
    unions = (
        {str(name): own for name, own in regions.items() if isinstance(own, list)} if isinstance(regions, dict) else {}
    )
    return content | {
        "labels": {str(name): value for name, value in labels.items() if value},
        "regions": {name: [value for one, value in labels.items() if one in own] for name, own in unions.items()},
    }


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()
