"""``lightskip train`` and ``lightskip evaluate``: MONAI's runner, after a check of the settings."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.one_at_a_time import TRAINING_LOCK, one_at_a_time, require_unlocked
from ..runtime_names import RUNTIMES
from .at_hand.shipped import require_own_bundle
from .evaluation_files import require_results
from .launch_checks import (
    BRING_KEYS,
    OWN,
    RUN_IDS,
    check_network_given,
    check_overrides_given,
    choose_checkpoint,
    config_files,
    config_given,
    evaluate_key,
    read,
    stale_warning,
)
from .launch_values import check_files_given, check_values_given
from .losses import replace_loss_name
from .overrides import merge_configs, normalise_id
from .render import list_skips, read_skip, recipes_folder
from .start_options import choose_start, refuse_from
from .tracking import replace_tracking_word
from .training_facts import describe_all_cases, read_summary
from .trainings import BEST, list_trainings
from .words import as_text, as_words, lightskip_command, parse_value, parse_values, read_words, shorten_path

__all__ = ["Launch", "prepare"]

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
                return _run_processes(self._arguments)
            workflow = self.workflow()
            workflow.run()
            workflow.finalize()
        return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse the run if another one is at work in its folder.

        A training takes the lock itself when it starts, also in MONAI's own runner.
        """
        if self.verb == "train":
            # Before PyTorch is imported and scans are prepared.
            require_unlocked(self._folder / TRAINING_LOCK, self._folder)
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
        with warnings.catch_warnings():
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
        # Without these modules it was interrupted before it started.
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


def prepare(verb: str, bundle: Path, words: Sequence[str]) -> Launch:
    """Return a checked run of a bundle, ready to start.

    What JSON alone shows is reported before PyTorch is imported: a mistyped key, a value of another type or out of
    range, a fold, a folder or a file that does not exist. A dry run only prints, so its folders and files may be
    elsewhere.

    Args:
        verb: ``train`` or ``evaluate``.
        bundle: the bundle's folder, with rendered configs.
        words: the words after it on the command line: overrides of the config as ``--KEY VALUE`` or ``--KEY=VALUE``,
            with values as MONAI's runner reads them; ``--KEY`` alone is True. LightSkip adds ``--processes N`` (or
            ``--gpus N``), ``--dry-run``, ``--from WEIGHTS`` for ``train``, and ``--training NAME`` for ``evaluate``.

    Raises:
        InputError: the folder is not a LightSkip bundle, a word is not an override, the config has no such key or a
            value of another type or out of range, the dataset's folder, a case or the fold does not exist, the output
            folder cannot be written to, or there are no weights to evaluate.
    """
    settings = read_words(words)
    # An evaluation writes into its bundle only by default.
    if verb == "train" or "output_dir" not in settings:
        elsewhere = "or name a folder of results: --output_dir DIR" if verb == "evaluate" else ""
        require_own_bundle(verb, bundle, otherwise=elsewhere)
    if verb == "train":
        settings = _replace_skip_file(settings)
    own = {name: settings.pop(name) for name in OWN if name in settings}
    processes = _processes(verb, own.get("processes", own.get("gpus", "1")))
    files = config_files(verb, bundle, several=processes > 1)
    if verb == "train":
        settings = replace_loss_name(settings, merge_configs(read(file) for file in files))
    dry_run = bool(parse_value(own.get("dry_run", "False")))
    if "tracking" in settings:
        has_key = "used_tracking" in merge_configs(read(file) for file in files)
        settings = replace_tracking_word(verb, settings, has_key=has_key, check=not dry_run)
    note = ""
    if verb == "evaluate":
        settings = _choose_runtime(settings, files, bundle)
    elif "start_from" in merge_configs(read(file) for file in files):
        settings, note = choose_start(files, bundle, settings, own.get("from"))
    if "from" in own and "start_from" not in settings and not note:
        raise refuse_from(verb, own["from"])
    check_overrides_given(verb, files, parse_values(settings))
    if "folds" in own:
        # `train_folds` takes it, and prepares each fold.
        raise InputError(
            f"--folds {own['folds']}",
            found=f"several folds for one {'evaluation' if verb == 'evaluate' else 'training'}",
            expected="one" if verb == "train" else "one training, which is measured on its own fold",
            remedy="name it: --fold N" if verb == "train" else "name one after the other: --training fold_0",
        )
    if verb == "evaluate":
        settings, note = choose_checkpoint(files, bundle, settings, own.get("training"))
    elif "training" in own:
        raise InputError(
            f"--training {own['training']}",
            found="the name of an existing training",
            expected="settings of a new training",
            remedy="name its folder with --ckpt_dir DIR; to continue an interrupted training, add --resume",
        )
    changed = _check_given(verb, files, bundle, parse_values(settings), only_values=dry_run)
    note += f"{changed}\n" if changed else ""
    if dry_run or processes > 1:
        # One process checks its own network when it starts.
        check_network_given(verb, files, bundle, parse_values(settings))
    return Launch(verb, bundle, files, settings, processes, dry_run, note, stale_warning(bundle))


def _check_given(
    verb: str, files: Sequence[Path], bundle: Path, values: Mapping[str, Any], *, only_values: bool
) -> str:
    """Check values, and unless `only_values` folders and files, as far as JSON alone shows them.

    Returns:
        A line on what a resume changes; an empty text if nothing.
    """
    if not values.keys().isdisjoint(BRING_KEYS):
        # A file of arguments may set any of them.
        return ""
    config, where = config_given(files, values), ", ".join(map(str, files))
    check_values_given(config, bundle, where, verb)
    return "" if only_values else check_files_given(verb, config, bundle, where)


def _replace_skip_file(settings: dict[str, str]) -> dict[str, str]:
    """Return the settings with what a file of ``configs/skips`` says in place of its name: `sat4`, as in a plan."""
    name = settings.get("skip", "")
    # Not `is_file`: a list with a skip per level can be longer than a file's name may be.
    if name not in list_skips():
        return settings
    chosen = read_skip(name, recipes_folder() / "skips", Path("--skip"))
    # A skip connection whose file has its own name is an override like any other: its sparsity is the user's.
    if chosen["skip"] == name:
        return settings
    return {"sparsity": str(chosen["sparsity"]), **settings, "skip": str(chosen["skip"])}


def _choose_runtime(settings: dict[str, str], files: Sequence[Path], bundle: Path) -> dict[str, str]:
    """Return the settings with the runtime of an evaluation: ``auto``, unless the user names one.

    Raises:
        InputError: there is no such runtime, or the configs are those of a version that had none.
    """
    has_runtime = "runtime" in merge_configs(read(file) for file in files)
    named = settings.get("runtime")
    if named is not None and not has_runtime:
        raise InputError(
            files[-1],
            found=f"--runtime {named}, and configs of a version before it",
            expected="configs of this version",
            remedy=f"write them again: {lightskip_command('render', bundle)}",
        )
    if named is not None and named not in RUNTIMES:
        raise InputError(
            "--runtime", found=named, expected=f"one of {', '.join(RUNTIMES)}", remedy="leave it out, or choose one"
        )
    return {**settings, "runtime": named or "auto"} if has_runtime else settings


def _import_from_here() -> None:
    """Let a config import a module from the working directory, as with `python -m`."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


def _processes(verb: str, text: str) -> int:
    if verb != "train" and text != "1":
        expected, remedy = f"1: lightskip {verb} runs in one process", "leave it out"
    elif not re.fullmatch("[1-9][0-9]*", text):
        expected, remedy = "a whole number, 1 or more", "set it to the number of GPUs, or of processes on a CPU"
    else:
        return int(text)
    raise InputError("--processes", found=text, expected=expected, remedy=remedy)


def _run_processes(arguments: Sequence[str]) -> int:
    """Act as ``torchrun``: start the processes, pass signals to them, and wait for all."""
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.run import main  # noqa: PLC0415

    # The same warning that `Launch.run` hides.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:parsing config_file")
    try:
        main(list(arguments))
    except ChildFailedError as error:
        # The process has printed the reason. Its code is negative if a signal ended it.
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        return 128 + error.sigval
    return 0


def _read_tracked(file: Path) -> str:
    """Return the command that shows the training's run in MLflow; an empty text if it has none."""
    try:
        address = json.loads(file.read_text(encoding="utf-8"))["tracking_uri"]
    except (OSError, ValueError, KeyError):
        return ""
    return as_text(["mlflow", "ui", "--backend-store-uri", str(address)])


def _best_dice(folder: Path) -> str:
    """Return the Dice of the best weights; a higher one in the history may be of fewer cases."""
    known = read_summary(folder)
    if known.get("best_dice") is None:
        return ""
    return f"  (validation Dice {known['best_dice']:.4f}, epoch {known['best_epoch']} of {known['epochs']})"
