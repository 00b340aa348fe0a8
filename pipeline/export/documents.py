"""Make an exported bundle's README, after the model zoo's template, and its metadata."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bundle.plan import Plan
from ..bundle.skip_words import introduce_skip
from ..data.json_file import read_json
from ..evaluation.metric_names import find_name, tolerance_of
from ..evaluation.rows import name_overall
from .choices import TO_FILL_IN
from .layout import Layout
from .network import ExportedNetwork

__all__ = ["fill_readme", "find_section", "make_metadata", "read_results"]

# For MONAI's runner, engines, readers and progress bars. Other packages are found in the bundle's code.
_ALWAYS = ("fire", "nibabel", "pytorch-ignite", "tensorboard", "tqdm")
_DISTRIBUTIONS = {"skimage": "scikit-image", "PIL": "pillow", "ignite": "pytorch-ignite", "yaml": "pyyaml"}
_HAVE_THEIR_OWN_KEY = ("monai", "torch", "numpy")
_NUMBERS = {"dice": "Dice", "hd95_mm": "HD95 ({unit})", "nsd": "NSD at {tolerance:g} {unit}"}
_FORM_NAMES = {"model.ts": "TorchScript", "model.pt2": "`torch.export`", "model.onnx": "ONNX"}
_INT8 = "model.int8.xml"


def read_results(bundle: Path, checkpoint_sha256: str) -> dict[str, Any] | None:
    """Read the results of exactly these weights: ``docs/results/summary.json``, which `lightskip evaluate` wrote.

    Args:
        bundle: the bundle's folder.
        checkpoint_sha256: checksum of the weights to export.

    Returns:
        The summary; None if there is none, or it is of other weights.
    """
    file = bundle / "docs" / "results" / "summary.json"
    if not file.is_file():
        return None
    summary: dict[str, Any] = read_json(file)
    return summary if summary.get("provenance", {}).get("checkpoint_sha256") == checkpoint_sha256 else None


def make_metadata(
    rendered: Mapping[str, Any],
    *,
    scripts: Iterable[str],
    layout: Layout,
    results: Mapping[str, Any] | None,
    all_cases: str = "",
) -> dict[str, Any]:
    """Return the metadata of the exported bundle.

    Args:
        rendered: metadata of the original bundle, rendered from the recipe.
        scripts: texts of the modules in the exported bundle.
        layout: the folders and endings of the dataset's files.
        results: from :func:`read_results`.
        all_cases: that the weights were trained on all cases, if so: the entry ``validation``.

    Returns:
        The metadata with the packages that the exported bundle needs, and with the results as ``eval_metrics``.
    """
    known: dict[str, str] = rendered["required_packages_version"]
    needed = {*_ALWAYS, *layout.packages, *_find_imported_packages(scripts)}
    packages = {name: known[name] for name in sorted(needed & known.keys())}
    content = {**rendered, "required_packages_version": packages, "data_type": layout.data_type}
    unknown = needed - known.keys() - set(_HAVE_THEIR_OWN_KEY)
    # Packages of the user's modules: the installed version is the best guess at the tested one.
    packages |= dict(_find_installed(name) for name in sorted(unknown))
    # Before the intended use, after the entries about the data.
    items = list(content.items())
    at = [key for key, _ in items].index("intended_use")
    measured = [] if results is None else [("eval_metrics", _make_metrics(results))]
    return dict([*items[:at], *([("validation", all_cases)] if all_cases else []), *measured, *items[at:]])


def fill_readme(
    template: str,
    plan: Plan,
    metadata: Mapping[str, Any],
    bundle: Path,
    *,
    network: ExportedNetwork,
    forms: Sequence[str],
    layout: Layout,
    listed: str,
    results: Mapping[str, Any] | None,
    all_cases: str = "",
) -> str:
    """Return the README of the exported bundle.

    The sections Data, Performance and Training are taken from the original bundle's README where they are filled in.
    Performance and Training are taken only if they describe the exported weights.

    Args:
        template: ``configs/templates/model_zoo.md``.
        plan: the bundle's plan.
        metadata: metadata of the exported bundle.
        bundle: folder of the original bundle.
        network: the exported network.
        forms: names of the files in ``models/`` besides the weights.
        layout: the folders and endings of the dataset's files.
        listed: how the README names the list of cases; empty if there is no list.
        results: from :func:`read_results`.
        all_cases: that the weights were trained on all cases, if so.
    """
    whole = f"The weights were {all_cases}." if all_cases else ""
    own = bundle / "docs" / "README.md"
    text = own.read_text(encoding="utf-8") if own.is_file() else ""
    about_weights = text if results is not None else ""
    shape = " x ".join(map(str, plan.window))
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
        "skips": introduce_skip(network.pruned.spec["skip"], markdown=True),
        "pruned": _describe_pruning(network.pruned.left_out),
        "inputs": f"{len(plan.data.channels)} channel(s) ({', '.join(plan.data.channels)}), windows of {shape} voxels",
        "outputs": _describe_outputs(plan),
        "activation": "sigmoid" if plan.regions else "softmax",
        "cleaning": _describe_decoding(plan) + _describe_cleaning(plan),
        "data": find_section(text, "Data") or f"{plan.data.source}. Licence: {plan.data.licence}.",
        "preprocessing": _describe_preprocessing(plan),
        "performance": find_section(about_weights, "Performance") or _format_results(results, whole),
        "training": find_section(about_weights, "Training") or whole or "Not recorded.",
        "forms": _describe_forms(forms),
        "ending": layout.image_ending,
        "dataset": _describe_dataset(layout, listed=listed),
        "intended_use": plan.intended_use,
        "references": "\n".join(f"[{i}] {text}\n" for i, text in enumerate(plan.references, start=1)).rstrip(),
        "copyright": plan.copyright,
        "monai_version": metadata["monai_version"],
        "pytorch_version": metadata["pytorch_version"],
    }
    return template.format_map(words)


def find_section(markdown: str, title: str) -> str:
    """Return the text under a second-level heading; empty if there is none, or if it is still to be filled in."""
    lines: list[str] = []
    is_inside = is_code = False
    for line in markdown.splitlines():
        # In a code block, "## " starts a comment and not a heading.
        is_code ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not is_code:
            is_inside = line.rstrip() == f"## {title}"
        elif is_inside:
            lines.append(line)
    text = "\n".join(lines).strip()
    return "" if TO_FILL_IN in text else text


def _describe_outputs(plan: Plan) -> str:
    """Return what the network's channels are and, of regions, what is made of them."""
    names = ", ".join(f"{value} {name}" for name, value in plan.labels.items())
    if not plan.regions:
        return f"{len(plan.labels)} channels ({names})"
    made = ", ".join(f"{number} {name} ({' + '.join(plan.regions[name])})" for number, name in enumerate(plan.regions))
    return f"{len(plan.regions)} regions, which may overlap ({made})"


def _describe_decoding(plan: Plan) -> str:
    if not plan.regions:
        return ""
    names = ", ".join(f"{value} {name}" for name, value in plan.labels.items())
    return f" `DecodeRegionsd` makes it of the regions above 0.5; its values are {names}."


def _describe_cleaning(plan: Plan) -> str:
    steps = plan.postprocessing
    done = [f"only the largest component of {name} is kept" for name in steps.largest_component]
    done += [f"holes in {name} are filled" for name in steps.fill_holes]
    for sizes, unit in ((steps.minimum_ml, "ml"), (steps.minimum_mm2, "mm2")):
        done += [f"components of {name} below {size:g} {unit} are removed" for name, size in sizes.items()]
    return f" Cleaning: {', '.join(done)}." if done else ""


def _describe_forms(forms: Sequence[str]) -> str:
    alike = [name for name in forms if name != _INT8]
    text = "".join(f", `{name}` ({_FORM_NAMES[name]})" for name in alike) + "."
    if alike:
        text += (
            " `docs/formats.json` has the largest differences of their logits from PyTorch's, on random float32 input."
        )
    if _INT8 in forms:
        text += (
            f" `{_INT8}` with its `.bin` is the network in int8, for OpenVINO; `model.int8.json` has its Dice next to "
            "float32's, and its window."
        )
    return text


def _describe_dataset(layout: Layout, *, listed: str) -> str:
    folders = f"`DATASET` is the folder that has `{layout.images}/` and `{layout.labels}/`"
    return folders + (
        f" with the files that {listed} names, in folds. The first fold validates; `--fold 1` selects another."
        if listed
        else ". A label map has the name of its image. Every fifth case validates; `--fold 1` selects others."
    )


def _describe_pruning(left_out: Mapping[int, tuple[int, int]]) -> str:
    if not left_out:
        return "No channel was pruned."
    each = ", ".join(f"{gone} of {total} at level {level}" for level, (gone, total) in sorted(left_out.items()))
    pruned = "Channels that hard selection left out were pruned; the output is the same up to rounding"
    return f"{pruned}: {each} (level 0 is the finest)."


def _describe_preprocessing(plan: Plan) -> str:
    spacing = " x ".join(f"{size:g}" for size in plan.spacing)
    clipped = "" if plan.intensity_range is None else f"clipped to {plan.intensity_range}, then "
    foreground = "not zero" if plan.intensity_range is None else f"above {plan.intensity_range[0]:g}"
    if plan.intensity_range is not None and plan.intensity_mean is not None:
        numbers = f"the mean {plan.intensity_mean:g} and the standard deviation {plan.intensity_std:g}"
        how = f"{clipped}{numbers} of the dataset"
    else:
        how = f"{clipped}each channel of a scan by its own mean and standard deviation"
        how += f" of the voxels that are {foreground}" if plan.normalisation == "zscore_nonzero" else ""
    turned = plan.orientation[: plan.spatial_dims]
    grid = f"Turned to {turned}, resampled to {spacing} {plan.data.unit} (linear)"
    return f"{grid}, normalised: {how}. The configs do all of this."


def _format_results(results: Mapping[str, Any] | None, whole: str) -> str:
    if results is None:
        return f"{whole} Not measured.".lstrip()
    tolerance, unit = tolerance_of(results)
    heads = [head.format(tolerance=tolerance, unit=unit) for head in _NUMBERS.values()]
    regions = results.get("regions")
    rows = [("region" if regions else "label", *heads), ("---",) * (len(_NUMBERS) + 1)]
    for name, numbers in {**results["labels"], name_overall(regions): results["overall"]}.items():
        rows.append((name, *(_format_mean(numbers[find_name(numbers, key)]["mean"]) for key in _NUMBERS)))
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    part = "test cases" if results["provenance"].get("part") == "test" else "cases of the validation fold"
    where = f"{results['cases']} {part}, in the scans' own grid"
    return f"{where} ({results['provenance']['precision']}, {results['provenance']['device']}):\n\n{lines}"


def _format_mean(value: float | None) -> str:
    # Undefined if no case has the label, or every case that has it was missed.
    return "-" if value is None else f"{value:.4f}"


def _make_metrics(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the means by name, without undefined ones, since the metadata's schema requires numbers."""
    names = [find_name(results["overall"], name) for name in _NUMBERS]
    means = {f"mean_{name}": results["overall"][name]["mean"] for name in names}
    means |= {f"{name}_dice": numbers["dice"]["mean"] for name, numbers in results["labels"].items()}
    return {name: round(mean, 4) for name, mean in means.items() if mean is not None}


def _find_imported_packages(texts: Iterable[str]) -> set[str]:
    """Return the distributions that the modules import, without the standard library."""
    modules: set[str] = set()
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            modules |= {item.name.partition(".")[0] for item in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(str(node.module).partition(".")[0])
    return {_DISTRIBUTIONS.get(name, name) for name in modules - sys.stdlib_module_names - set(_HAVE_THEIR_OWN_KEY)}


def _find_installed(module: str) -> tuple[str, str]:
    """Return the distribution that has a module, and its installed version."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version  # noqa: PLC0415

    name = packages_distributions().get(module, [module])[0]
    try:
        return name, version(name)
    except PackageNotFoundError:
        return name, "any"
