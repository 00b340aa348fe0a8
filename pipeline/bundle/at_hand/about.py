"""The facts of a bundle for a list: task, labels, modality, spacing, Dice, licence. Needs neither torch nor MONAI.

They are read from JSON that another person may have written, so nothing in it is taken for granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, TypeGuard

from ...data.json_file import load_json
from ..training_facts import describe_all_cases
from ..trainings import list_trainings, own_weights

__all__ = ["About", "Dice", "read_about"]

_MAX_BYTES = 20_000_000  # of a config
_LICENCE = "; licence: "  # in the metadata, as `lightskip render` writes it
_RESULTS = "docs/results/summary.json"


@dataclass(frozen=True)
class Dice:
    """The Dice of a bundle.

    Attributes:
        mean: mean over the labels of their mean Dice, 0 to 1.
        labels: mean Dice of each label, 0 to 1; without those that no case has.
        cases: number of cases; None if that is unknown.
        file: the file that says so, in the bundle.
    """

    mean: float
    labels: Mapping[str, float]
    cases: int | None
    file: str


@dataclass(frozen=True)
class About:
    """The facts of a bundle. A fact that its files do not have is None or empty.

    Attributes:
        title: its name in the metadata.
        version: its version.
        task: what it segments.
        labels: value by name, with the background.
        modality: modality of the scans, such as MRI.
        channels: names of the channels.
        spacing: along each axis of the network's grid; None if scans are not resampled.
        unit: of the spacing: mm, or px, um or nm of pictures.
        dice: how well it segments.
        licence: licence of the training data.
        weights: the bundle's own weights; None if there are none.
        trainings: names of trainings with weights.
        unvalidated: those of them that were trained on all cases, by name: text that says so.
        problem: why its files cannot be read; empty if they can.
        regions: the labels of each region that the network predicts; empty for a network of labels.
    """

    title: str
    version: str
    task: str
    labels: Mapping[str, int]
    modality: str
    channels: tuple[str, ...]
    spacing: tuple[float, ...] | None
    dice: Dice | None
    licence: str
    weights: Path | None
    trainings: tuple[str, ...]
    problem: str = ""
    unit: str = "mm"
    unvalidated: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_about(bundle: Path) -> About:
    """Return the facts of a bundle. Files that are missing or damaged leave facts out, and never raise.

    Args:
        bundle: the bundle's folder.
    """
    metadata, problem = _read(bundle / "configs" / "metadata.json")
    config, other = _read(bundle / "configs" / "inference.json")
    formats = _mapping(metadata.get("network_data_format"))
    scans = _first(formats.get("inputs"))
    weights, trained = own_weights(bundle), [one for one in list_trainings(bundle) if one.weights.is_file()]
    labels = _read_labels(config, metadata, _first(formats.get("outputs")))
    return About(
        title=_text(metadata.get("name")),
        version=_text(metadata.get("version")),
        task=_text(metadata.get("task")),
        labels=labels,
        regions=_read_regions(config, _first(formats.get("outputs")), labels),
        modality=_text(scans.get("modality")),
        channels=tuple(_text(name) for name in _mapping(scans.get("channel_def")).values()),
        spacing=_read_spacing(config),
        unit=_text(_mapping(metadata.get("training_scans")).get("unit")) or "mm",
        dice=_read_dice(bundle, metadata),
        licence=_text(metadata.get("data_source")).partition(_LICENCE)[2],
        weights=weights if weights.is_file() else None,
        trainings=tuple(one.name for one in trained),
        problem=problem or other,
        unvalidated={one.name: text for one in trained if (text := describe_all_cases(one.weights))},
    )


def _read(file: Path) -> tuple[dict[str, Any], str]:
    """Return the content of a JSON file, and why it cannot be read; nothing for a file that does not exist."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            return {}, f"{file.name} is larger than {_MAX_BYTES // 10**6} MB"
        content = load_json(file)
    except FileNotFoundError:
        return {}, f"no {file.parent.name}/{file.name}"
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"{file.name} cannot be read ({error})"
    return (content, "") if isinstance(content, dict) else ({}, f"{file.name} is not a mapping")


def _read_labels(config: Mapping[str, Any], metadata: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, int]:
    """Return value by name: from the config, or from the metadata of an exported bundle.

    Of a bundle that predicts regions the output channels are no labels, and its metadata lists these apart.
    """
    labels = _mapping(config.get("labels")) or _mapping(metadata.get("labels"))
    found = {str(name): value for name, value in labels.items() if isinstance(value, int)}
    if found:
        return found
    names = _mapping(outputs.get("channel_def"))
    return {_text(name): int(value) for value, name in names.items() if str(value).isdecimal()}


def _read_regions(
    config: Mapping[str, Any], outputs: Mapping[str, Any], labels: Mapping[str, int]
) -> dict[str, tuple[str, ...]]:
    """Return the labels of each region, from the config's decision; empty for a network of labels."""
    steps = _mapping(config.get("postprocessing")).get("transforms")
    by_value = {value: name for name, value in labels.items()}
    for step in steps if isinstance(steps, list) else ():
        listed = _mapping(step).get("regions")
        if str(_mapping(step).get("_target_")).endswith("DecodeRegionsd") and isinstance(listed, list):
            names = [_text(name) for name in _mapping(outputs.get("channel_def")).values()]
            values = [each if isinstance(each, list) else [] for each in listed]
            own = [tuple(by_value[value] for value in each if value in by_value) for each in values]
            return dict(zip(names, own, strict=False))
    return {}


def _read_spacing(config: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return the spacing of the config's first resampling; None if there is none, or it is computed."""
    steps = _mapping(config.get("preprocessing")).get("transforms")
    for step in steps if isinstance(steps, list) else ():
        if str(_mapping(step).get("_target_")).endswith("Spacingd"):
            sizes = step.get("pixdim")
            numbers = sizes if isinstance(sizes, list) else [sizes]
            return tuple(map(float, numbers)) if all(_is_number(size) for size in numbers) else None
    return None


def _read_dice(bundle: Path, metadata: Mapping[str, Any]) -> Dice | None:
    """Return the Dice that the bundle's documents have, else that of its latest evaluation, else the metadata's."""
    evaluations = sorted((bundle / "evaluation").glob("*/summary.json"), key=_age)
    for file in (bundle / _RESULTS, *evaluations):
        summary, _ = _read(file)
        labels = {
            str(name): _mapping(_mapping(numbers).get("dice")).get("mean")
            for name, numbers in _mapping(summary.get("labels")).items()
        }
        mean = _mapping(_mapping(summary.get("overall")).get("dice")).get("mean")
        cases = summary.get("cases")
        if _is_number(mean):
            known = {name: float(value) for name, value in labels.items() if _is_number(value)}
            return Dice(float(mean), known, cases if isinstance(cases, int) else None, str(file.relative_to(bundle)))
    metrics = _mapping(metadata.get("eval_metrics"))
    mean = metrics.get("mean_dice")
    if not _is_number(mean):
        return None
    of_labels = {
        str(key).removesuffix("_dice"): float(value)
        for key, value in metrics.items()
        if str(key).endswith("_dice") and key != "mean_dice" and _is_number(value)
    }
    return Dice(float(mean), of_labels, None, "configs/metadata.json")


def _age(file: Path) -> float:
    """Return a key that sorts the file that was written last first."""
    try:
        return -file.stat().st_mtime
    except OSError:
        return 0.0


def _first(value: Any) -> Mapping[str, Any]:
    return next((_mapping(one) for one in _mapping(value).values()), {})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
