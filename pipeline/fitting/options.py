"""The options of `lightskip fit`, and the steps that take them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle.start_file import find_start
from ..bundle.tracking import require_tracker
from ..data.amounts import check_hours, parse_memory
from ..data.errors import InputError

__all__ = ["ALL_FOLDS", "DEFAULT_HOURS", "OPTIONS", "FitOptions", "Option", "check_options", "words_for"]

ALL_FOLDS = "all"
DEFAULT_HOURS = 1.0


@dataclass(frozen=True)
class Option:
    """An option that is passed on to steps.

    Attributes:
        name: its name in Python.
        flag: its word for these steps.
        steps: kinds of the steps that take it, the first of which it changes.
        is_path: whether its values are paths or patterns of them.
    """

    name: str
    flag: str
    steps: tuple[str, ...]
    is_path: bool = False


OPTIONS = (
    Option("images", "--images", ("datalist",), is_path=True),
    Option("labels", "--labels", ("datalist",), is_path=True),
    Option("dataset_dir", "--dataset_dir", ("datalist",), is_path=True),
    Option("layout", "--layout", ("datalist",)),
    Option("structures", "--structures", ("datalist",)),
    Option("overlaps", "--overlaps", ("datalist",)),
    Option("splits", "--splits", ("datalist",), is_path=True),
    Option("suffixes", "--suffix", ("datalist",)),
    Option("label_suffix", "--label-suffix", ("datalist",)),
    Option("derivatives", "--derivatives", ("datalist",)),
    Option("unlabelled", "--unlabelled", ("datalist",)),
    Option("subject", "--subject", ("datalist",)),
    Option("label_names", "--label-names", ("datalist",)),
    Option("channel_names", "--channel-names", ("datalist",)),
    Option("regions", "--regions", ("datalist",)),
    Option("region_order", "--region-order", ("datalist",)),
    Option("ignore", "--ignore", ("datalist",)),
    Option("fold_count", "--folds", ("datalist",)),
    Option("seed", "--seed", ("datalist", "train")),
    Option("memory", "--memory", ("plan",)),
    Option("device", "--device", ("plan", "train", "evaluate")),
    Option("network", "--network", ("plan",)),
    Option("skip", "--skip", ("plan",)),
    Option("spacing", "--spacing", ("plan",)),
    Option("modality", "--modality", ("plan",)),
    Option("tracking", "--tracking", ("train",)),
    Option("start_from", "--from", ("train",), is_path=True),
    Option("frozen_epochs", "--frozen_epochs", ("train",)),
)


@dataclass(frozen=True)
class FitOptions:
    """What `lightskip fit` is asked for.

    Attributes:
        source: folder, table or datalist of the dataset; None with patterns.
        output: folder of the run.
        hours: time of all trainings together.
        folds: the fold to train, or `ALL_FOLDS`.
        name: name of the bundle; None takes the dataset's.
        passed: options of `OPTIONS` by name, those that the user gave.
    """

    source: Path | None
    output: Path
    hours: float = DEFAULT_HOURS
    folds: str = "0"
    name: str | None = None
    passed: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return the options as they are remembered: JSON-able, with absolute paths."""
        paths = {option.name for option in OPTIONS if option.is_path}
        given = {name: _absolute(value) if name in paths else _plain(value) for name, value in self.passed.items()}
        return {
            "source": None if self.source is None else _absolute(self.source),
            "hours": self.hours,
            "folds": self.folds,
            "name": self.name,
            **given,
        }


def check_options(options: FitOptions) -> None:
    """Refuse what no step has to run for.

    Raises:
        InputError: there is no dataset, there are no weights to start from, or the hours, the memory, the folds or the
            tracking cannot be used.
    """
    if options.source is None and "images" not in options.passed:
        raise InputError(
            "lightskip fit",
            found="no dataset",
            expected="a folder, a table or a datalist, or patterns",
            remedy="name it: lightskip fit DATASET -o RUN, or --images 'a/*.nii.gz' --labels 'b/*.nii.gz'",
        )
    check_hours(options.hours)
    if "memory" in options.passed:
        parse_memory(options.passed["memory"])
    if "start_from" in options.passed:
        find_start(options.passed["start_from"])
    elif options.passed.get("frozen_epochs"):
        raise InputError(
            "--frozen_epochs",
            found="no weights to start from",
            expected="--from WEIGHTS as well: a new encoder that does not train is of no use",
            remedy="name weights, or leave --frozen_epochs out",
        )
    if "tracking" in options.passed:
        require_tracker(options.passed["tracking"])
    if options.folds != ALL_FOLDS and not options.folds.isdecimal():
        raise InputError(
            "--folds",
            found=options.folds,
            expected="all, or the number of the one fold that validates",
            remedy="leave it out for fold 0; --fold-count N sets how many folds there are",
        )


def words_for(step: str, options: FitOptions) -> list[str]:
    """Return the words of the options that a kind of step takes."""
    words = []
    for option in OPTIONS:
        if step in option.steps and option.name in options.passed:
            words += [option.flag, *map(str, _as_list(options.passed[option.name]))]
    return words


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _plain(value: Any) -> Any:
    return [str(one) if isinstance(one, Path) else one for one in value] if isinstance(value, list | tuple) else value


def _absolute(value: Any) -> Any:
    # Not `resolve`: a pattern is no file, and links keep their names.
    found = [os.path.abspath(os.path.expanduser(one)) for one in _as_list(value)]  # noqa: PTH100, PTH111
    return found if isinstance(value, list | tuple) else found[0]
