"""Render a bundle: merge its plan with the recipes in ``configs/`` into configs that run with MONAI's runner.

``recipe.py`` explains the tags of a recipe. ``_derived`` below lists the names for ``!derived``.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches, unified_diff
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import read_json
from ..data.label_keys import LABEL_KEYS
from ..data.yaml_file import read_yaml
from ..files import write_text
from ..imports import quick_imports
from .losses import loss_component
from .network_schema import OwnNetwork, network_component
from .plan import Plan, load_plan, plan_file
from .recipe import LEFT_OUT, fill_recipe
from .schema import Data, InlineSkip
from .target_parts import loss_kind, target_parts

__all__ = [
    "check_network",
    "check_rendered",
    "fill_metadata",
    "read_manifest",
    "read_skip",
    "recipe_sources",
    "recipes_folder",
    "render",
    "to_json",
    "write_rendered",
]

_RECIPES = ("train", "multi_gpu_train", "evaluate", "inference")
_DATALIST = "$@bundle_root + '/configs/datalist.json'"
_ITEM_KEYS = ("image", "label", "fold", "annotated")
_TEST_PARTS = ("test", "testing")


def render(bundle: str | Path, *, recipes: Path | None = None) -> dict[str, str]:
    """Merge a bundle's plan with the recipes.

    Args:
        bundle: the bundle's folder, or its ``plan.yaml``.
        recipes: folder of the recipes; by default the package's.

    Returns:
        Text of each rendered file by its path in the bundle, such as ``configs/train.json``.

    Raises:
        InputError: the plan, the datalist or a recipe is wrong; names the file, the line and the nearest known key.
    """
    folder = recipes_folder() if recipes is None else recipes
    file = plan_file(bundle)
    plan = load_plan(file)
    sources = recipe_sources(plan, file, folder)
    rendered = {f"configs/{name}.json": to_json(fill_recipe(folder / f"{name}.yaml", sources)) for name in _RECIPES}
    rendered["configs/metadata.json"] = to_json(fill_metadata(folder, sources))
    if plan.data.manifest is not None:
        rendered["configs/datalist.json"] = to_json(read_manifest(file.parent / plan.data.manifest, whole=True))
    # As bytes, to keep the recipe's line ends on every system.
    rendered["configs/logging.conf"] = (folder / "logging.conf").read_bytes().decode()
    return rendered


def fill_metadata(recipes: Path, sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of a bundle; without the training scans if the plan does not describe them.

    Args:
        recipes: folder of the recipes.
        sources: from ``recipe_sources``.
    """
    content = fill_recipe(recipes / "metadata.yaml", sources)
    return {key: value for key, value in content.items() if key != "training_scans" or value is not None}


def recipe_sources(plan: Plan, file: Path, recipes: Path) -> dict[str, dict[str, Any]]:
    """Return the values for the tags of a recipe, by tag: see ``recipe.py``.

    Args:
        plan: the plan.
        file: its file, for error messages.
        recipes: folder of the recipes.

    Raises:
        InputError: the plan's skip has no file in the recipes.
    """
    return {
        "plan": plan.model_dump(mode="json"),
        "skip": read_skip(plan.skip, recipes / "skips", file),
        "derived": _derived(plan),
    }


def write_rendered(bundle: str | Path, *, recipes: Path | None = None) -> list[Path]:
    """Render a bundle and write its files, each of them completely or not at all.

    Returns:
        The files written.

    Raises:
        InputError: see ``render``; nothing is written.
    """
    files = []
    for name, text in render(bundle, recipes=recipes).items():
        file = plan_file(bundle).parent / name
        write_text(file, text)
        files.append(file)
    return files


def check_network(bundle: str | Path) -> None:
    """Build the network of a bundle's plan, without memory: an error ends here, not when a training starts.

    Imports PyTorch, after the plan's own errors are reported. A plan that names classes or modules of the user's own is
    not checked here, but when a training starts.

    Raises:
        InputError: the plan is wrong, its network cannot be built, or it cannot hold the patch or the window.
    """
    file = plan_file(bundle)
    plan = load_plan(file)
    skip = read_skip(plan.skip, recipes_folder() / "skips", file)["skip"]
    if plan.imports or isinstance(plan.network, OwnNetwork):
        # Building it would run the user's code.
        return
    with quick_imports():
        from .network_check import check_network_of  # noqa: PLC0415

    task = {
        "spatial_dims": plan.spatial_dims,
        "in_channels": len(plan.data.channels),
        "out_channels": len(plan.outputs),
    }
    spec = {"name": plan.network.name, **task, **plan.network.settings(), "skip": skip}
    check_network_of(spec, {"patch": plan.patch, "window": plan.window}, file)


def check_rendered(bundle: str | Path, *, recipes: Path | None = None) -> dict[str, str]:
    """Compare a bundle's files with newly rendered ones.

    Returns:
        A unified diff (committed to rendered) by name, for each file that differs or is missing; empty if none does.

    Raises:
        InputError: see ``render``.
    """
    differences = {}
    for name, text in render(bundle, recipes=recipes).items():
        file = plan_file(bundle).parent / name
        committed = file.read_bytes().decode(errors="replace") if file.is_file() else ""
        if committed != text:
            diff = unified_diff(
                committed.splitlines(keepends=True), text.splitlines(keepends=True), str(file), f"{file} (rendered)"
            )
            differences[name] = "".join(diff)
    return differences


def read_skip(choice: str | InlineSkip, folder: Path, plan: Path) -> dict[str, Any]:
    """Return the keys ``skip`` and ``sparsity`` for a plan's ``skip``.

    Args:
        choice: name of a file in ``configs/skips``, or the content of such a file.
        folder: ``configs/skips``.
        plan: the plan's file, for error messages.

    Raises:
        InputError: there is no such file.
    """
    if isinstance(choice, InlineSkip):
        return choice.model_dump(mode="json")
    name = choice
    file = folder / f"{name}.yaml"
    if not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.yaml"))
        close = get_close_matches(name, known, n=1)
        raise InputError(
            f"{plan}, skip",
            found=f"{name}, which is not in {folder}",
            expected=f"one of {', '.join(known)}",
            remedy=f"did you mean {close[0]}?" if close else "choose one of these, or write skip: {skip: NAME}",
        )
    return read_yaml(file)[0]


def list_skips() -> list[str]:
    """Return the names of the files in ``configs/skips``, without their ending."""
    return sorted(path.stem for path in (recipes_folder() / "skips").glob("*.yaml"))


def recipes_folder() -> Path:
    """Return the folder of the recipes, in a checkout or in an installed package."""
    # A wheel has the recipes inside the package; a checkout has them at its root.
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def read_manifest(manifest: Path, *, whole: bool = False) -> dict[str, Any]:
    """Return a manifest as a bundle's datalist: the keys that MONAI reads, without checksums.

    Args:
        manifest: the datalist to read.
        whole: keep subjects and test scans, which the check for leakage and the names of the cases need.

    Raises:
        InputError: the file is not a datalist.
    """
    keys = (*_ITEM_KEYS, "subject") if whole else _ITEM_KEYS

    def keep_keys(item: Any) -> Any:
        # A test scan may be a path alone.
        return {key: item[key] for key in keys if key in item} if isinstance(item, Mapping) else item

    expected = 'a datalist: JSON with a list "training" of {"image", "label", "fold"} items'
    remedy = "correct data.manifest in plan.yaml, which names it"
    content = read_json(manifest, expected=expected, remedy=remedy)
    try:
        training = [{key: item[key] for key in keys if key in item} for item in content["training"]]
        parts = [part for part in _TEST_PARTS if whole and content.get(part)]
        test = {part: [keep_keys(item) for item in content[part]] for part in parts}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            manifest,
            found=f"{type(error).__name__}: {error}",
            expected=expected,
            remedy=f"correct the file, or {remedy}",
        ) from error
    kept = {key: content[key] for key in ("name", "licence", *LABEL_KEYS) if key in content}
    return {**kept, "training": training, **test}


def to_json(content: dict[str, Any]) -> str:
    """Return the text of a config or datalist."""
    # ASCII, since MONAI opens configs in the encoding of the user's locale.
    return json.dumps(content, indent=2) + "\n"


def _derived(plan: Plan) -> dict[str, Any]:
    names = sorted(plan.labels, key=plan.labels.__getitem__)
    spacing = " x ".join(f"{size:g}" for size in plan.spacing)
    channels = plan.data.channels
    values = plan.label_values or plan.labels
    # A 2D file has no third axis.
    orientation = plan.orientation[: plan.spatial_dims]
    return {
        "spatial_dims": plan.spatial_dims,
        "in_channels": len(channels),
        "out_channels": len(plan.outputs),
        "output_names": plan.outputs,
        "num_labels": len(names),
        "imports": [f"$import {module}" for module in plan.imports],
        "network_def": network_component(plan.network.target, plan.network.settings()),
        "loss": loss_component(plan.training.loss, **loss_kind(plan)),
        "normalisation": _normalisation(plan),
        "orientation": orientation,
        "label_values": values,
        "region_values": _region_values(plan),
        "label_mapping": _label_mapping(plan),
        "evaluation_marking": [],  # CaseReport takes the names; an exported bundle has no such handler
        **target_parts(plan, _label_mapping(plan)),
        "activation": _activation(plan),
        # Without regions argmax of logits is that of probabilities.
        "validation_activation": _activation(plan) if plan.regions else [],
        "discretisation": _discretisation(plan),
        "predictor": _predictor(plan),
        "runtime_choice": _runtime_choice(plan),
        "region_labels": plan.labels if plan.regions else LEFT_OUT,
        "cleaning": _cleaning(plan),
        "class_ratios": plan.class_ratios or [len(names) - 1, *[1] * (len(names) - 1)],
        "dataset_dir": _dataset_dir(plan.data.folder),
        "datalist": "$@dataset_dir + '/dataset.json'" if plan.data.manifest is None else _DATALIST,
        "data_source": f"{plan.data.source}; licence: {plan.data.licence}",
        "image_format": "hounsfield" if plan.data.modality == "CT" else "magnitude",
        "image_text": f"{plan.data.modality}, channels: {', '.join(channels)}; {orientation}, {spacing} "
        f"{plan.data.unit}",
        "label_text": ", ".join(f"{value} is {name}" for value, name in enumerate(names)),
        "reference_text": ", ".join(f"{values[name]} is {name}" for name in names),
        "training_scans": _describe_scans(plan.data),
        "input_channel_def": {str(channel): name for channel, name in enumerate(channels)},
        "output_channel_def": {str(channel): name for channel, name in enumerate(plan.outputs)},
    }


def _describe_scans(data: Data) -> dict[str, Any] | None:
    """Return the training scans in numbers, with their unit if it is not mm; None if the plan does not have them."""
    if data.scans is None:
        return None
    return data.scans.model_dump(mode="json") | ({} if data.unit == "mm" else {"unit": data.unit})


def _dataset_dir(folder: str | None) -> str:
    if folder is None:
        return "$@bundle_root + '/data'"
    # Joining keeps an absolute path unchanged. The characters @, # and % have a meaning in MONAI's configs.
    literal = repr(folder).replace("@", "\\x40").replace("#", "\\x23").replace("%", "\\x25")
    return f"$str(pathlib.Path(@bundle_root, {literal}).resolve())"


def _label_mapping(plan: Plan) -> list[dict[str, Any]]:
    """Return the transform from the files' label values to the network's consecutive ones; none if they are equal.

    Ignored values become the number of labels.
    """
    in_files = plan.label_values or plan.labels
    if in_files == plan.labels and not plan.ignored_values:
        return []
    names = list(plan.labels)
    values = {
        "orig_labels": [*(in_files[name] for name in names), *plan.ignored_values],
        "target_labels": [*(plan.labels[name] for name in names), *[len(names)] * len(plan.ignored_values)],
    }
    return [{"_target_": "MapLabelValued", "keys": ["label"], **values}]


def _region_values(plan: Plan) -> dict[str, list[int]] | None:
    """Return the network's values of each region's labels; None without regions."""
    if not plan.regions:
        return None
    return {region: [plan.labels[name] for name in names] for region, names in plan.regions.items()}


def _activation(plan: Plan) -> list[dict[str, Any]]:
    """Return the transform from logits to probabilities: of labels, or of each region on its own."""
    return [{"_target_": "Activationsd", "keys": "pred", "sigmoid" if plan.regions else "softmax": True}]


def _discretisation(plan: Plan) -> list[dict[str, Any]]:
    """Return the transform from probabilities to a label map."""
    if not plan.regions or not plan.region_order:
        return [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    places = {name: place for place, name in enumerate(plan.regions)}
    values = {
        "regions": [[plan.labels[name] for name in names] for names in plan.regions.values()],
        "order": [[places[region], plan.labels[name]] for region, name in plan.region_order.items()],
    }
    return [{"_target_": "pipeline.labelmaps.regions.DecodeRegionsd", "keys": "pred", **values}]


def _predictor(plan: Plan) -> str:
    """Return the expression of the network that predicts: averaged over passes with dropout and mirrored inputs."""
    averaged = f"average_dropout(@network, @dropout_samples{_sigmoid(plan)})"
    return f"$mirror_network({averaged}, @mirror_axes if @tta else ())"


def _runtime_choice(plan: Plan) -> str:
    """Return the expression of the evaluation's runtime."""
    return (
        "$choose_evaluation_runtime(@network, @checkpoint, runtime=@runtime, inferer=@validate#inferer, "
        f"channels=@in_channels, cases=len(@val_cases), dropout_samples=@dropout_samples{_sigmoid(plan)})"
    )


def _sigmoid(plan: Plan) -> str:
    return ", sigmoid=True" if plan.regions else ""


def _cleaning(plan: Plan) -> list[dict[str, Any]]:
    """Return the transform that cleans a label map; none if the plan has no cleaning."""
    steps = plan.postprocessing
    lists = {"largest_component": steps.largest_component, "fill_holes": steps.fill_holes}
    sizes = {"minimum_ml": steps.minimum_ml, "minimum_mm2": steps.minimum_mm2}
    values: dict[str, Any] = {key: sorted(plan.labels[name] for name in names) for key, names in lists.items()}
    for key, by_name in sizes.items():
        values[key] = {str(plan.labels[name]): size for name, size in by_name.items()}
    given = {key: value for key, value in values.items() if value}
    return [{"_target_": "pipeline.labelmaps.clean.CleanLabelMapd", "keys": "pred", **given}] if given else []


def _normalisation(plan: Plan) -> list[dict[str, Any]]:
    normalise = {"_target_": "NormalizeIntensityd", "keys": ["image"], "channel_wise": True}
    if plan.normalisation == "zscore_nonzero":
        normalise["nonzero"] = True
    if plan.intensity_range is None:
        return [normalise]
    low, high = plan.intensity_range
    if plan.intensity_mean is not None and plan.intensity_std is not None:
        # Clip and normalise in one step, with the same numbers for every scan.
        scaled = [round((bound - plan.intensity_mean) / plan.intensity_std, 6) for bound in (low, high)]
        fixed = {"a_min": low, "a_max": high, "b_min": scaled[0], "b_max": scaled[1], "clip": True}
        return [{"_target_": "ScaleIntensityRanged", "keys": ["image"], **fixed}]
    clip = {"a_min": low, "a_max": high, "b_min": 0.0, "b_max": 1.0, "clip": True}
    return [{"_target_": "ScaleIntensityRanged", "keys": ["image"], **clip}, normalise]
