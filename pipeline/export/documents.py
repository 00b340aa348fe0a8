"""An exported bundle's words: its README after the model zoo's template, its metadata, licences."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.plan import Plan
from .choices import TO_FILL_IN
from .layout import Layout
from .network import Exported

__all__ = ["metadata_of", "readme", "results_of", "section"]

# MONAI's runner, engines, readers and progress bars; what else the carried code imports is found in it.
_ALWAYS = ("fire", "nibabel", "pytorch-ignite", "tensorboard", "tqdm")
_DISTRIBUTIONS = {"skimage": "scikit-image", "PIL": "pillow", "ignite": "pytorch-ignite", "yaml": "pyyaml"}
_HAVE_THEIR_OWN_KEY = ("monai", "torch", "numpy")
_NUMBERS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "nsd": "NSD at {tolerance:g} mm"}
_FORMS = {"model.ts": "TorchScript", "model.pt2": "`torch.export`", "model.onnx": "ONNX"}
# Those of the paper, Select-Attend-Transfer.
_LIGHT = {"at", "st", "sat"}


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
    rendered: Mapping[str, Any], *, scripts: Iterable[str], layout: Layout, results: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The metadata of the exported bundle.

    Args:
        rendered: those of the bundle, as the recipe gives them.
        scripts: texts of the modules that are carried.
        layout: where the dataset's files lie, and what they are.
        results: as :func:`results_of` gives them.

    Returns:
        The same with the packages that the exported bundle needs, and with what was measured as ``eval_metrics``.
    """
    known: dict[str, str] = rendered["required_packages_version"]
    needed = {*_ALWAYS, *layout.packages, *_imported(scripts)}
    packages = {name: known[name] for name in sorted(needed & known.keys())}
    content = {**rendered, "required_packages_version": packages, "data_type": layout.data_type}
    unknown = needed - known.keys() - set(_HAVE_THEIR_OWN_KEY)
    # Of a module of the user's own: any version that is installed may be the tested one.
    packages |= dict(_installed(name) for name in sorted(unknown))
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
    network: Exported,
    forms: Sequence[str],
    layout: Layout,
    listed: str,
    results: Mapping[str, Any] | None,
) -> str:
    """The README of the exported bundle.

    Sections that its own README has (Data, Performance, Training), written by those who trained it, are taken from
    there, the last two only where they are about the exported weights; what was not filled in is said to be missing.

    Args:
        template: ``configs/templates/model_zoo.md``.
        plan: the bundle's plan.
        metadata: of the exported bundle.
        bundle: the bundle's folder.
        network: the exported one.
        forms: names of the files in ``models/`` beside the weights.
        layout: where the dataset's files lie, and how their names end.
        listed: the file that lists the cases, as the README is to name it; empty for none.
        results: as :func:`results_of` gives them.
    """
    own = bundle / "docs" / "README.md"
    text = own.read_text(encoding="utf-8") if own.is_file() else ""
    about_weights = text if results is not None else ""
    shape = " x ".join(map(str, plan.window))
    names = ", ".join(f"{value} {name}" for name, value in plan.labels.items())
    words = {
        "title": plan.title,
        "authors": plan.authors,
        "tags": ", ".join(
            ["Segmentation", plan.data.modality, *list(plan.labels)[1:], network.title, "skip connections"]
        ),
        "description": plan.description,
        "dims": plan.spatial_dims,
        "network": network.title + (f" ({network.publication})" if network.publication else ""),
        "channels": "-".join(map(str, network.channels)),
        "parameters": network.parameters,
        "skips": _skips(network.pruned.spec["skip"]),
        "pruned": _pruned(network.pruned.left_out),
        "inputs": f"{len(plan.data.channels)} channel(s) ({', '.join(plan.data.channels)}), windows of {shape} voxels",
        "outputs": f"{len(plan.labels)} channels ({names})",
        "cleaning": _cleaning(plan),
        "data": section(text, "Data") or f"{plan.data.source}. Licence: {plan.data.licence}.",
        "preprocessing": _preprocessing(plan),
        "performance": section(about_weights, "Performance") or _table(results),
        "training": section(about_weights, "Training") or "Not recorded.",
        "forms": _forms(forms),
        "ending": layout.image_ending,
        "dataset": _dataset(layout, listed=listed),
        "intended_use": plan.intended_use,
        "references": "\n".join(f"[{i}] {text}\n" for i, text in enumerate(plan.references, start=1)).rstrip(),
        "copyright": plan.copyright,
        "monai_version": metadata["monai_version"],
        "pytorch_version": metadata["pytorch_version"],
    }
    return template.format_map(words)


def section(markdown: str, title: str) -> str:
    """The text below a second-level heading, empty where there is none or it is still to be filled in."""
    lines: list[str] = []
    is_inside = is_code = False
    for line in markdown.splitlines():
        # A comment in a block of code is no heading.
        is_code ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not is_code:
            is_inside = line.rstrip() == f"## {title}"
        elif is_inside:
            lines.append(line)
    text = "\n".join(lines).strip()
    return "" if TO_FILL_IN in text else text


def _skips(skip: Any) -> str:
    several = isinstance(skip, list | tuple) and not (len(skip) == 2 and isinstance(skip[1], dict))
    each = skip if several else [skip]
    names = dict.fromkeys((spec if isinstance(spec, str) else spec[0]).lower() for spec in each)
    if names.keys() <= _LIGHT:
        return "light skip connections after Select-Attend-Transfer\n(Taghanaki et al., arXiv 1804.05181)"
    return "the skip connections " + ", ".join(f"`{name}`" for name in names)


def _cleaning(plan: Plan) -> str:
    steps = plan.postprocessing
    done = [f"the largest component of {name} alone is kept" for name in steps.largest_component]
    done += [f"holes in {name} are filled" for name in steps.fill_holes]
    for sizes, unit in ((steps.minimum_ml, "ml"), (steps.minimum_mm2, "mm2")):
        done += [f"components of {name} below {size:g} {unit} are removed" for name, size in sizes.items()]
    return f" It is cleaned: {', '.join(done)}." if done else ""


def _forms(forms: Sequence[str]) -> str:
    each = "".join(f", `{name}` ({_FORMS[name]})" for name in forms)
    if not forms:
        return f"{each}."
    return (
        f"{each}. `docs/formats.json` has how far their logits are from those of the weights in PyTorch, on a random "
        "input and in float32."
    )


def _dataset(layout: Layout, *, listed: str) -> str:
    folders = f"`DATASET` is the folder that has `{layout.images}/` and `{layout.labels}/`"
    return folders + (
        f" with the files that {listed} names, in folds; the first fold validates, `--fold 1` another."
        if listed
        else ": a label map has the name of its image. Every fifth case validates, `--fold 1` takes others."
    )


def _pruned(left_out: Mapping[int, tuple[int, int]]) -> str:
    if not left_out:
        return "No channel was pruned."
    each = ", ".join(f"{gone} of {total} at level {level}" for level, (gone, total) in sorted(left_out.items()))
    what = "Channels that hard selection left out were pruned, with the same output up to rounding"
    return f"{what}: {each} (level 0 is the finest)."


def _preprocessing(plan: Plan) -> str:
    spacing = " x ".join(f"{size:g}" for size in plan.spacing)
    clipped = "" if plan.intensity_range is None else f"clipped to {plan.intensity_range}, then "
    which = "not zero" if plan.intensity_range is None else f"above {plan.intensity_range[0]:g}"
    if plan.intensity_range is not None and plan.intensity_mean is not None:
        numbers = f"the mean {plan.intensity_mean:g} and the standard deviation {plan.intensity_std:g}"
        how = f"{clipped}{numbers} of the dataset"
    else:
        how = f"{clipped}each channel of a scan by its own mean and standard deviation"
        how += f" of the voxels that are {which}" if plan.normalisation == "zscore_nonzero" else ""
    turned = plan.orientation[: plan.spatial_dims]
    return f"Turned to {turned}, resampled to {spacing} mm (linear), normalised: {how}. All of it is in the configs."


def _table(results: Mapping[str, Any] | None) -> str:
    if results is None:
        return "Not measured."
    heads = [head.format(tolerance=results["tolerance_mm"]) for head in _NUMBERS.values()]
    rows = [("label", *heads), ("---",) * (len(_NUMBERS) + 1)]
    for name, numbers in {**results["labels"], "mean of labels": results["overall"]}.items():
        rows.append((name, *(_figure(numbers[key]["mean"]) for key in _NUMBERS)))
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    where = f"{results['cases']} cases of the validation fold, in the scans' own grid"
    return f"{where} ({results['provenance']['precision']}, {results['provenance']['device']}):\n\n{lines}"


def _figure(value: float | None) -> str:
    # No case may have had a label, or all that had it may have been missed.
    return "-" if value is None else f"{value:.4f}"


def _metrics(results: Mapping[str, Any]) -> dict[str, float]:
    """Means by name; those that are undefined are left out, as the schema wants numbers."""
    means = {f"mean_{key}": results["overall"][key]["mean"] for key in _NUMBERS}
    means |= {f"{name}_dice": numbers["dice"]["mean"] for name, numbers in results["labels"].items()}
    return {name: round(mean, 4) for name, mean in means.items() if mean is not None}


def _imported(texts: Iterable[str]) -> set[str]:
    """Distributions that the texts import, the standard library aside."""
    modules: set[str] = set()
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            modules |= {item.name.partition(".")[0] for item in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(str(node.module).partition(".")[0])
    return {_DISTRIBUTIONS.get(name, name) for name in modules - sys.stdlib_module_names - set(_HAVE_THEIR_OWN_KEY)}


def _installed(module: str) -> tuple[str, str]:
    """The distribution that a module is of, and its version here."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version  # noqa: PLC0415

    name = packages_distributions().get(module, [module])[0]
    try:
        return name, version(name)
    except PackageNotFoundError:
        return name, "any"
