"""Find results in a study's folder that the study file does not ask for any more, and say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from .expand import Run
from .result import read_result

__all__ = ["Leftover", "find_leftovers"]

# A run of the study file with the same of these is what became of it.
_SAME = ("bundle", "network", "skip", "fold", "seed")


@dataclass(frozen=True)
class Leftover:
    """A result that no longer fits.

    Attributes:
        file: its file.
        words: its name, and what differs from the study file.
    """

    file: Path
    words: str


def find_leftovers(output: Path, runs: Sequence[Run]) -> list[Leftover]:
    """Return the results in a study's folder that belong to no run of the study.

    Args:
        output: the study's folder.
        runs: the runs of the study file.
    """
    digests = {run.id.rpartition("_")[2] for run in runs}
    found = []
    for file in sorted((output / "runs").glob("*.json")):
        if file.stem.rpartition("_")[2] not in digests:
            found.append(Leftover(file, f"{file.stem}: {_explain(file, runs)}"))
    return found


def _explain(file: Path, runs: Sequence[Run]) -> str:
    try:
        settings = read_result(file)["settings"]
    except InputError as error:
        return error.found
    same = [run.settings for run in runs if all(run.settings[key] == settings.get(key) for key in _SAME)]
    if not same:
        near = [key for key in _SAME if all(run.settings[key] != settings.get(key) for run in runs)]
        return " and ".join(f"{key} {settings.get(key)}" for key in near or _SAME) + " is not in the study file"
    return "; ".join(_differences(settings, same[0]))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [f"{key} was {before.get(key)}, and is {now.get(key)} now" for key in keys]
