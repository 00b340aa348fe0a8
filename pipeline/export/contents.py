"""Write the content of an exported bundle into its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..bundle.plan import Plan, plan_file
from ..bundle.render import fill_metadata, read_manifest, recipe_sources, recipes_folder, to_json
from ..bundle.training_facts import describe_all_cases
from ..data.int8_file import copy_int8
from ..files import write_text
from ..networks.spec_file import spec_file, spec_text
from .archive import file_sha256, list_files, write_checksums, write_large_files
from .choices import TO_FILL_IN
from .compare import MAX_DIFFERENCE, round_up
from .configs import export_configs
from .documents import fill_readme, make_metadata, read_results
from .formats import write_formats
from .layout import Layout, find_layout
from .network import ExportedNetwork
from .scripts import CarriedCode, carry_code
from .targets import list_targets, retarget

__all__ = ["Contents", "write_contents"]


@dataclass(frozen=True)
class Contents:
    """What goes into an exported bundle.

    Attributes:
        folder: folder of the exported bundle, which does not exist yet.
        bundle: folder of the bundle to export.
        plan: the plan of that bundle.
        network: the network to export.
        without: parts to leave out, keys of :data:`.choices.OPTIONAL_PARTS`.
        int8: whether to include the int8 form, for OpenVINO.
        notes: what the maintainer should know or do. Writing the folder adds to it.
    """

    folder: Path
    bundle: Path
    plan: Plan
    network: ExportedNetwork
    without: Collection[str]
    int8: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def forms(self) -> list[str]:
        """File names of the network's other forms in ``models/``."""
        return [f"model.{form}" for form in ("ts", "pt2", "onnx") if form not in self.without]

    @property
    def has_names(self) -> bool:
        """Whether the bundle may name the dataset's files."""
        return "datalist" not in self.without


def write_contents(contents: Contents) -> dict[str, float]:
    """Write code and configs, then the network, then the documents about both.

    Returns:
        The largest difference between each form's logits and PyTorch's, by file name.

    Raises:
        InputError: a recipe has a mistake, code cannot be included, or PyTorch cannot write a form.
    """
    manifest = _read_manifest(contents)
    layout = find_layout(manifest)
    # Only results of exactly these weights are exported.
    results = read_results(contents.bundle, file_sha256(contents.network.source))
    carried = _write_code(contents, layout)
    _write_datalist(contents, manifest)
    metadata = _make_metadata(contents, carried, layout, results)
    write_text(contents.folder / "configs" / "metadata.json", to_json(metadata))
    differences = _write_models(contents)
    _write_documents(contents, metadata, layout, results)
    if whole := describe_all_cases(contents.network.source):
        contents.notes.append(f"the weights were {whole}; the README and the metadata say so")
    large = write_large_files(contents.folder)
    if large:
        contents.notes.append(f"large_files.yml: fill in where {', '.join(large)} can be downloaded")
    write_checksums(contents.folder)
    return differences


def _read_manifest(contents: Contents) -> dict[str, Any] | None:
    name = contents.plan.data.manifest
    return None if name is None else read_manifest(contents.bundle / name)


def _write_code(contents: Contents, layout: Layout) -> CarriedCode:
    """Write the configs and the modules that they name."""
    plan, network, folder, recipes = contents.plan, contents.network, contents.folder, recipes_folder()
    configs = export_configs(
        plan,
        plan_file(contents.bundle),
        recipes,
        target=network.target,
        spec=network.pruned.spec,
        layout=layout,
        with_datalist=contents.has_names,
    )
    named = {part for config in configs.values() for part in list_targets(config)}
    carried = carry_code(
        plan.name, {module for module, _ in named}, network.user_modules, skip_modules=network.skip_modules
    )
    for path, text in carried.files.items():
        write_text(folder / "scripts" / path, text)
    for name, config in configs.items():
        write_text(folder / "configs" / f"{name}.json", to_json(retarget(config, carried.names)))
    write_text(folder / "configs" / "logging.conf", (recipes / "logging.conf").read_text(encoding="utf-8"))
    return carried


def _write_datalist(contents: Contents, manifest: Mapping[str, Any] | None) -> None:
    if manifest is None or not contents.has_names:
        return
    write_text(contents.folder / "configs" / "datalist.json", to_json(dict(manifest)))
    contents.notes.append(
        f"configs/datalist.json names the files of {len(manifest['training'])} cases. If the names identify patients, "
        "export --without datalist"
    )


def _make_metadata(
    contents: Contents, carried: CarriedCode, layout: Layout, results: Mapping[str, Any] | None
) -> dict[str, Any]:
    recipes = recipes_folder()
    sources = recipe_sources(contents.plan, plan_file(contents.bundle), recipes)
    rendered = fill_metadata(recipes, sources)
    return make_metadata(
        rendered,
        scripts=carried.files.values(),
        layout=layout,
        results=results,
        all_cases=describe_all_cases(contents.network.source),
    )


def _write_models(contents: Contents) -> dict[str, float]:
    models, network = contents.folder / "models", contents.network
    models.mkdir()
    if network.is_pruned:
        torch.save(network.pruned.weights, models / "model.pt")
    else:
        # Byte for byte the file that was evaluated.
        shutil.copyfile(network.source, models / "model.pt")
    weights = models / "model.pt"
    write_text(spec_file(weights), spec_text(network.pruned.spec, [file_sha256(weights)]))
    if contents.int8:
        copy_int8(network.source, weights)
    differences = write_formats(contents.folder, contents.forms)
    if differences:
        stated = {name: round_up(difference) for name, difference in differences.items()}
        content = {"largest_logit_difference_at_most": stated, "input": "normally distributed windows, float32, seed 0"}
        write_text(contents.folder / "docs" / "formats.json", json.dumps(content, indent=2) + "\n")
    contents.notes.extend(
        f"models/{name}: logits differ by {difference:.1e} from PyTorch's; at most {MAX_DIFFERENCE:.0e} is expected"
        for name, difference in differences.items()
        if difference > MAX_DIFFERENCE
    )
    return differences


def _write_documents(
    contents: Contents, metadata: Mapping[str, Any], layout: Layout, results: Mapping[str, Any] | None
) -> None:
    folder, bundle, notes, recipes = contents.folder, contents.bundle, contents.notes, recipes_folder()
    text = fill_readme(
        (recipes / "templates" / "model_zoo.md").read_text(encoding="utf-8"),
        contents.plan,
        metadata,
        bundle,
        network=contents.network,
        forms=[*contents.forms, *(["model.int8.xml"] if contents.int8 else [])],
        layout=layout,
        listed=_name_case_list(contents),
        results=results,
        all_cases=describe_all_cases(contents.network.source),
    )
    write_text(folder / "docs" / "README.md", text)
    if not contents.has_names and any(part in text for part in ("results/", "configs/datalist.json")):
        notes.append("docs/README.md mentions the datalist or the results, which were left out")
    licence, data_licence = bundle / "LICENSE", bundle / "docs" / "data_license.txt"
    shutil.copyfile(licence if licence.is_file() else recipes / "templates" / "LICENSE", folder / "LICENSE")
    if data_licence.is_file():
        shutil.copyfile(data_licence, folder / "docs" / "data_license.txt")
    else:
        notes.append("docs/data_license.txt is missing: write there who owns the training data, and its licence")
    if results is None:
        notes.append(
            "docs/results has no evaluation of these weights: metadata.json has no eval_metrics, and the README no "
            "performance"
        )
    else:
        _copy_results(contents)
    written = (name for name, path in list_files(folder / "docs") if path.suffix in (".md", ".txt") and _has_gaps(path))
    notes.extend(f"docs/{name} has places marked {TO_FILL_IN}" for name in written)


def _name_case_list(contents: Contents) -> str:
    """Return how the README names the list of cases; empty if there is no list."""
    if not contents.has_names:
        return ""
    return "its `dataset.json`" if contents.plan.data.manifest is None else "`configs/datalist.json`"


def _copy_results(contents: Contents) -> None:
    """Copy the results of these weights and the pictures of their training."""
    docs = contents.folder / "docs"
    for picture in sorted((contents.bundle / "docs").glob("*.png")):
        shutil.copyfile(picture, docs / picture.name)
    if contents.has_names:
        # Results name the cases by their files.
        shutil.copytree(contents.bundle / "docs" / "results", docs / "results", copy_function=shutil.copyfile)


def _has_gaps(path: Path) -> bool:
    return TO_FILL_IN in path.read_text(encoding="utf-8")
