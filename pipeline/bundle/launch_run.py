"""A checked run of a bundle by MONAI's runner: its command, its processes, and what it leaves."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.config_errors import explain_config_errors
from ..data.errors import InputError
from ..data.json_file import load_json
from ..data.one_at_a_time import TRAINING_LOCK, one_at_a_time, require_unlocked
from .evaluation_files import require_results
from .launch_checks import (
    RUN_IDS,
    config_files,
    evaluate_key,
    read,
)
from .overrides import merge_configs, normalise_id
from .run_processes import run_processes
from .training_facts import describe_all_cases, read_summary
from .trainings import BEST, list_trainings
from .words import as_text, as_words, lightskip_command, parse_values, shorten_path

__all__ = ["Launch"]

_LAST, _HISTORY, _TRACKED = "last.pt", "history.csv", "mlflow.json"
_WORDS = {"used_tracking": "tracking"}  # words of the command by the key that they set


@dataclass(frozen=True)
class Launch:
    """A checked run of a bundle by MONAI's runner.

    Attributes:
        verb: ``train`` or ``evaluate``.
        bundle: the bundle's folder, as the user named it.
        files: the config's files; later ones override earlier ones.
        settings: the overrides: ids, with the text of their values.
        processes: number of processes on this machine; several are started as by ``torchrun``.
        dry_run: whether only to print the command.
        note: a line that names the weights to evaluate, if the user named no file, or those that a training starts
            from, or how a resume changes the length.
        warning: a warning for the user; an empty text if there is none.
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
        """The equivalent command of MONAI's runner, for a POSIX shell."""
        return as_text(["python", *(["-m", "torch.distributed.run"] if self.processes > 1 else []), *self._arguments])

    def run(self) -> int:
        """Run it in this process, or start several processes and wait for them.

        Returns:
            The exit status: 0, or that of the first process that failed.
        """
        with self._alone():
            if self.processes > 1:
                _import_from_here()
                status = run_processes(self._arguments)
                if status == 0:
                    self._require_state()
                return status
            workflow = self.workflow()
            with explain_config_errors(", ".join(map(str, self.files)), running=True):
                workflow.run()
            workflow.finalize()
            self._require_state()
        return 0

    def _require_state(self) -> None:
        """Raise InputError if the folder of a training that has ended well is gone."""
        if self.verb == "train" and not self._folder.is_dir():
            raise InputError(
                self._folder,
                found="no such folder, at the end of the training that wrote there",
                expected="the training's files: something else has removed them",
                remedy="train again, and leave the folder alone meanwhile",
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse the run if another one is at work in its folder.

        A training takes the lock itself when it starts, also in MONAI's own runner.
        """
        if self.verb == "train":
            # Before PyTorch is imported and scans are prepared.
            require_unlocked(self._folder / TRAINING_LOCK, self._folder, but_own=True)
            yield
        else:
            folder = Path(evaluate_key(self.files, self.bundle, self.settings, "output_dir"))
            with one_at_a_time(folder / ".evaluation.lock", folder, verb="lightskip evaluate"):
                yield
            maps = evaluate_key(self.files, self.bundle, self.settings, "predictions_dir")
            require_results(folder, None if maps is None else Path(maps))

    def workflow(self, **more: Any) -> Any:
        """Return MONAI's workflow of this run, initialised: settings, weights and cases are checked.

        Args:
            **more: further arguments of MONAI's ``create_workflow``.
        """
        from monai.bundle import create_workflow  # noqa: PLC0415

        _import_from_here()
        with explain_config_errors(", ".join(map(str, self.files))), warnings.catch_warnings():
            # The warning says that a config is code, which holds for every bundle.
            warnings.filterwarnings("ignore", message="parsing config_file")
            return create_workflow(
                config_file=[str(file) for file in self.files],
                run_id=RUN_IDS[self.verb],
                **more,
                **parse_values(self.settings),
            )

    def outcome(self) -> str:
        """Return a training's files and the next command; an empty text for an evaluation, which prints its own."""
        if self.verb != "train":
            return ""
        whole = describe_all_cases(self._folder / BEST)
        weights = ("weights", BEST, f"  ({whole})") if whole else ("best weights", BEST, _best_dice(self._folder))
        left = (weights, ("last state", _LAST, ""), ("curve", _HISTORY, ""))
        lines = [
            f"{title + ':':13} {shorten_path(self._folder / name)}{more}"
            for title, name, more in left
            if (self._folder / name).is_file()
        ]
        if "used_tracking" in self.settings and (tracked := _read_tracked(self._folder / _TRACKED)):
            lines.append(f"{'tracked:':13} {tracked}")
        following = lightskip_command("evaluate", self.bundle, self._evaluation_settings())
        if whole:
            # Nothing is left to measure it with but test cases.
            words = ["lightskip", "predict", str(self.bundle), "SCANS", "-o", "OUT", *self._named_training()]
            following = as_text(words)
        lines.append(f"{'next:':13} {following}")
        return "".join(f"{line}\n" for line in lines)

    def _named_training(self) -> list[str]:
        if self._folder.resolve().parent == (self.bundle / "runs").resolve():
            return ["--training", self._folder.name]
        return ["--checkpoint", str(shorten_path(self._folder / BEST))]

    def resume_hint(self) -> str:
        """Return the command that resumes an interrupted training; an empty text if there is no state to resume."""
        # Without these modules it ended before it started.
        started = not {"monai.bundle", "torch.distributed.run"}.isdisjoint(sys.modules)
        if self.verb != "train" or not started or not (self._folder / _LAST).is_file():
            return ""
        several = {"processes": str(self.processes)} if self.processes > 1 else {}
        # The weights to start from are in the state.
        settings = {_WORDS.get(key, key): text for key, text in self.settings.items() if key != "start_from"}
        settings |= {"resume": "True", **several}
        return f"continue with: {lightskip_command('train', self.bundle, settings)}\n"

    @property
    def _arguments(self) -> list[str]:
        """The words after ``python``, or after ``torchrun`` for several processes."""
        names = [str(file) for file in self.files]
        files = names[0] if len(names) == 1 else "[" + ",".join(map(repr, names)) + "]"
        ranks = ["--standalone", "--nproc_per_node", str(self.processes)] if self.processes > 1 else []
        run = ["-m", "monai.bundle", "run", RUN_IDS[self.verb], "--config_file", files]
        return [*ranks, *run, *as_words(self.settings)]

    @cached_property
    def _folder(self) -> Path:
        return Path(evaluate_key(self.files, self.bundle, self.settings, "ckpt_dir"))

    def _evaluation_settings(self) -> dict[str, str]:
        """Return the settings of this training that its evaluation needs too: those that its config refers to.

        Settings of the network are left out, because the weights carry them.
        """
        config = merge_configs(read(file) for file in config_files("evaluate", self.bundle))
        referenced, left = set(), ["ckpt_dir", "initialize", RUN_IDS["evaluate"]]
        while left:
            key = left.pop()
            if key not in referenced:
                referenced.add(key)
                left += re.findall(r"[@%](\w+)", json.dumps(config.get(key)))
        given = {
            key: text
            for key, text in self.settings.items()
            if normalise_id(key).partition("::")[0] in referenced and not self._is_in_weights(normalise_id(key))
        }
        # With several trainings, evaluation needs the name of this one.
        folders = [one.folder for one in list_trainings(self.bundle)]
        if (
            "ckpt_dir" not in given
            and len(folders) > 1
            and self._folder.parent.resolve() == folders[0].parent.resolve()
        ):
            given["training"] = self._folder.name
        return given

    def _is_in_weights(self, key: str) -> bool:
        """Return whether weights carry a setting; those of another network class have no spec, and carry none."""
        replaced = {"network_def", "network_def::_target_"} & {normalise_id(other) for other in self.settings}
        return not replaced and (key == "skip" or key.startswith(("skip::", "network_def::")))


def _import_from_here() -> None:
    """Let a config import a module from the working directory, as with `python -m`."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _read_tracked(file: Path) -> str:
    """Return the command that shows the training's run in MLflow; an empty text if it has none."""
    try:
        address = load_json(file)["tracking_uri"]
    except (OSError, ValueError, KeyError):
        return ""
    return as_text(["mlflow", "ui", "--backend-store-uri", str(address)])


def _best_dice(folder: Path) -> str:
    """Return the Dice of the best weights; a higher one in the history may be of fewer cases."""
    known = read_summary(folder)
    if known.get("best_dice") is None:
        return ""
    return f"  (validation Dice {known['best_dice']:.4f}, epoch {known['best_epoch']} of {known['epochs']})"
