"""What ``lightskip train``, ``evaluate`` and ``predict`` look at before they start: the bundle, overrides, weights.

PyTorch and MONAI are imported only where a name or a path cannot be checked without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.datalist import existing_folder
from ..data.errors import InputError
from ..data.nearest import nearest_path
from .overrides import check_none, check_overridden, known_ids, merge, normalised, place
from .render import check_rendered
from .trainings import BEST, Weights, choose_weights, no_weights
from .words import lightskip, near, values_of

__all__ = ["OWN", "RUN_IDS", "check_given", "choose_checkpoint", "config_files", "evaluated", "read", "stale"]

RUN_IDS = {"train": "training", "evaluate": "evaluating"}
# What a config needs for a verb.
_TRAINED = ("ckpt_dir", "dataset_dir")
_NEEDED = {
    **{verb: (run, *_TRAINED) for verb, run in RUN_IDS.items()},
    "predict": ("in_channels", "spatial_dims", "network", "preprocessing", "inferer", "postprocessing"),
}
OWN = ("processes", "gpus", "dry_run", "training")

# Arguments of MONAI's `run` beside the overrides: what is chosen here, and what a user may add. Of the latter the first
# two bring keys of their own, which MONAI has to tell.
_CHOSEN = ("config_file", "run_id")
_BRING_KEYS = ("args_file", "tracking")
_RUNNER = (*_BRING_KEYS, "meta_file", "logging_file", "init_id", "final_id")
_EVALUATED = ("$", "@", "%")


def config_files(verb: str, bundle: Path, *, several: bool = False) -> tuple[Path, ...]:
    """The config's files, later ones over earlier ones.

    Args:
        verb: ``train``, ``evaluate`` or ``predict``.
        bundle: the bundle's folder.
        several: for several processes.

    Raises:
        InputError: the folder is not there or is no bundle, or its configs are not rendered.
    """
    names = ["train", *(["multi_gpu_train"] if several else []), *(["evaluate"] if verb == "evaluate" else [])]
    names = ["inference"] if verb == "predict" else names
    files = tuple(bundle / "configs" / f"{name}.json" for name in names)
    missing = [f"configs/{file.name}" for file in files if not file.is_file()]
    if not bundle.is_dir():
        close = None if bundle.exists() else nearest_path(bundle)
        found = "a file" if bundle.exists() else "no such folder"
        remedy = f"did you mean {close}?" if close else "give the folder of a bundle"
    elif missing and (bundle / "plan.yaml").is_file():
        found, remedy = f"plan.yaml, but no {missing[0]}", f"write the configs: {lightskip('render', bundle)}"
    elif missing:
        found, remedy = f"no {missing[0]} in it", "give the folder of a bundle, the one that holds configs/"
    else:
        return files
    raise InputError(bundle, found=found, expected="the folder of a bundle with its configs", remedy=remedy)


def read(file: Path) -> dict[str, Any]:
    """Read a config's file, or raise InputError."""
    try:
        content, reason = json.loads(file.read_text(encoding="utf-8")), "no mapping"
    except (OSError, ValueError) as error:
        content, reason = None, str(error)
    if isinstance(content, dict):
        return content
    raise InputError(
        file,
        found=f"a file that cannot be read as a config ({reason})",
        expected="a bundle's config in JSON",
        remedy=f"write it anew: {lightskip('render', file.parents[1])}",
    )


def check_given(verb: str, files: Sequence[Path], values: Mapping[str, Any]) -> None:
    """Check overrides against the config's files, and the dataset's folder where one is named.

    Raises:
        InputError: the files are not of a LightSkip bundle, do not know an override or have a value of another kind, or
            the folder is not there or empty.
    """
    configs = [read(file) for file in files]
    config = merge(configs)
    lacking = [key for key in _NEEDED[verb] if key not in config]
    if lacking:
        raise InputError(
            ", ".join(map(str, files)),
            found=f"no key {lacking[0]}",
            expected="a config as lightskip render writes it",
            remedy="run a bundle of another make with MONAI's own command: python -m monai.bundle run",
        )
    chosen = [key for key in _CHOSEN if key in values]
    if chosen:
        raise InputError(
            "the command line",
            found=f"--{chosen[0]}",
            expected=f"overrides of the config; lightskip {verb} itself says which files and which run",
            remedy="use MONAI's own command, python -m monai.bundle run; --dry-run prints it",
        )
    # With these, names are left to the run itself, which makes the same check before it computes anything.
    brought = not values.keys().isdisjoint(_BRING_KEYS)
    overrides = {key: value for key, value in values.items() if key not in _RUNNER and not key.startswith("_meta_")}
    check_none(files, [key for key, value in overrides.items() if value is None])
    lost = [normalised(key) for key, value in overrides.items() if not place(config, key, value)]
    # LightSkip's own words are not in the config, but may be what a mistyped one was meant to be.
    known = {**known_ids(configs), **{name: [] for name in OWN}}
    if not brought:
        check_overridden(files, config, known, accepted=_accepted, lost=lost)
    folder = str(values.get("dataset_dir", _EVALUATED[0]))
    if not folder.startswith(_EVALUATED):
        existing_folder(folder)


def choose_checkpoint(
    files: Sequence[Path], bundle: Path, settings: Mapping[str, str], training: str | None
) -> tuple[dict[str, str], str]:
    """Choose the weights to evaluate.

    Those of the training that is named, or of the ``ckpt_dir`` that is; otherwise what `find_weights` finds for the
    fold. A ``checkpoint`` that the user names is taken as it is.

    Returns:
        The settings with ``checkpoint`` among them, and the ``fold`` of a training that is named; and a line that says
        which weights these are, where the user named no file.

    Raises:
        InputError: there are none, or several, or what is named contradicts itself.
    """
    settings = dict(settings)
    named = [key for key in ("checkpoint", "ckpt_dir") if key in settings]
    if training is not None and named:
        raise InputError(
            f"--training {training}",
            found=f"--{named[0]}, too",
            expected="one of them: both say which weights are meant",
            remedy="leave one out",
        )
    if "checkpoint" in settings:
        return settings, ""
    if "ckpt_dir" in settings:
        folder = Path(evaluated(files, bundle, settings, "ckpt_dir"))
        if not (folder / BEST).is_file():
            # Weights of another training than the one that was asked for would be a wrong answer.
            raise InputError(
                near(folder / BEST),
                found="no such file",
                expected="the weights of a training",
                remedy=f"train first ({lightskip('train', bundle)}), or name the weights: --checkpoint FILE",
            )
        weights: Weights | None = choose_weights(bundle, named=folder)
    else:
        fold = int(evaluated(files, bundle, settings, "fold"))
        weights = choose_weights(bundle, named=training, fold=fold if "fold" in settings or training is None else None)
        if weights is None:
            raise no_weights(bundle, fold=fold)
        if training is not None and weights.training is not None and weights.training.fold is not None:
            settings["fold"] = str(weights.training.fold)
    if weights is not None and weights.training is not None:
        settings["checkpoint"] = str(near(weights.file))
    return settings, f"{weights.note}\n" if weights is not None else ""


def evaluated(files: Sequence[Path], bundle: Path, settings: Mapping[str, str], key: str) -> Any:
    """What a key of the config, with these overrides, comes to; imports MONAI."""
    from monai.bundle import ConfigParser  # noqa: PLC0415

    parser = ConfigParser()
    parser.read_config([str(file) for file in files])
    # The config finds its bundle by the workflow that runs it; here is none.
    overrides = {"bundle_root": str(bundle.resolve()), **values_of(settings)}
    parser.update({name: value for name, value in overrides.items() if name not in _RUNNER})
    return parser.get_parsed_content(key)


def stale(bundle: Path) -> str:
    """Return a warning about configs that are not what the plan renders; nothing if they are, or without a plan."""
    if not (bundle / "plan.yaml").is_file():
        return ""
    try:
        differing = check_rendered(bundle)
    except InputError as error:
        return f"the configs cannot be compared with the plan: {error}"
    if not differing:
        return ""
    return (
        f"not what {bundle / 'plan.yaml'} gives: {', '.join(differing)}; to write anew: {lightskip('render', bundle)}"
    )


def _accepted(component: dict[str, Any]) -> set[str] | None:
    # Looking a target up imports PyTorch.
    from .runtime import accepted_arguments  # noqa: PLC0415

    return accepted_arguments(component)
