"""``lightskip train`` and ``lightskip evaluate``: MONAI's runner, after a check of the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..runtime_names import RUNTIMES
from .at_hand.shipped import require_own_bundle
from .launch_checks import (
    BRING_KEYS,
    OWN,
    check_network_given,
    check_overrides_given,
    choose_checkpoint,
    config_files,
    config_given,
    read,
    stale_warning,
)
from .launch_run import Launch
from .launch_values import check_files_given, check_names_given, check_values_given
from .losses import replace_loss_name
from .overrides import merge_configs
from .render import list_skips, read_skip, recipes_folder
from .start_options import choose_start, refuse_from
from .tracking import replace_tracking_word
from .words import lightskip_command, parse_value, parse_values, read_words

__all__ = ["Launch", "prepare"]


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
    check_names_given(settings)
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


def _processes(verb: str, text: str) -> int:
    if verb != "train" and text != "1":
        expected, remedy = f"1: lightskip {verb} runs in one process", "leave it out"
    elif not re.fullmatch("[1-9][0-9]*", text):
        expected, remedy = "a whole number, 1 or more", "set it to the number of GPUs, or of processes on a CPU"
    else:
        return int(text)
    raise InputError("--processes", found=text, expected=expected, remedy=remedy)
