"""What may be exported: a bundle of ours, its configs as its plan gives them."""

from __future__ import annotations

from pathlib import Path

from ..bundle.plan import plan_file
from ..bundle.render import check_rendered
from ..data.errors import InputError

__all__ = ["require_ours", "require_rendered", "weights_file"]


def require_ours(bundle: Path) -> None:
    """Refuse what has no plan: an exported bundle, one of another make, a zip.

    Raises:
        InputError: it has none.
    """
    if plan_file(bundle).is_file() and plan_file(bundle).suffix in (".yaml", ".yml"):
        return
    remedy = "give a bundle's folder: the one that holds plan.yaml"
    if not bundle.exists():
        found = "no such folder"
    elif (bundle / "configs" / "metadata.json").is_file():
        found = "a bundle without plan.yaml: an exported one, or one of another make"
        remedy = "give the bundle that it was exported from; an exported one needs no more export"
    else:
        found = "a file" if bundle.is_file() else "no plan.yaml in it"
    raise InputError(bundle, found=found, expected="a bundle of ours, with plan.yaml", remedy=remedy)


def require_rendered(bundle: Path) -> None:
    """Refuse configs that are not what the plan gives: what is exported comes from the plan.

    Raises:
        InputError: one differs.
    """
    differing = check_rendered(bundle)
    if differing:
        raise InputError(
            bundle,
            found=f"{', '.join(sorted(differing))} differ from what plan.yaml gives",
            expected="rendered configs: what is exported comes from the plan",
            remedy=f"run lightskip render {bundle}",
        )


def weights_file(bundle: Path, checkpoint: Path | None) -> Path:
    """The file of weights to export: the given one, or the bundle's own.

    Raises:
        InputError: none is given and the bundle has none; trainings that it has are named.
    """
    source = bundle / "models" / "model.pt" if checkpoint is None else checkpoint
    if checkpoint is None and not source.is_file():
        trained = sorted((bundle / "runs").glob("*/model.pt"))
        named = " or ".join(f"--checkpoint {file}" for file in trained)
        raise InputError(
            source,
            found="no such file: this bundle has no weights of its own yet",
            expected="a trained network to export",
            remedy=f"name those of a training: {named}"
            if trained
            else "train the bundle, then name the weights: --checkpoint RUN/model.pt",
        )
    return source
