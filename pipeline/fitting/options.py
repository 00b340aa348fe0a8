"""The options of `lightskip fit`, and the steps that take them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle.least_memory import require_process
from ..bundle.start_file import find_start
from ..bundle.tracking import require_tracker
from ..data.amounts import check_hours, parse_memory
from ..data.cases import ALL_CASES
from ..data.errors import InputError

__all__ = [
    "ALL_FOLDS",
    "DEFAULT_HOURS",
    "NO_FOLDS",
    "OPTIONS",
    "FitOptions",
    "Option",
    "check_options",
    "choose_folds",
    "words_for",
]

ALL_FOLDS = "all"
NO_FOLDS = ""  # only the final model on all cases
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
    Option("outside", "--outside", ("plan",)),
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
        folds: the fold to train, `ALL_FOLDS`, or `NO_FOLDS`.
        name: name of the bundle; None takes the dataset's.
        passed: options of `OPTIONS` by name, those that the user gave.
        final: whether to train a model on all cases, behind the folds.
    """

    source: Path | None
    output: Path
    hours: float = DEFAULT_HOURS
    folds: str = "0"
    name: str | None = None
    passed: Mapping[str, Any] = field(default_factory=dict)
    final: bool = False

    def record(self) -> dict[str, Any]:
        """Return the options as they are remembered: JSON-able, with absolute paths."""
        paths = {option.name for option in OPTIONS if option.is_path}
        given = {name: _absolute(value) if name in paths else _plain(value) for name, value in self.passed.items()}
        return {
            "source": None if self.source is None else _absolute(self.source),
            "hours": self.hours,
            "folds": self.folds,
            "name": self.name,
            **({"final": True} if self.final else {}),
            **given,
        }


def choose_folds(folds: str | None, fold: str | None) -> dict[str, Any]:
    """Return the arguments ``folds`` and ``final`` of `FitOptions` for ``--folds`` and ``--fold``.

    ``--fold all`` trains on all cases: alone, or behind the folds that ``--folds`` names. ``--fold N`` is
    ``--folds N``.

    Raises:
        InputError: both name folds.
    """
    if fold is None:
        return {} if folds is None else {"folds": folds}
    if fold == ALL_CASES:
        return {"folds": NO_FOLDS if folds is None else folds, "final": True}
    if folds is not None:
        raise InputError(
            f"--fold {fold}",
            found=f"--folds {folds} as well",
            expected=f"one of the two, or --fold {ALL_CASES}, which trains on all cases in the end",
            remedy="leave one out",
        )
    return {"folds": fold}


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
        # Before the dataset is read and checked.
        require_process(parse_memory(options.passed["memory"]), options.passed.get("device"))
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
    is_known = options.folds == ALL_FOLDS or options.folds.isdecimal() or (options.folds == NO_FOLDS and options.final)
    if not is_known:
        raise InputError(
            "--folds",
            found=options.folds,
            expected="all, or the number of the one fold that validates",
            remedy="leave it out for fold 0; --fold-count N sets how many there are, --fold all trains on all cases",
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
