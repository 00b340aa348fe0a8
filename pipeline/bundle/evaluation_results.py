"""The folder of an evaluation's results, one for each training and its cases: results of others are never replaced."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import load_json
from .training_facts import BEST, read_summary

__all__ = ["check_evaluation_folder", "evaluation_folder"]

_VALIDATION = "validation"
_DIGITS = 8  # of a hash, in a folder's name


def evaluation_folder(
    bundle_root: str | Path,
    checkpoint: str | Path,
    fold: int | str,
    *,
    part: str = _VALIDATION,
    datalist: str | Path | None = None,
) -> str:
    """Return the folder for an evaluation, one for each training and fold.

    This is ``evaluation/NAME`` for the training ``NAME`` on its own fold, ``evaluation/NAME_fold_N`` on another fold,
    and ``evaluation/NAME_test`` on the test cases. A training's own fold is in its summary or its name (``fold_0``).
    The bundle's own weights, in ``models``, count as a training ``models`` without a fold. If the file of weights is
    not ``model.pt``, its name is added. A training outside the bundle may have the name of another one: eight
    characters of the hash of its folder are added. If the folder has the results of other weights, such as those of an
    earlier training of the same name, eight characters of the hash of the weights are added; if it has those of
    another datalist, eight of the datalist's.
    """
    file = Path(checkpoint).absolute()
    name = file.parent.name + ("" if file.name == BEST else f"_{file.stem}")
    own = name == f"fold_{fold}" or read_summary(file.parent).get("fold") == fold
    root, folder = Path(bundle_root).resolve(), file.parent.resolve()
    if folder.parent not in (root, root / "runs"):
        name += f"_{hashlib.sha256(bytes(folder)).hexdigest()[:_DIGITS]}"
    if part != _VALIDATION:
        name += f"_{part}"
    elif not own:
        name += f"_fold_{fold}"
    target = Path(bundle_root) / "evaluation" / name
    if _has_other_weights(target, file):
        target = target.with_name(f"{target.name}_{_hash_file(file)[:_DIGITS]}")
    if datalist is not None and _has_other_cases(target, Path(datalist)):
        target = target.with_name(f"{target.name}_{_hash_file(Path(datalist))[:_DIGITS]}")
    return str(target)


def check_evaluation_folder(
    folder: str | Path,
    checkpoint: str | Path,
    *,
    datalist: str | Path | None = None,
    fold: int | str | None = None,
    part: str | None = None,
) -> None:
    """Raise InputError if a folder has the results of a comparison, or of an evaluation of other weights or cases.

    Args:
        folder: where the results are to be written.
        checkpoint: the weights to be measured.
        datalist: the datalist with the cases; None: nothing is known of them.
        fold: the fold whose cases are measured.
        part: the part of its split.
    """
    path, found = Path(folder), ""
    if _read_results(path).get("kind") == "comparison":
        found = "the results of lightskip compare"
    elif _has_other_weights(path, Path(checkpoint)):
        found = "the evaluation of other weights"
    elif datalist is not None and _has_other_cases(path, Path(datalist)):
        found = "the evaluation of the cases of another datalist"
    elif part is not None and _has_other_part(path, part, fold):
        found = "the evaluation of other cases of this datalist"
    if found:
        raise InputError(
            folder,
            found=found,
            expected="a new folder, or an earlier evaluation of the same weights and cases",
            remedy="name another: --output_dir DIR, or leave it out; or move the earlier results away",
        )


def _has_other_weights(folder: Path, checkpoint: Path) -> bool:
    """Return whether a folder has results whose weights are known and are others."""
    earlier = _read_provenance(folder).get("checkpoint_sha256")
    return earlier is not None and checkpoint.is_file() and earlier != _hash_file(checkpoint)


def _has_other_cases(folder: Path, datalist: Path) -> bool:
    """Return whether a folder has results whose datalist is known and is another."""
    earlier = _read_provenance(folder).get("datalist_sha256")
    return earlier is not None and datalist.is_file() and earlier != _hash_file(datalist)


def _has_other_part(folder: Path, part: str, fold: int | str | None) -> bool:
    """Return whether a folder has results of another part of a split, or of another fold's validation cases."""
    earlier = _read_provenance(folder)
    if "part" not in earlier:
        return False
    return earlier["part"] != part or (part == _VALIDATION and fold is not None and earlier.get("fold") != fold)


def _read_provenance(folder: Path) -> dict[str, Any]:
    """Return what an earlier evaluation in a folder says of its origin; empty if there is none."""
    provenance = _read_results(folder).get("provenance")
    return provenance if isinstance(provenance, dict) else {}


def _read_results(folder: Path) -> dict[str, Any]:
    """Return the summary of earlier results in a folder; empty if there are none."""
    try:
        content = load_json(folder / "summary.json")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _hash_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
