"""The values of the tag ``!derived`` of recipes, computed from a plan: `recipe.py` explains the tags."""

from __future__ import annotations

from typing import Any

from .losses import loss_component
from .network_schema import network_component
from .plan import Plan
from .recipe import LEFT_OUT
from .schema import Data
from .target_parts import loss_kind, target_parts

__all__ = ["derive_values"]

_DATALIST = "$@bundle_root + '/configs/datalist.json'"


def derive_values(plan: Plan) -> dict[str, Any]:
    """Return the values that a recipe's tag ``!derived`` names, computed from a plan; `LEFT_OUT` leaves a key out."""
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
