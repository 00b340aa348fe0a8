"""An exported bundle's words: its README after the model zoo's template, its metadata, licences."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..bundle.plan import Plan

__all__ = ["metadata_of", "readme", "results_of", "section"]

_TO_FILL_IN = "TO FILL IN"
# MONAI's runner, engines, readers and progress bars; what else the carried code imports is found in it.
_ALWAYS = ("fire", "nibabel", "pytorch-ignite", "tensorboard", "tqdm")
_DISTRIBUTIONS = {"skimage": "scikit-image", "PIL": "pillow", "ignite": "pytorch-ignite", "yaml": "pyyaml"}
_HAVE_THEIR_OWN_KEY = ("monai", "torch", "numpy")
_NUMBERS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "nsd": "NSD"}


def results_of(bundle: Path, checkpoint_sha256: str) -> dict[str, Any] | None:
    """What was measured of these very weights: ``docs/results/summary.json``, which `lightskip evaluate` wrote.

    Args:
        bundle: the bundle's folder.
        checkpoint_sha256: of the weights to be exported.

    Returns:
        The summary; None where there is none, or it is of other weights.
    """
    file = bundle / "docs" / "results" / "summary.json"
    if not file.is_file():
        return None
    summary: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return summary if summary.get("provenance", {}).get("checkpoint_sha256") == checkpoint_sha256 else None


def metadata_of(
    rendered: Mapping[str, Any], *, scripts: Iterable[str], pictures: bool, results: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The metadata of the exported bundle.

    Args:
        rendered: those of the bundle, as the recipe gives them.
        scripts: texts of the modules that are carried.
        pictures: whether scans are pictures (PNG, TIFF).
        results: as :func:`results_of` gives them.

    Returns:
        The same with the packages that the exported bundle needs, and with what was measured as ``eval_metrics``.
    """
    known: dict[str, str] = rendered["required_packages_version"]
    needed = {*_ALWAYS, *(["pillow"] if pictures else []), *_imported(scripts)}
    packages = {name: known[name] for name in sorted(needed & known.keys())}
    content = {**rendered, "required_packages_version": packages}
    unknown = needed - known.keys() - set(_HAVE_THEIR_OWN_KEY)
    # Of a module of the user's own: any version that is installed may be the tested one.
    packages |= {name: _installed(name) for name in sorted(unknown)}
    if results is None:
        return content
    # After what the data is, before what it is for.
    items = list(content.items())
    at = [key for key, _ in items].index("intended_use")
    return dict([*items[:at], ("eval_metrics", _metrics(results)), *items[at:]])


def readme(
    template: str,
    plan: Plan,
    metadata: Mapping[str, Any],
    bundle: Path,
    *,
    parameters: int,
    left_out: Mapping[int, tuple[int, int]],
    forms: Iterable[str],
    ending: str,
    results: Mapping[str, Any] | None,
) -> str:
    """The README of the exported bundle.

    Sections that its own README has (Data, Performance, Training), written by those who trained it, are taken from
    there; what was not filled in is said to be missing.

    Args:
        template: ``configs/templates/model_zoo.md``.
        plan: the bundle's plan.
        metadata: of the exported bundle.
        bundle: the bundle's folder.
        parameters: how many weights the exported network has.
        left_out: channels that hard selection leaves out, as :class:`~pipeline.networks.prune.Pruned` has them.
        forms: names of the files in ``models/`` beside the weights.
        ending: of a scan's name.
        results: as :func:`results_of` gives them.
    """
    own = bundle / "docs" / "README.md"
    text = own.read_text(encoding="utf-8") if own.is_file() else ""
    shape = " x ".join(map(str, plan.window))
    names = ", ".join(f"{value} {name}" for name, value in plan.labels.items())
    words = {
        "title": plan.title,
        "authors": plan.authors,
        "tags": ", ".join(["Segmentation", plan.data.modality, *list(plan.labels)[1:], "V-Net", "skip connections"]),
        "description": plan.description,
        "dims": plan.spatial_dims,
        "channels": "-".join(map(str, plan.network.channels)),
        "parameters": parameters,
        "pruned": _pruned(left_out),
        "inputs": f"{len(plan.data.channels)} channel(s) ({', '.join(plan.data.channels)}), windows of {shape} voxels",
        "outputs": f"{len(plan.labels)} channels ({names})",
        "data": section(text, "Data") or f"{plan.data.source}. Licence: {plan.data.licence}.",
        "preprocessing": _preprocessing(plan),
        "performance": section(text, "Performance") or _table(results),
        "training": section(text, "Training") or "Not recorded.",
        "forms": "".join(f", `{name}` ({_FORMS[name]})" for name in forms),
        "ending": ending,
        "intended_use": plan.intended_use,
        "references": "\n".join(f"[{i}] {text}\n" for i, text in enumerate(plan.references, start=1)).rstrip(),
        "copyright": plan.copyright,
        "monai_version": metadata["monai_version"],
        "pytorch_version": metadata["pytorch_version"],
    }
    return template.format_map(words)


_FORMS = {"model.ts": "TorchScript", "model.pt2": "`torch.export`", "model.onnx": "ONNX"}


def section(markdown: str, title: str) -> str:
    """The text below a second-level heading, empty where there is none or it is still to be filled in."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", markdown, flags=re.MULTILINE | re.DOTALL)
    text = found.group(1).strip() if found else ""
    return "" if _TO_FILL_IN in text else text


def _pruned(left_out: Mapping[int, tuple[int, int]]) -> str:
    if not left_out:
        return "No channel was pruned."
    each = ", ".join(f"{gone} of {total} at level {level}" for level, (gone, total) in sorted(left_out.items()))
    return f"Channels that hard selection left out were pruned, with the same output: {each} (level 0 is the finest)."


def _preprocessing(plan: Plan) -> str:
    spacing = " x ".join(f"{size:g}" for size in plan.spacing)
    if plan.intensity_range is None:
        how = "each scan by its own mean and standard deviation"
        how += " of the voxels that are not zero" if plan.normalisation == "zscore_nonzero" else ""
    elif plan.intensity_mean is not None:
        how = f"clipped to {plan.intensity_range}, then the mean {plan.intensity_mean:g} and the standard deviation "
        how += f"{plan.intensity_std:g} of the dataset"
    else:
        how = f"clipped to {plan.intensity_range}, then each scan by its own mean and standard deviation"
    turned = plan.orientation[: plan.spatial_dims]
    return f"Turned to {turned}, resampled to {spacing} mm (linear), normalised: {how}. All of it is in the configs."


def _table(results: Mapping[str, Any] | None) -> str:
    if results is None:
        return "Not measured."
    rows = [("label", *_NUMBERS.values()), ("---",) * (len(_NUMBERS) + 1)]
    for name, numbers in {**results["labels"], "mean of labels": results["overall"]}.items():
        rows.append((name, *(f"{numbers[key]['mean']:.4f}" for key in _NUMBERS)))
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    where = f"{results['cases']} cases of the validation fold, in the scans' own grid"
    return f"{where} ({results['provenance']['precision']}, {results['provenance']['device']}):\n\n{lines}"


def _metrics(results: Mapping[str, Any]) -> dict[str, float]:
    overall, metrics = results["overall"], {}
    for key in _NUMBERS:
        metrics[f"mean_{key}"] = round(overall[key]["mean"], 4)
    for name, numbers in results["labels"].items():
        metrics[f"{name}_dice"] = round(numbers["dice"]["mean"], 4)
    return metrics


def _imported(texts: Iterable[str]) -> set[str]:
    """Distributions that the texts import, the standard library aside."""
    modules: set[str] = set()
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            modules |= {item.name.partition(".")[0] for item in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(str(node.module).partition(".")[0])
    return {_DISTRIBUTIONS.get(name, name) for name in modules - sys.stdlib_module_names - set(_HAVE_THEIR_OWN_KEY)}


def _installed(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version(name)
    except PackageNotFoundError:
        return "any"
