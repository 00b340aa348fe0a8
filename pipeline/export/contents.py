"""What an exported bundle holds, written into its folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..bundle.plan import Plan, plan_file
from ..bundle.recipe import fill_recipe
from ..bundle.render import read_manifest, recipe_sources, recipes_folder, to_json
from ..files import write_text
from ..networks.spec_file import spec_file, spec_text
from .archive import files_of, sha256, write_checksums, write_large_files
from .choices import TO_FILL_IN
from .compare import LARGEST, rounded_up
from .configs import export_configs
from .documents import metadata_of, readme, results_of
from .formats import write_formats
from .layout import Layout, layout_of
from .network import Exported
from .scripts import Carried, carry
from .targets import retarget, targets

__all__ = ["Contents", "write_contents"]


@dataclass(frozen=True)
class Contents:
    """What goes into an exported bundle.

    Attributes:
        folder: the exported bundle, which does not exist yet.
        bundle: the folder of the bundle it comes from.
        plan: that one's plan.
        network: what is exported of its network.
        without: what is left out, keys of :data:`.choices.OPTIONAL_PARTS`.
        notes: what its maintainer should know or do; grows while the folder is written.
    """

    folder: Path
    bundle: Path
    plan: Plan
    network: Exported
    without: Collection[str]
    notes: list[str] = field(default_factory=list)

    @property
    def forms(self) -> list[str]:
        """Names of the network's other forms in ``models/``."""
        return [f"model.{form}" for form in ("ts", "pt2", "onnx") if form not in self.without]

    @property
    def has_names(self) -> bool:
        """Whether the names of the dataset's files may be in it."""
        return "datalist" not in self.without


def write_contents(contents: Contents) -> dict[str, float]:
    """Write the folder: code and configs, then the network, then the documents about both.

    Returns:
        The largest difference of each form's logits from PyTorch's, by file name.

    Raises:
        InputError: a recipe is wrong, code cannot be carried, or PyTorch cannot write a form.
    """
    manifest = _manifest(contents)
    layout = layout_of(manifest)
    # Numbers of other weights would be wrong.
    results = results_of(contents.bundle, sha256(contents.network.source))
    carried = _write_code(contents, layout)
    _write_datalist(contents, manifest)
    metadata = _metadata(contents, carried, layout, results)
    write_text(contents.folder / "configs" / "metadata.json", to_json(metadata))
    differences = _write_models(contents)
    _write_documents(contents, metadata, layout, results)
    large = write_large_files(contents.folder)
    if large:
        contents.notes.append(f"large_files.yml: fill in where {', '.join(large)} can be downloaded")
    write_checksums(contents.folder)
    return differences


def _manifest(contents: Contents) -> dict[str, Any] | None:
    name = contents.plan.data.manifest
    return None if name is None else read_manifest(contents.bundle / name)


def _write_code(contents: Contents, layout: Layout) -> Carried:
    """Write configs and the modules that they name."""
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
    named = {part for config in configs.values() for part in targets(config)}
    carried = carry(plan.name, {module for module, _ in named}, network.own, registering=network.registering)
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
        f"configs/datalist.json names the files of {len(manifest['training'])} cases; where names tell who was "
        "scanned, export --without datalist"
    )


def _metadata(
    contents: Contents, carried: Carried, layout: Layout, results: Mapping[str, Any] | None
) -> dict[str, Any]:
    recipes = recipes_folder()
    sources = recipe_sources(contents.plan, plan_file(contents.bundle), recipes)
    rendered = fill_recipe(recipes / "metadata.yaml", sources)
    return metadata_of(rendered, scripts=carried.files.values(), layout=layout, results=results)


def _write_models(contents: Contents) -> dict[str, float]:
    models, network = contents.folder / "models", contents.network
    models.mkdir()
    if network.is_pruned:
        torch.save(network.pruned.weights, models / "model.pt")
    else:
        # The very file that was measured.
        shutil.copyfile(network.source, models / "model.pt")
    weights = models / "model.pt"
    write_text(spec_file(weights), spec_text(network.pruned.spec, [sha256(weights)]))
    differences = write_formats(contents.folder, contents.forms)
    if differences:
        stated = {name: rounded_up(difference) for name, difference in differences.items()}
        content = {"largest_logit_difference_at_most": stated, "input": "normally distributed windows, float32, seed 0"}
        write_text(contents.folder / "docs" / "formats.json", json.dumps(content, indent=2) + "\n")
    contents.notes.extend(
        f"models/{name}: logits differ by {difference:.1e} from PyTorch's, more than {LARGEST:.0e}"
        for name, difference in differences.items()
        if difference > LARGEST
    )
    return differences


def _write_documents(
    contents: Contents, metadata: Mapping[str, Any], layout: Layout, results: Mapping[str, Any] | None
) -> None:
    folder, bundle, notes, recipes = contents.folder, contents.bundle, contents.notes, recipes_folder()
    text = readme(
        (recipes / "templates" / "model_zoo.md").read_text(encoding="utf-8"),
        contents.plan,
        metadata,
        bundle,
        network=contents.network,
        forms=contents.forms,
        layout=layout,
        listed=_list_of_cases(contents),
        results=results,
    )
    write_text(folder / "docs" / "README.md", text)
    if not contents.has_names and any(part in text for part in ("results/", "configs/datalist.json")):
        notes.append("docs/README.md speaks of the datalist or of results, which were left out")
    licence, data_licence = bundle / "LICENSE", bundle / "docs" / "data_license.txt"
    shutil.copyfile(licence if licence.is_file() else recipes / "templates" / "LICENSE", folder / "LICENSE")
    if data_licence.is_file():
        shutil.copyfile(data_licence, folder / "docs" / "data_license.txt")
    else:
        notes.append("docs/data_license.txt is missing: write whose data it was trained on, and under which licence")
    if results is None:
        notes.append(
            "no measurement of these weights in docs/results: metadata have no eval_metrics, README no performance"
        )
    else:
        _copy_results(contents)
    written = (name for name, path in files_of(folder / "docs") if path.suffix in (".md", ".txt") and _is_open(path))
    notes.extend(f"docs/{name} has words {TO_FILL_IN}" for name in written)


def _list_of_cases(contents: Contents) -> str:
    """The file that lists the dataset's cases, as a README names it; empty where there is none."""
    if not contents.has_names:
        return ""
    return "its `dataset.json`" if contents.plan.data.manifest is None else "`configs/datalist.json`"


def _copy_results(contents: Contents) -> None:
    """Copy what was measured of these weights, and pictures of their training."""
    docs = contents.folder / "docs"
    for picture in sorted((contents.bundle / "docs").glob("*.png")):
        shutil.copyfile(picture, docs / picture.name)
    if contents.has_names:
        # Its cases are named by their files.
        shutil.copytree(contents.bundle / "docs" / "results", docs / "results", copy_function=shutil.copyfile)


def _is_open(path: Path) -> bool:
    return TO_FILL_IN in path.read_text(encoding="utf-8")
