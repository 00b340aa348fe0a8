"""What may be exported: a LightSkip bundle, its configs as its plan renders, and which of its weights."""

from __future__ import annotations

from pathlib import Path

from ..bundle.plan import plan_file
from ..bundle.render import check_rendered
from ..bundle.trainings import choose_weights, no_weights
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
    raise InputError(bundle, found=found, expected="a LightSkip bundle, with plan.yaml", remedy=remedy)


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


def weights_file(bundle: Path, checkpoint: Path | None, training: str | None = None) -> tuple[Path, str]:
    """Choose the weights to export.

    Args:
        bundle: its folder.
        checkpoint: the file that the user names.
        training: the training that the user names instead, by name or path.

    Returns:
        The file, and a line that says which weights it holds, where the user named no file.

    Raises:
        InputError: both are named, the training is not there, or nothing is named and there are no weights, or several
            trainings.
    """
    if checkpoint is not None and training is not None:
        raise InputError(
            f"--training {training}",
            found="--checkpoint, too",
            expected="one of them: both say which weights are meant",
            remedy="leave one out",
        )
    if checkpoint is not None:
        return checkpoint, ""
    weights = choose_weights(bundle, named=training)
    if weights is None:
        raise no_weights(bundle)
    return weights.file, weights.note
