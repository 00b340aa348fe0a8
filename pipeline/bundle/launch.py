"""``lightskip train`` and ``lightskip evaluate``: the short way to MONAI's runner, checked before anything starts."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..data.errors import InputError
from .launch_checks import (
    OWN,
    RUN_IDS,
    check_given,
    choose_checkpoint,
    config_files,
    evaluated,
    read,
    stale,
)
from .overrides import merge, normalised
from .trainings import BEST, list_trainings
from .words import as_text, as_words, lightskip, near, read_words, value_of, values_of

__all__ = ["Launch", "prepare"]

_LAST, _HISTORY = "last.pt", "history.csv"


@dataclass(frozen=True)
class Launch:
    """A checked run of a bundle by MONAI's runner.

    Attributes:
        verb: ``train`` or ``evaluate``.
        bundle: the bundle's folder, as the user gave it.
        files: the config's files, later ones over earlier ones.
        settings: the overrides, ids with the text of their values.
        processes: on this machine; several are started as ``torchrun`` does.
        dry_run: the user wants to see the command only.
        note: a line that names the weights that are evaluated, where the user named no file.
        warning: what may not be as the user thinks.
    """

    verb: str
    bundle: Path
    files: tuple[Path, ...]
    settings: dict[str, str]
    processes: int = 1
    dry_run: bool = False
    note: str = ""
    warning: str = ""

    @property
    def command(self) -> str:
        """The command of MONAI's runner that this run stands for, as a person types it in a POSIX shell."""
        return as_text(["python", *(["-m", "torch.distributed.run"] if self.processes > 1 else []), *self._arguments])

    def run(self) -> int:
        """Run it in this process, or in several that this one waits for; what they print and raise passes through.

        Returns:
            The exit status: 0, or that of the first of several processes that failed.
        """
        # As `python -m` has it: a module that a config imports may lie in the working directory.
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        if self.processes > 1:
            return _run_processes(self._arguments)
        from monai.bundle import create_workflow  # noqa: PLC0415

        with warnings.catch_warnings():
            # That a config is code, as every bundle's is.
            warnings.filterwarnings("ignore", message="parsing config_file")
            workflow = create_workflow(
                config_file=[str(file) for file in self.files], run_id=RUN_IDS[self.verb], **values_of(self.settings)
            )
        workflow.run()
        workflow.finalize()
        return 0

    def outcome(self) -> str:
        """Return what a training left, and the next command; nothing after an evaluation, which reports it itself."""
        if self.verb != "train":
            return ""
        best = _best_dice(self._folder / _HISTORY)
        left = (("best weights", BEST, best), ("last state", _LAST, ""), ("curve", _HISTORY, ""))
        lines = [
            f"{title + ':':13} {near(self._folder / name)}{more}"
            for title, name, more in left
            if (self._folder / name).is_file()
        ]
        lines.append(f"{'next:':13} {lightskip('evaluate', self.bundle, self._read_by_evaluation())}")
        return "".join(f"{line}\n" for line in lines)

    def resume_hint(self) -> str:
        """Return the command that resumes an interrupted training; nothing where it left no state."""
        # Without these it was interrupted before it began.
        begun = not {"monai.bundle", "torch.distributed.run"}.isdisjoint(sys.modules)
        if self.verb != "train" or not begun or not (self._folder / _LAST).is_file():
            return ""
        several = {"processes": str(self.processes)} if self.processes > 1 else {}
        return f"go on with: {lightskip('train', self.bundle, {**self.settings, 'resume': 'True', **several})}\n"

    @property
    def _arguments(self) -> list[str]:
        """The words after ``python``, or after ``torchrun`` where there are several processes."""
        names = [str(file) for file in self.files]
        files = names[0] if len(names) == 1 else "[" + ",".join(map(repr, names)) + "]"
        ranks = ["--standalone", "--nproc_per_node", str(self.processes)] if self.processes > 1 else []
        run = ["-m", "monai.bundle", "run", RUN_IDS[self.verb], "--config_file", files]
        return [*ranks, *run, *as_words(self.settings)]

    @cached_property
    def _folder(self) -> Path:
        return Path(evaluated(self.files, self.bundle, self.settings, "ckpt_dir"))

    def _read_by_evaluation(self) -> dict[str, str]:
        """The settings of this training that its evaluation has to be given too: those that reach what it runs.

        Not those that change the network, which the weights say themselves.
        """
        config = merge(read(file) for file in config_files("evaluate", self.bundle))
        reached, left = set(), ["ckpt_dir", "initialize", RUN_IDS["evaluate"]]
        while left:
            key = left.pop()
            if key not in reached:
                reached.add(key)
                left += re.findall(r"[@%](\w+)", json.dumps(config.get(key)))
        given = {
            key: text
            for key, text in self.settings.items()
            if normalised(key).partition("::")[0] in reached and not self._is_of_the_weights(normalised(key))
        }
        # Where there are several trainings, it is named.
        folders = [one.folder for one in list_trainings(self.bundle)]
        if (
            "ckpt_dir" not in given
            and len(folders) > 1
            and self._folder.parent.resolve() == folders[0].parent.resolve()
        ):
            given["training"] = self._folder.name
        return given

    def _is_of_the_weights(self, key: str) -> bool:
        """Whether a setting is one that weights carry: not where the network is another class, which has no spec."""
        replaced = {"network_def", "network_def::_target_"} & {normalised(other) for other in self.settings}
        return not replaced and (key == "skip" or key.startswith(("skip::", "network_def::")))


def prepare(verb: str, bundle: Path, words: Sequence[str]) -> Launch:
    """Check a run of a bundle, and make it ready to start.

    A mistyped key is reported before PyTorch is imported.

    Args:
        verb: ``train`` or ``evaluate``.
        bundle: the bundle's folder, with rendered configs.
        words: what follows it on the command line: ``--KEY VALUE`` or ``--KEY=VALUE`` for overrides of the config, with
            values as MONAI's runner reads them; ``--KEY`` alone is True. LightSkip adds ``--processes N`` (or
            ``--gpus N``), ``--dry-run`` and, for ``evaluate``, ``--training NAME``.

    Raises:
        InputError: the folder is no LightSkip bundle, a word is no override, the config does not know an override or
            has a value of another kind, the dataset's folder is not there, or there are no weights to evaluate.
    """
    settings = read_words(words)
    own = {name: settings.pop(name) for name in OWN if name in settings}
    processes = _processes(verb, own.get("processes", own.get("gpus", "1")))
    files = config_files(verb, bundle, several=processes > 1)
    check_given(verb, files, values_of(settings))
    note = ""
    if verb == "evaluate":
        settings, note = choose_checkpoint(files, bundle, settings, own.get("training"))
    elif "training" in own:
        raise InputError(
            f"--training {own['training']}",
            found="the name of a training that is there already",
            expected="settings of a new training",
            remedy="name its folder: --ckpt_dir DIR; to go on with one that was interrupted, add --resume",
        )
    dry_run = bool(value_of(own.get("dry_run", "False")))
    return Launch(verb, bundle, files, settings, processes, dry_run, note, stale(bundle))


def _processes(verb: str, text: str) -> int:
    if verb != "train" and text != "1":
        expected, remedy = f"1: lightskip {verb} runs in one process", "leave it out"
    elif not re.fullmatch("[1-9][0-9]*", text):
        expected, remedy = "a whole number, 1 or more", "give the number of GPUs to train on, or of processes on a CPU"
    else:
        return int(text)
    raise InputError("--processes", found=text, expected=expected, remedy=remedy)


def _run_processes(arguments: Sequence[str]) -> int:
    """Be ``torchrun``: start the processes, pass signals on to them, wait for all; their output is not touched."""
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.run import main  # noqa: PLC0415

    # What `Launch.run` leaves out of one process's warnings.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:parsing config_file")
    try:
        main(list(arguments))
    except ChildFailedError as error:
        # It has printed why itself; its code is negative where a signal ended it.
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        return 128 + error.sigval
    return 0


def _best_dice(history: Path) -> str:
    if not history.is_file():
        return ""
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    validated = [row for row in rows if row.get("val_mean_dice")]
    if not validated:
        return ""
    best = max(validated, key=lambda row: float(row["val_mean_dice"]))
    return f"  (validation Dice {float(best['val_mean_dice']):.4f}, epoch {best['epoch']} of {rows[-1]['epoch']})"
