"""What a training's folder shows of it: fold, skip, epochs, best Dice, whether it came to its end."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["BEST", "LAST", "Training", "read_summary", "read_training"]

# What a training leaves: see pipeline.training.ResumableCheckpoint, write_summary and Progress.
BEST, LAST = "model.pt", "last.pt"
_HISTORY, _SUMMARY = "history.csv", "training.json"


@dataclass(frozen=True)
class Training:
    """A training, as its folder shows it; None where the folder does not show it.

    Attributes:
        folder: of its files.
        fold: whose cases it was validated on.
        skip: its skip connections, as the config names them.
        epochs: done.
        planned: epochs that it was to have.
        best_dice: of its best validation, whose weights are kept.
        finished: whether it came to its end.
        ended: day of its last epoch.
    """

    folder: Path
    fold: int | None
    skip: str | None
    epochs: int | None
    planned: int | None
    best_dice: float | None
    finished: bool | None
    ended: date

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
        """What is known of it, in one line."""
        known = [
            None if self.fold is None else f"fold {self.fold}",
            None if self.best_dice is None else f"best Dice {self.best_dice:.4f}",
            self._length(),
            None if self.skip is None else f"skip {self.skip}",
            self.ended.isoformat(),
        ]
        return ", ".join(one for one in known if one is not None)

    def _length(self) -> str | None:
        if self.epochs is None:
            return None
        if self.planned is None:
            return f"{self.epochs} epochs"
        ending = {True: "" if self.epochs >= self.planned else ", ended early", False: ", not finished", None: ""}
        return f"{self.epochs} of {self.planned} epochs{ending[self.finished]}"


def read_training(folder: Path) -> Training:
    """Read what a training's folder shows of it: its summary, or what earlier versions left."""
    known = read_summary(folder) or {**_checkpoint(folder), **_history(folder)}
    written = [file.stat().st_mtime for name in (LAST, BEST) if (file := folder / name).is_file()]
    by_name = re.fullmatch(r"fold_([0-9]+)", folder.name)
    fold = known.get("fold", int(by_name[1]) if by_name else None)
    skip = known.get("skip")
    return Training(
        folder,
        fold if isinstance(fold, int) else None,
        skip if skip is None or isinstance(skip, str) else json.dumps(skip),
        known.get("epochs"),
        known.get("planned"),
        known.get("best_dice"),
        known.get("finished"),
        date.fromtimestamp(max(written, default=0)),
    )


def read_summary(folder: Path) -> dict[str, Any]:
    """Return what ``training.json`` of a training's folder holds; nothing where there is none."""
    try:
        content = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _checkpoint(folder: Path) -> dict[str, Any]:
    """Return fold and skip of a training of an earlier version, from its last state; imports PyTorch."""
    if not (folder / LAST).is_file():
        return {}
    import torch  # noqa: PLC0415

    try:
        identity = torch.load(folder / LAST, map_location="cpu", weights_only=True, mmap=True)["identity"]
        return {key: identity[key] for key in ("fold", "skip") if key in identity}
    except Exception:  # a file of any kind; what it is matters to who loads it
        return {}


def _history(folder: Path) -> dict[str, Any]:
    """Return epochs and best Dice of a training of an earlier version, from its curve."""
    try:
        with (folder / _HISTORY).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        dice = [float(row["val_mean_dice"]) for row in rows if row.get("val_mean_dice")]
        return {"epochs": int(rows[-1]["epoch"]), **({"best_dice": max(dice)} if dice else {})}
    except (OSError, ValueError, KeyError, IndexError):
        return {}
