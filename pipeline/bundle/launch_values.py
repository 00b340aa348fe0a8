"""Checks of the values and files of a run, as far as its config shows them without being evaluated.

Needs neither torch nor MONAI. The run itself checks everything once more, with the values that MONAI evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES, read_cases
from ..data.datalist import require_folder
from ..data.errors import InputError
from ..data.weights import require_state, require_weights
from .evaluation_results import check_evaluation_folder
from .nested_rules import check_nested
from .plain_values import UNKNOWN, PlainValues
from .resume_length import LENGTH_KEYS, check_resume_length
from .setting_rules import RULES, check_folder, check_length, check_start, check_validation, check_value
from .start_file import find_start
from .training_facts import LAST

__all__ = ["check_files_given", "check_names_given", "check_values_given"]

# The recipes' expression for the cases of a part of the split.
_CASES = re.compile(
    r"\$(\[\] if @fold == 'all' else )?read_cases\(@datalist, @dataset_dir, fold=@fold, "
    r"part=(?:'(training|validation)'|@part)(, outside=@outside)?\)"
)
_PARTS = {"train": ("train_cases", "val_cases"), "evaluate": ("val_cases",)}
_FOLDERS = {"train": "ckpt_dir", "evaluate": "output_dir"}
_NAMES = re.compile(r"\w+_(dir|file)|datalist|checkpoint|training|from")  # settings that name a file or a folder


def check_names_given(settings: Mapping[str, str]) -> None:
    """Raise InputError if a setting names a file or folder by an empty text, which would be the working directory."""
    empty = next((key for key, text in settings.items() if not text.strip() and _NAMES.fullmatch(key)), None)
    if empty is not None:
        raise InputError(
            f"--{empty}",
            found="an empty name",
            expected="the name of a file or folder; the working directory is .",
            remedy="correct it; in a script, check that the variable behind it is set",
        )


def check_values_given(config: Mapping[str, Any], bundle: Path, where: str, verb: str) -> None:
    """Check the numbers of a training, and its length.

    Args:
        config: the config with the overrides of this run.
        bundle: the bundle's folder.
        where: the config's files, for the message.
        verb: ``train`` or ``evaluate``.

    Raises:
        InputError: a value is out of range, or values contradict each other.
    """
    plain = PlainValues(config, bundle)
    values = {key: value for key in RULES if (value := plain.find(key)) is not UNKNOWN}
    for key, value in values.items():
        check_value(key, value, where)
    check_nested(config, where)
    check_length(values, where)
    if verb == "train":
        check_validation(values, where)
    check_start(values, plain.find("start_from"), plain.find("resume"), where)


def check_files_given(verb: str, config: Mapping[str, Any], bundle: Path, where: str) -> str:
    """Check the dataset's folder, the fold, the files of its cases, the weights or the state, and the output folder.

    Args:
        verb: ``train`` or ``evaluate``.
        config: the config with the overrides of this run.
        bundle: the bundle's folder.
        where: the config's files, for the message.

    Returns:
        A line on what a resume changes; an empty text if nothing.

    Raises:
        InputError: one of these does not exist or cannot be used, or a resume changes the training's length unasked.
    """
    plain = PlainValues(config, bundle)
    checkpoint = plain.find_text("checkpoint") if verb == "evaluate" else None
    if checkpoint is not None:
        require_weights(Path(checkpoint))
    start = plain.find_text("start_from") if verb == "train" and plain.find("resume") is False else None
    if start is not None:
        find_start(start)
    dataset, datalist, fold = plain.find_text("dataset_dir"), plain.find_text("datalist"), plain.find("fold")
    if dataset is not None:
        require_folder(dataset)
    part = plain.find_text("part")
    if dataset is not None and datalist is not None and fold is not UNKNOWN:
        for key in _PARTS[verb]:
            match = _CASES.fullmatch(str(config.get(key)))
            if match is not None and (match[2] or part) and not (match[1] and fold == ALL_CASES):
                # Configs of earlier versions cannot ask for files outside.
                outside = plain.find("outside") is True
                read_cases(datalist, dataset, fold=fold, part=match[2] or part, outside=outside)  # type: ignore[arg-type]
    if (folder := plain.find_text(_FOLDERS[verb])) is not None:
        check_folder(Path(folder), _FOLDERS[verb])
        if verb == "train" and plain.find("resume") is True:
            require_state(Path(folder) / LAST)
        if verb == "evaluate" and checkpoint is not None:
            fold = None if fold is UNKNOWN else fold
            check_evaluation_folder(folder, checkpoint, datalist=datalist, fold=fold, part=part)
    if verb == "evaluate":
        return ""
    known = {key: value for key in LENGTH_KEYS if (value := plain.find(key)) is not UNKNOWN}
    return check_resume_length(known, config, where)
