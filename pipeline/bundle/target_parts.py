"""The parts of a training's config that depend on regions, ignored values and partly annotated cases.

Without these a plan has MONAI's parts, and no target table.
"""

from __future__ import annotations

from typing import Any

from .recipe import LEFT_OUT
from .schema import Plan

__all__ = ["loss_kind", "target_parts"]

_CENTRES = 20_000  # positions of a label per case; all of a large scan would take more memory than the scan


def loss_kind(plan: Plan) -> dict[str, bool]:
    """Return the arguments of `loss_component` that depend on the labels of a plan."""
    return {"regions": bool(plan.regions), "targets": _has_targets(plan)}


def target_parts(plan: Plan, label_mapping: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values for the tags of ``train.yaml`` by name.

    `LEFT_OUT` stands for parts that a plan without regions, ignored values and partly annotated cases does not have.

    Args:
        plan: the plan.
        label_mapping: the transform from the files' label values to the network's, for such a plan.
    """
    coded = bool(plan.ignored_values) or plan.partial_labels
    size = len(plan.labels)
    regions = {name: list(labels) for name, labels in (plan.regions or {}).items()}
    dice = {"_target_": "pipeline.evaluation.PresentDice", "num_classes": "@out_channels"}
    if _has_targets(plan):
        dice = {"_target_": "pipeline.evaluation.KnownDice", "targets": "@targets"}
    return {
        "targets": _table(plan) if _has_targets(plan) else LEFT_OUT,
        "annotated_sets": _annotated("read_annotated_sets", datalist="@datalist") if plan.partial_labels else LEFT_OUT,
        "train_items": _items("@train_cases", plan),
        "val_items": _items("@val_cases", plan),
        "target_mapping": [_coding(plan)] if coded else label_mapping,
        "padding": _padding(size if plan.ignored_values else 0),
        # The value of ignored voxels is the number of labels.
        "label_type": "$torch.uint8" if size <= 255 else "$torch.int32",
        "label_positions": [_positions(coded=coded)],
        "annotation_marking": [_marking()] if plan.partial_labels else [],
        "label_outside": size if coded else LEFT_OUT,
        "mean_dice": dice,
        "label_dice": {**dice, "reduction": "mean_batch"},
        "dice_names": {name: place for place, name in enumerate(regions, 1)} if regions else "@labels",
        # In the order of the network's channels.
        "regions_of_labels": [f"{name}: {', '.join(labels)}" for name, labels in regions.items()] or LEFT_OUT,
        "ignored_if_any": list(plan.ignored_values) or LEFT_OUT,
        "partial_if_any": plan.partial_labels or LEFT_OUT,
    }


def _has_targets(plan: Plan) -> bool:
    return bool(plan.regions or plan.ignored_values or plan.partial_labels)


def _table(plan: Plan) -> dict[str, Any]:
    # Not @labels, which are something else in exported bundles.
    table: dict[str, Any] = {"_target_": "pipeline.data.target_table.TargetTable", "labels": dict(plan.labels)}
    if plan.regions:
        table["regions"] = {name: [plan.labels[label] for label in labels] for name, labels in plan.regions.items()}
    if plan.partial_labels:
        table["annotated"] = "@annotated_sets"
    return table


def _annotated(function: str, **arguments: str) -> dict[str, str]:
    return {"_target_": f"pipeline.data.annotated.{function}", **arguments}


def _items(cases: str, plan: Plan) -> Any:
    return _annotated("number_annotated", cases=cases, sets="@annotated_sets") if plan.partial_labels else cases


def _coding(plan: Plan) -> dict[str, Any]:
    values = plan.label_values or plan.labels
    names = sorted(plan.labels, key=plan.labels.__getitem__)
    coding = {"values": [values[name] for name in names], "ignored": list(plan.ignored_values)}
    return {"_target_": "pipeline.training.CodeLabelsd", "keys": "label", **coding}


def _padding(value: int) -> list[dict[str, Any]]:
    """Return the transforms that pad to the patch: the image with 0, the label map with this value."""
    size = {"spatial_size": "@patch"}
    if value == 0:
        return [{"_target_": "SpatialPadd", "keys": ["image", "label"], **size}]
    label = {"_target_": "SpatialPadd", "keys": ["label"], **size, "value": value}
    return [{"_target_": "SpatialPadd", "keys": ["image"], **size}, label]


def _positions(*, coded: bool) -> dict[str, Any]:
    options = {"keys": "label", "num_classes": "@num_labels", "max_samples_per_class": _CENTRES}
    if not coded:
        return {"_target_": "ClassesToIndicesd", **options}
    return {"_target_": "pipeline.training.LabelPositionsd", **options, "ratios": "@class_ratios"}


def _marking() -> dict[str, Any]:
    options = {"keys": "label", "num_labels": "@num_labels", "sets": "$len(@annotated_sets)"}
    return {"_target_": "pipeline.training.MarkAnnotatedd", **options}
