"""Checks before an export: a LightSkip bundle, configs that match its plan, and the choice of weights."""

from __future__ import annotations

from pathlib import Path

from ..bundle.plan import plan_file
from ..bundle.render import check_rendered
from ..bundle.trainings import choose_weights, no_weights_error, refuse_two_choices
from ..data.errors import InputError

__all__ = ["require_lightskip_bundle", "require_rendered", "weights_file"]


def require_lightskip_bundle(bundle: Path) -> None:
    """Refuse a bundle without a plan: an exported bundle, another project's, a zip.

    Raises:
        InputError: there is no plan.
    """
    if plan_file(bundle).is_file() and plan_file(bundle).suffix in (".yaml", ".yml"):
        return
    remedy = "name a bundle's folder: the one that holds plan.yaml"
    if not bundle.exists():
        found = "no such folder"
    elif (bundle / "configs" / "metadata.json").is_file():
        found = "a bundle without plan.yaml: an exported one, or another project's"
        remedy = "name the bundle that it was exported from; an exported bundle needs no export"
    else:
        found = "a file" if bundle.is_file() else "no plan.yaml in it"
    raise InputError(bundle, found=found, expected="a LightSkip bundle, with plan.yaml", remedy=remedy)


def require_rendered(bundle: Path) -> None:
    """Refuse configs that differ from the plan: the export is made from the plan.

    Raises:
        InputError: a config differs.
    """
    differing = check_rendered(bundle)
    if differing:
        raise InputError(
            bundle,
            found=f"configs that differ from plan.yaml: {', '.join(sorted(differing))}",
            expected="configs as the plan renders them: the export is made from the plan",
            remedy=f"run lightskip render {bundle}",
        )


def weights_file(bundle: Path, checkpoint: Path | None, training: str | None = None) -> tuple[Path, str]:
    """Choose the weights to export.

    Args:
        bundle: the bundle's folder.
        checkpoint: the file that the user names.
        training: the training that the user names instead, by name or path.

    Returns:
        The file, and a line that names the weights; the line is empty if the user named the file.

    Raises:
        InputError: both are named, the training does not exist, or nothing is named and there are no weights or several
            trainings.
    """
    refuse_two_choices(checkpoint, training)
    if checkpoint is not None:
        return checkpoint, ""
    weights = choose_weights(bundle, named=training)
    if weights is None:
        raise no_weights_error(bundle)
    return weights.file, weights.note
