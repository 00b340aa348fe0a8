"""``lightskip train BUNDLE --folds all``: train one fold after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES, list_folds
from ..data.errors import InputError
from ..data.json_file import load_json
from ..files import write_text
from ..process import run_verb
from .launch import prepare
from .launch_checks import config_files, evaluate_key
from .training_facts import BEST, LAST, read_summary, read_training
from .words import as_text, as_words, lightskip_command, parse_value, read_words

__all__ = ["fold_name", "fold_words", "has_finished", "names_folds", "train_folds"]

FOLDS = "folds"
_RECORD = "folds.json"
# These may differ between two starts: they do not change what is trained, or the check of a resume asks for them.
_FREE = {"resume", "longer", "epochs", "minutes", "processes", "gpus", "device", "num_workers", "dry_run"}
_FREE |= {"dataset_dir"}

Runner = Callable[..., int]


def names_folds(words: Sequence[str]) -> bool:
    """Return whether words of ``lightskip train`` name several folds."""
    return any(word == f"--{FOLDS}" or word.startswith(f"--{FOLDS}=") for word in words)


def fold_name(fold: int | str) -> str:
    """Return the name of the training of a fold, as the recipe's ``ckpt_dir`` has it."""
    return f"fold_{fold}"


def fold_words(bundle: Path, fold: int | str, words: Sequence[str]) -> list[str]:
    """Return the words after ``lightskip train`` for a fold; an interrupted training is resumed.

    Args:
        bundle: the bundle's folder.
        fold: number of the fold, or `ALL_CASES`.
        words: settings.
    """
    resume = ["--resume"] if (bundle / "runs" / fold_name(fold) / LAST).is_file() else []
    return [str(bundle), "--fold", str(fold), *words, *resume]


def has_finished(folder: Path) -> bool:
    """Return whether a training came to its end, and its weights are there."""
    return (folder / BEST).is_file() and read_summary(folder).get("finished") is True


def train_folds(bundle: Path, words: Sequence[str], *, say: Callable[[str], None], runner: Runner = run_verb) -> int:
    """Train the named folds, each in a process of its own. Finished ones are left as they are.

    All settings are checked before the first training starts. A fold that fails does not end the others. The same
    command continues: it resumes what was interrupted or has failed.

    Args:
        bundle: the bundle's folder.
        words: the words after the bundle; ``--folds all`` or ``--folds 0,2`` among them.
        say: shows a line of text.
        runner: runs a verb; see `run_verb`.

    Returns:
        The exit status: 0, or that of the first fold that failed.

    Raises:
        InputError: there is no such fold, a setting cannot be used, or a fold was trained with other settings.
        KeyboardInterrupt: interrupted.
    """
    settings = read_words(words)
    named = settings.pop(FOLDS)
    _refuse_others(settings, named)
    settings.pop("resume", None)
    folds = _choose_folds(bundle, settings, named)
    is_dry = bool(parse_value(settings.get("dry_run", "False")))
    _check_settings(bundle, folds, settings)
    left: dict[int, list[str]] = {}
    for fold in folds:
        given = fold_words(bundle, fold, as_words(settings))
        launch = prepare("train", bundle, given[1:])
        if is_dry:
            say(launch.command)
        elif launch.note or not has_finished(bundle / "runs" / fold_name(fold)):
            left[fold] = given
    if is_dry:
        return 0
    failed = {}
    for number, fold in enumerate(folds, 1):
        place = f"[{number}/{len(folds)}]"
        if fold not in left:
            say(f"{place} finished: {read_training(bundle / 'runs' / fold_name(fold)).facts}")
            continue
        _record(bundle, fold, settings)
        say(f"{place} {as_text(['lightskip', 'train', *left[fold]])}")
        if status := runner(["train", *left[fold]]):
            failed[fold] = status
            say(f"{place} fold {fold} failed with exit status {status}")
    say(_outcome(bundle, folds, settings, failed))
    return next(iter(failed.values()), 0)


def _refuse_others(settings: Mapping[str, str], named: str) -> None:
    for key in ("fold", "ckpt_dir"):
        if key in settings:
            raise InputError(
                f"--{FOLDS} {named}",
                found=f"--{key} {settings[key]} as well",
                expected="one of the two: every fold has a folder of its own, BUNDLE/runs/fold_N",
                remedy="leave one out",
            )


def _choose_folds(bundle: Path, settings: Mapping[str, str], named: str) -> list[int]:
    datalist = _datalist(bundle, settings)
    known = list_folds(datalist)
    if named == ALL_CASES:
        return known
    texts = [text.strip() for text in named.split(",")]
    wrong = [text for text in texts if not text.isdecimal() or int(text) not in known]
    repeated = [text for number, text in enumerate(texts) if text in texts[:number]]
    if wrong or repeated:
        raise InputError(
            f"--{FOLDS} {named}",
            found=f"{repeated[0]} twice" if not wrong else f"{wrong[0] or 'nothing'}, which is no fold of {datalist}",
            expected=f"all, or some of the folds {', '.join(map(str, known))}, each once, with commas between them",
            remedy=f"such as --{FOLDS} {','.join(map(str, known[:2]))}",
        )
    return [int(text) for text in texts]


def _check_settings(bundle: Path, folds: Sequence[int], settings: Mapping[str, str]) -> None:
    """Refuse settings other than those that a fold was begun with here: it would be resumed, or taken as finished."""
    now = _kept(settings)
    for fold, before in _read_record(bundle).items():
        if fold not in map(fold_name, folds) or before == now or not (bundle / "runs" / fold / LAST).is_file():
            continue
        raise InputError(
            bundle / "runs" / fold,
            found=f"a training with {as_text(as_words(before)) or 'no settings'}",
            expected=f"the settings of this command: {as_text(as_words(now)) or 'none'}",
            remedy="repeat the settings of the first start, or move this folder away to train the fold anew",
        )


def _kept(settings: Mapping[str, str]) -> dict[str, str]:
    return {key: settings[key] for key in sorted(settings) if key not in _FREE}


def _read_record(bundle: Path) -> dict[str, dict[str, str]]:
    try:
        content: Any = load_json(bundle / "runs" / _RECORD)
    except (OSError, ValueError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: one for name, one in entries if isinstance(one, dict)}


def _record(bundle: Path, fold: int, settings: Mapping[str, str]) -> None:
    content = _read_record(bundle) | {fold_name(fold): _kept(settings)}
    (bundle / "runs").mkdir(exist_ok=True)
    write_text(bundle / "runs" / _RECORD, json.dumps(content, indent=1) + "\n")


def _outcome(bundle: Path, folds: Sequence[int], settings: Mapping[str, str], failed: Mapping[int, int]) -> str:
    """Return what became of each fold, and the next commands."""
    lines = [""]
    for fold in folds:
        folder = bundle / "runs" / fold_name(fold)
        state = f"failed with exit status {failed[fold]}" if fold in failed else read_training(folder).facts
        lines.append(f"{fold_name(fold)}: {state}")
    if failed:
        lines.append("the same command continues with the folds that failed")
        return "\n".join(lines)
    given = {"dataset_dir": settings["dataset_dir"]} if "dataset_dir" in settings else {}
    predict = as_text(["lightskip", "predict", str(bundle), "SCANS", "-o", "OUT", "--folds", *map(str, folds)])
    predictions = bundle / "predictions"
    lines.append(f"{'next:':10} {predict}    # the folds' networks together")
    for fold in folds:
        words = {"training": fold_name(fold), "predictions_dir": str(predictions), **given}
        lines.append(f"{'measure:':10} {lightskip_command('evaluate', bundle, words)}")
    compared = ["compare", str(bundle), f"cross_validation={predictions}", "--part", "training"]
    compared += [*as_words(given), "-o", str(bundle / "evaluation" / "cross_validation")]
    if folds == list_folds(_datalist(bundle, settings)):
        lines.append(f"{'all cases:':10} {as_text(['lightskip', *compared])}")
    return "\n".join(lines)


def _datalist(bundle: Path, settings: Mapping[str, str]) -> Path:
    given = {key: text for key, text in settings.items() if key in ("dataset_dir", "datalist", "bundle_root")}
    return Path(evaluate_key(config_files("train", bundle), bundle, given, "datalist"))
