"""Render a bundle: merge its plan with the recipes in ``configs/`` into configs that run with MONAI's runner.

``recipe.py`` explains the tags of a recipe. ``derived.py`` lists the names for ``!derived``.
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
from .derived import derive_values
from .network_schema import OwnNetwork
from .plan import Plan, load_plan, plan_file
from .recipe import fill_recipe
from .schema import InlineSkip

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
        "derived": derive_values(plan),
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
