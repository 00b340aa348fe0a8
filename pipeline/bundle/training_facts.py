"""The facts of a training, read from its folder: fold, skip, epochs, best Dice, whether it finished."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES
from ..data.json_file import load_json

__all__ = ["BEST", "LAST", "Training", "describe_all_cases", "read_summary", "read_training"]

# The files of a training: see pipeline.training.ResumableCheckpoint, write_summary and Progress.
BEST, LAST = "model.pt", "last.pt"
_HISTORY, _SUMMARY = "history.csv", "training.json"


@dataclass(frozen=True)
class Training:
    """The facts of a training; None if its folder does not show them.

    Attributes:
        folder: folder of its files.
        fold: fold that it was validated on; `ALL_CASES` if it was trained on all cases, and not validated.
        skip: its skip connections, as the config names them.
        epochs: epochs done.
        planned: epochs planned; also None while a time limit decides.
        best_dice: Dice of its best validation, whose weights are kept.
        finished: whether it finished.
        ended: day of its last epoch.
        cases: number of cases, of a training on all cases.
        started_from: bundle or file of the weights that it started from; None for new weights.
    """

    folder: Path
    fold: int | str | None
    skip: str | None
    epochs: int | None
    planned: int | None
    best_dice: float | None
    finished: bool | None
    ended: date
    cases: int | None = None
    started_from: str | None = None

    @property
    def name(self) -> str:
        """Name of the training: its folder's."""
        return self.folder.absolute().name

    @property
    def weights(self) -> Path:
        """The file of its best weights."""
        return self.folder / BEST

    @property
    def facts(self) -> str:
        """The known facts in one line."""
        known = [
            None if self.fold is None else self.validation,
            None if self.best_dice is None else f"best Dice {self.best_dice:.4f}",
            self._length(),
            None if self.skip is None else f"skip {self.skip}",
            None if self.started_from is None else f"started from {self.started_from}",
            self.ended.isoformat(),
        ]
        return ", ".join(one for one in known if one is not None)

    @property
    def validation(self) -> str:
        """Its fold, or that it was trained on all cases."""
        if self.fold != ALL_CASES:
            return f"fold {self.fold}"
        return _all_cases_text(self.cases)

    def _length(self) -> str | None:
        if self.epochs is None:
            return None
        if self.planned is None:
            return f"{self.epochs} epochs{', not finished' if self.finished is False else ''}"
        ending = {True: "" if self.epochs >= self.planned else ", ended early", False: ", not finished", None: ""}
        return f"{self.epochs} of {self.planned} epochs{ending[self.finished]}"


def read_training(folder: Path) -> Training:
    """Return the facts of a training from its summary, or from the files of earlier versions."""
    known = read_summary(folder) or {**_checkpoint(folder), **_history(folder)}
    written = [file.stat().st_mtime for name in (LAST, BEST) if (file := folder / name).is_file()]
    by_name = re.fullmatch(r"fold_([0-9]+)", folder.name)
    cases = known.get("trained_cases")
    fold = known.get("fold", int(by_name[1]) if by_name else None)
    skip = known.get("skip")
    return Training(
        folder,
        fold if isinstance(fold, int) or fold == ALL_CASES else None,
        skip if skip is None or isinstance(skip, str) else json.dumps(skip),
        known.get("epochs"),
        known.get("planned"),
        known.get("best_dice"),
        known.get("finished"),
        date.fromtimestamp(max(written, default=0)),
        cases if isinstance(cases, int) else None,
        known.get("started_from"),
    )


def describe_all_cases(checkpoint: Path) -> str:
    """Return "trained on all N cases, not validated" if that is so of a file of weights; else an empty text."""
    known = read_summary(checkpoint.expanduser().parent)
    if checkpoint.name != BEST or known.get("fold") != ALL_CASES:
        return ""
    return _all_cases_text(known.get("trained_cases"))


def _all_cases_text(cases: Any) -> str:
    return f"trained on all {f'{cases} ' if isinstance(cases, int) else ''}cases, not validated"


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the content of ``training.json`` in a training's folder; an empty dict if there is none."""
    try:
        content = load_json(folder / _SUMMARY)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checkpoint(folder: Path) -> dict[str, Any]:
    """Return fold and skip from the last state of a training by an earlier version; imports PyTorch."""
    if not (folder / LAST).is_file():
        return {}
    import torch  # noqa: PLC0415

    try:
        identity = torch.load(folder / LAST, map_location="cpu", weights_only=True, mmap=True)["identity"]
        return {key: identity[key] for key in ("fold", "skip") if key in identity}
    except Exception:  # a damaged file is reported by the code that loads it
        return {}


def _history(folder: Path) -> dict[str, Any]:
    """Return epochs and best Dice from the history of a training by an earlier version."""
    try:
        with (folder / _HISTORY).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        dice = [float(row["val_mean_dice"]) for row in rows if row.get("val_mean_dice")]
        return {"epochs": int(rows[-1]["epoch"]), **({"best_dice": max(dice)} if dice else {})}
    except (OSError, ValueError, KeyError, IndexError):
        return {}
