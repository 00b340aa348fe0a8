"""``lightskip export``: from a bundle of ours to one that stands alone."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..bundle.plan import Plan, load_plan, plan_file
from ..bundle.recipe import fill_recipe
from ..bundle.render import read_manifest, recipe_sources, recipes_folder, to_json
from ..files import write_text
from .archive import files_of, sha256, write_checksums, write_large_files, write_zip
from .compare import LARGEST, rounded_up
from .configs import export_configs
from .documents import metadata_of, readme, results_of
from .earlier import require_new
from .formats import write_formats
from .given import require_ours, require_rendered
from .layout import Layout, layout_of
from .network import Exported, load_network
from .scripts import Carried, carry
from .targets import retarget, targets

__all__ = ["CHOICES", "Made", "export_bundle"]

# What can be left out.
CHOICES = ("ts", "pt2", "onnx", "datalist", "zip")


@dataclass
class Made:
    """What an export made.

    Attributes:
        folder: the bundle.
        archive: its zip; None where none was wanted.
        left_out: channels pruned by level of the network, of how many.
        differences: largest difference of a form's logits from PyTorch's, by file name.
        notes: what its maintainer should know or do.
    """

    folder: Path
    archive: Path | None
    left_out: dict[int, tuple[int, int]]
    differences: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def export_bundle(
    bundle: Path,
    output: Path,
    *,
    checkpoint: Path | None = None,
    without: Collection[str] = (),
    overwrite: bool = False,
) -> Made:
    """Export a bundle: a folder ``output/NAME`` and ``output/NAME_vVERSION.zip``, whole or not at all.

    Args:
        bundle: folder of a bundle of ours.
        output: the folder for both.
        checkpoint: weights to export; None for the bundle's own.
        without: what to leave out, of :data:`CHOICES`.
        overwrite: take the place of what an earlier export made.

    Raises:
        InputError: the bundle is none of ours, its configs are not what its plan gives, it has no weights or those of
            another network, a form cannot be made here, or there is an export already.
    """
    require_ours(bundle)
    file = plan_file(bundle)
    bundle = file.parent
    plan = load_plan(file)
    require_rendered(bundle)
    target, archive = output / plan.name, output / f"{plan.name}_v{plan.version}.zip"
    require_new(target, archive, overwrite=overwrite)
    network = load_network(bundle, plan, checkpoint)
    made = Made(target, None if "zip" in without else archive, network.pruned.left_out)
    # A folder of its own: the bundle's name is the folder's, which the zip and the formats take theirs from.
    partial = output / f".{uuid.uuid4().hex}"
    try:
        _write(partial / plan.name, bundle, plan, network, without, made)
        if made.archive is not None:
            write_zip(partial / plan.name, partial / archive.name)
        if target.exists():
            shutil.rmtree(target)
        (partial / plan.name).replace(target)
        # Without a new one, the zip of the folder that was.
        archive.unlink(missing_ok=True)
        if made.archive is not None:
            (partial / archive.name).replace(archive)
    except OSError as error:
        # Nobody knows the name of the folder in between.
        if str(partial) in str(error.filename):
            error.filename, error.filename2 = str(output), None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


def _write(folder: Path, bundle: Path, plan: Plan, network: Exported, without: Collection[str], made: Made) -> None:
    recipes = recipes_folder()
    manifest = _manifest(bundle, plan)
    layout = layout_of(manifest)
    configs = export_configs(
        plan,
        plan_file(bundle),
        recipes,
        skip=network.pruned.skip,
        layout=layout,
        with_datalist="datalist" not in without,
    )
    named = {part for config in configs.values() for part in targets(config)}
    carried = carry(plan.name, {module for module, _ in named}, network.own, registering=network.registering)
    for path, text in carried.files.items():
        write_text(folder / "scripts" / path, text)
    for name, config in configs.items():
        write_text(folder / "configs" / f"{name}.json", to_json(retarget(config, carried.names)))
    write_text(folder / "configs" / "logging.conf", (recipes / "logging.conf").read_text(encoding="utf-8"))
    _write_datalist(folder, manifest, without, made)

    (folder / "models").mkdir()
    results = results_of(bundle, sha256(network.source))
    metadata = _metadata(plan, bundle, carried, layout, results)
    write_text(folder / "configs" / "metadata.json", to_json(metadata))
    _write_weights(folder / "models" / "model.pt", network)
    forms = [f"model.{form}" for form in ("ts", "pt2", "onnx") if form not in without]
    made.differences = write_formats(folder, forms)
    _state_differences(folder, made)

    text = readme(
        (recipes / "templates" / "model_zoo.md").read_text(encoding="utf-8"),
        plan,
        metadata,
        bundle,
        skip=network.pruned.skip,
        parameters=network.parameters,
        left_out=network.pruned.left_out,
        forms=forms,
        layout=layout,
        listed=(folder / "configs" / "datalist.json").exists(),
        results=results,
    )
    write_text(folder / "docs" / "README.md", text)
    # The results' cases are named by their files.
    _copy_documents(folder, bundle, recipes, made, with_results=results is not None and "datalist" not in without)
    if "datalist" in without and any(part in text for part in ("results/", "configs/datalist.json")):
        made.notes.append("docs/README.md speaks of the datalist or of results, which were left out")
    if results is None:
        made.notes.append(
            "no measurement of these weights in docs/results: metadata have no eval_metrics, README no performance"
        )
    large = write_large_files(folder)
    if large:
        made.notes.append(f"large_files.yml: fill in where {', '.join(large)} can be downloaded")
    write_checksums(folder)


def _metadata(
    plan: Plan, bundle: Path, carried: Carried, layout: Layout, results: dict[str, Any] | None
) -> dict[str, Any]:
    recipes = recipes_folder()
    rendered = fill_recipe(recipes / "metadata.yaml", recipe_sources(plan, plan_file(bundle), recipes))
    return metadata_of(rendered, scripts=carried.files.values(), layout=layout, results=results)


def _write_weights(file: Path, network: Exported) -> None:
    if network.is_pruned:
        torch.save(network.pruned.weights, file)
    else:
        # The very file that was measured.
        shutil.copyfile(network.source, file)


def _state_differences(folder: Path, made: Made) -> None:
    stated = {name: rounded_up(difference) for name, difference in made.differences.items()}
    content = {"largest_logit_difference_at_most": stated, "input": "normally distributed windows, float32, seed 0"}
    write_text(folder / "docs" / "formats.json", json.dumps(content, indent=2) + "\n")
    made.notes += [
        f"models/{name}: logits differ by {difference:.1e} from PyTorch's, more than {LARGEST:.0e}"
        for name, difference in made.differences.items()
        if difference > LARGEST
    ]


def _manifest(bundle: Path, plan: Plan) -> dict[str, Any] | None:
    return None if plan.data.manifest is None else read_manifest(bundle / plan.data.manifest)


def _write_datalist(folder: Path, manifest: dict[str, Any] | None, without: Collection[str], made: Made) -> None:
    if manifest is None or "datalist" in without:
        return
    write_text(folder / "configs" / "datalist.json", to_json(manifest))
    made.notes.append(
        f"configs/datalist.json names {len(manifest['training'])} files of the dataset; where names tell who was "
        "scanned, export --without datalist"
    )


def _copy_documents(folder: Path, bundle: Path, recipes: Path, made: Made, *, with_results: bool) -> None:
    licence = bundle / "LICENSE"
    shutil.copyfile(licence if licence.is_file() else recipes / "templates" / "LICENSE", folder / "LICENSE")
    data_licence = bundle / "docs" / "data_license.txt"
    if data_licence.is_file():
        shutil.copyfile(data_licence, folder / "docs" / "data_license.txt")
    else:
        made.notes.append(
            "docs/data_license.txt is missing: write whose data it was trained on, and under which licence"
        )
    for picture in sorted((bundle / "docs").glob("*.png")):
        shutil.copyfile(picture, folder / "docs" / picture.name)
    if with_results:
        shutil.copytree(bundle / "docs" / "results", folder / "docs" / "results", copy_function=shutil.copyfile)
    unfinished = [
        name for name, path in files_of(folder / "docs") if path.suffix in (".md", ".txt") and _is_unfinished(path)
    ]
    made.notes += [f"docs/{name} has words TO FILL IN" for name in unfinished]


def _is_unfinished(path: Path) -> bool:
    return "TO FILL IN" in path.read_text(encoding="utf-8")
