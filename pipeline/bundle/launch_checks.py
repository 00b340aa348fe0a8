"""Checks before ``lightskip train``, ``evaluate`` and ``predict`` start: the bundle, overrides, weights.

PyTorch and MONAI are imported only if a name or a path cannot be checked without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.cases import ALL_CASES, no_validation_error
from ..data.config_errors import explain_config_errors
from ..data.datalist import require_folder
from ..data.errors import InputError
from ..data.json_file import load_json
from ..data.nearest import nearest_path
from ..imports import quick_imports
from .evaluated_text import find_nameless
from .overrides import apply_override, check_none, check_overridden, known_ids, merge_configs, normalise_id
from .plain_values import UNKNOWN, PlainValues
from .setting_rules import check_value
from .training_facts import describe_all_cases
from .trainings import BEST, choose_weights, no_weights_error
from .words import lightskip_command, parse_values, shorten_path

__all__ = [
    "BRING_KEYS",
    "OWN",
    "RUN_IDS",
    "check_network_given",
    "check_overrides_given",
    "choose_checkpoint",
    "config_files",
    "config_given",
    "evaluate_key",
    "read",
    "stale_warning",
]

RUN_IDS = {"train": "training", "evaluate": "evaluating"}
# Keys that a verb needs in the config.
_TRAINED = ("ckpt_dir", "dataset_dir")
_NEEDED = {
    **{verb: (run, *_TRAINED) for verb, run in RUN_IDS.items()},
    "predict": ("network", "preprocessing", "inferer", "postprocessing"),
}
OWN = ("processes", "gpus", "dry_run", "training", "folds", "from")

# Arguments of MONAI's `run` besides overrides: LightSkip sets the first two, and users may set the rest. `BRING_KEYS`
# add keys that only MONAI knows.
_CHOSEN = ("config_file", "run_id")
BRING_KEYS = ("args_file", "tracking")
_RUNNER = (*BRING_KEYS, "meta_file", "logging_file", "init_id", "final_id")
_EVALUATED = ("$", "@", "%")
_OF_NETWORK = ("skip", "network_def", "spatial_dims", "in_channels", "out_channels", "patch", "window")


def config_files(verb: str, bundle: Path, *, several: bool = False) -> tuple[Path, ...]:
    """Return the config's files for a verb; later ones override earlier ones.

    Args:
        verb: ``train``, ``evaluate`` or ``predict``.
        bundle: the bundle's folder.
        several: whether several processes run.

    Raises:
        InputError: the folder does not exist, is not a bundle, or has no rendered configs.
    """
    names = ["train", *(["multi_gpu_train"] if several else []), *(["evaluate"] if verb == "evaluate" else [])]
    names = ["inference"] if verb == "predict" else names
    files = tuple(bundle / "configs" / f"{name}.json" for name in names)
    missing = [f"configs/{file.name}" for file in files if not file.is_file()]
    if not bundle.is_dir():
        close = None if bundle.exists() else nearest_path(bundle)
        found = "a file" if bundle.exists() else "no such folder"
        remedy = f"did you mean {close}?" if close else "name the folder of a bundle"
    elif missing and (bundle / "plan.yaml").is_file():
        found, remedy = f"plan.yaml, but no {missing[0]}", f"write the configs: {lightskip_command('render', bundle)}"
    elif missing:
        found, remedy = f"no {missing[0]} in it", "name the folder of a bundle, the one that holds configs/"
    else:
        return files
    raise InputError(bundle, found=found, expected="the folder of a bundle with its configs", remedy=remedy)


def read(file: Path) -> dict[str, Any]:
    """Return the content of a config's file; raise InputError if it cannot be read."""
    try:
        content, reason = load_json(file), "not a mapping"
    except (OSError, ValueError) as error:
        content, reason = None, str(error)
    if isinstance(content, dict):
        _refuse_nameless(content, file)
        return content
    raise InputError(
        file,
        found=f"a file that cannot be read as a config ({reason})",
        expected="a bundle's config in JSON",
        remedy=f"write it again: {lightskip_command('render', file.parents[1])}",
    )


def _refuse_nameless(content: Mapping[str, Any], where: str | Path) -> None:
    place = find_nameless(content)
    if place is not None:
        raise InputError(
            where,
            found=f"an @ without a name in {place}",
            expected="the name of a key after it: MONAI takes @ alone for the whole config",
            remedy="name the key, such as @device; a product of matrices is torch.matmul",
        )


def check_overrides_given(verb: str, files: Sequence[Path], values: Mapping[str, Any]) -> None:
    """Check overrides against the config's files, and the dataset's folder if one is named.

    Raises:
        InputError: the files are not a LightSkip bundle's, lack a key or have a value of another type, or the folder
            does not exist or is empty.
    """
    configs = [read(file) for file in files]
    config = merge_configs(configs)
    lacking = [key for key in _NEEDED[verb] if key not in config]
    if lacking:
        raise InputError(
            ", ".join(map(str, files)),
            found=f"no key {lacking[0]}",
            expected="a config that lightskip render wrote",
            remedy="run bundles of other projects with MONAI's own command: python -m monai.bundle run",
        )
    chosen = [key for key in _CHOSEN if key in values]
    if chosen:
        raise InputError(
            "the command line",
            found=f"--{chosen[0]}",
            expected=f"overrides of the config; lightskip {verb} sets this argument itself",
            remedy="use MONAI's own command, python -m monai.bundle run; --dry-run prints it",
        )
    # With these, the run itself checks the keys, before it computes anything.
    brings_keys = not values.keys().isdisjoint(BRING_KEYS)
    overrides = {key: value for key, value in values.items() if key not in _RUNNER and not key.startswith("_meta_")}
    _refuse_nameless(overrides, "the command line")
    check_none(files, [key for key, value in overrides.items() if value is None])
    lost = [normalise_id(key) for key, value in overrides.items() if not apply_override(config, key, value)]
    # LightSkip's own options are not in the config, but can be suggested for a mistyped key.
    known = {**known_ids(configs), **{name: [] for name in OWN}}
    if not brings_keys:
        check_overridden(files, config, known, accepted=_accepted_arguments, lost=lost)
    folder = str(values.get("dataset_dir", _EVALUATED[0]))
    if not folder.startswith(_EVALUATED):
        require_folder(folder)


def check_network_given(verb: str, files: Sequence[Path], bundle: Path, values: Mapping[str, Any]) -> None:
    """Build the network, if there are overrides of it, for a run that does not start in this process.

    Raises:
        InputError: it cannot be built, or does not accept the patch or the window.
    """
    named = {normalise_id(key).partition("::")[0] for key in values}
    if not named.isdisjoint(_OF_NETWORK):
        with quick_imports():
            from .settings import check_network_settings  # noqa: PLC0415

        overrides = {key: value for key, value in values.items() if key not in _RUNNER}
        # Weights of another network than the config's may accept other sizes.
        sizes = verb == "train" and not values.get("resume")
        check_network_settings(files, bundle, overrides, sizes=sizes)


def choose_checkpoint(
    files: Sequence[Path], bundle: Path, settings: Mapping[str, str], training: str | None
) -> tuple[dict[str, str], str]:
    """Choose the weights to evaluate.

    A ``checkpoint`` in the settings is used as it is. Otherwise the weights are those of the named training, those in
    ``ckpt_dir`` if that is set, or those that `find_weights` finds for the fold.

    Returns:
        The settings, with ``checkpoint`` and, for a named training, its own ``fold``; and a line that names the
        weights, empty if the user named a file.

    Raises:
        InputError: there are no weights, there are several, or the settings contradict each other.
    """
    settings = dict(settings)
    # The test cases are in no training.
    is_test = _evaluated_part(files, bundle, settings) == "test"
    named = [key for key in ("checkpoint", "ckpt_dir") if key in settings]
    if training is not None and named:
        raise InputError(
            f"--training {training}",
            found=f"--{named[0]} as well",
            expected="one of the two: both choose the weights",
            remedy="leave one out",
        )
    if "checkpoint" in settings:
        return settings, _note_on_cases(Path(settings["checkpoint"]), is_test=is_test)
    fold = evaluate_key(files, bundle, settings, "fold")
    check_value("fold", fold, ", ".join(map(str, files)))
    named_path: str | Path | None = training
    if "ckpt_dir" in settings:
        # Absolute, as a relative path could be the name of another training in the bundle's runs.
        named_path = Path(evaluate_key(files, bundle, settings, "ckpt_dir")).expanduser().absolute()
        if not (named_path / BEST).is_file():
            # Falling back to another training's weights would be wrong.
            raise InputError(
                shorten_path(named_path / BEST),
                found="no such file",
                expected="the weights of a training",
                remedy=f"train first ({lightskip_command('train', bundle)}), or name the weights: --checkpoint FILE",
            )
    # A named training is measured on its own fold, unless the user names another one.
    wanted = "fold" in settings if is_test or named_path is not None else True
    weights = choose_weights(
        bundle,
        named=named_path,
        fold=fold if wanted and not (is_test and named_path is not None) else None,
        option="--ckpt_dir" if "ckpt_dir" in settings else "--training",
    )
    if weights is None:
        raise no_weights_error(bundle, fold=fold if wanted else None)
    of_fold = None if weights.training is None else weights.training.fold
    if of_fold == ALL_CASES and not is_test:
        raise no_validation_error(f"training {weights.training.name}" if weights.training else bundle)
    if of_fold is not None and (named_path is not None or of_fold == ALL_CASES):
        settings["fold"] = str(of_fold)
    if weights.training is not None:
        settings["checkpoint"] = str(shorten_path(weights.file))
    return settings, f"{weights.note}\n"


def _note_on_cases(checkpoint: Path, *, is_test: bool) -> str:
    """Return a line if weights are measured on cases that they were trained on, as far as their folder says so."""
    text = "" if is_test else describe_all_cases(checkpoint)
    return f"note: {shorten_path(checkpoint)}: {text}; these cases are among them\n" if text else ""


def _evaluated_part(files: Sequence[Path], bundle: Path, settings: Mapping[str, str]) -> str:
    """Return the part of the datalist that an evaluation measures; configs of earlier versions know only one."""
    if "part" not in config_given(files, {}):
        return "validation"
    part = str(evaluate_key(files, bundle, settings, "part"))
    check_value("part", part, ", ".join(map(str, files)))
    return part


def config_given(files: Sequence[Path], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with these overrides, not evaluated. Arguments of MONAI's runner are left out."""
    config = merge_configs(read(file) for file in files)
    for key, value in values.items():
        if key not in _RUNNER:
            apply_override(config, key, value)
    return config


def evaluate_key(files: Sequence[Path], bundle: Path, settings: Mapping[str, str], key: str) -> Any:
    """Return the value of a config's key with these overrides; imports MONAI unless JSON alone shows the value."""
    plain = PlainValues(config_given(files, parse_values(settings)), bundle).find(key)
    if plain is not UNKNOWN:
        return plain
    from monai.bundle import ConfigParser  # noqa: PLC0415

    # A config finds its bundle through the running workflow, and here is none.
    overrides = {"bundle_root": str(bundle.resolve()), **parse_values(settings)}
    with explain_config_errors(", ".join(map(str, files))):
        parser = ConfigParser()
        parser.read_config([str(file) for file in files])
        parser.update({name: value for name, value in overrides.items() if name not in _RUNNER})
        return parser.get_parsed_content(key)


def stale_warning(bundle: Path) -> str:
    """Return a warning if the configs differ from the plan; an empty text if not, or if there is no plan."""
    if not (bundle / "plan.yaml").is_file():
        return ""
    from .render import check_rendered  # noqa: PLC0415 - imports pydantic, which predict can do without

    try:
        differing = check_rendered(bundle)
    except InputError as error:
        return f"the configs cannot be compared with the plan: {error}"
    if not differing:
        return ""
    return (
        f"{', '.join(differing)} differ from {bundle / 'plan.yaml'}; "
        f"to write them again: {lightskip_command('render', bundle)}"
    )


def _accepted_arguments(component: dict[str, Any]) -> set[str] | None:
    # Looking a target up imports PyTorch.
    from .runtime import accepted_arguments  # noqa: PLC0415

    return accepted_arguments(component)
