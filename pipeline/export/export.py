"""``lightskip export``: from a bundle of ours to one that stands alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ..bundle.plan import load_plan, plan_file
from ..data.errors import InputError
from .archive import write_zip
from .choices import OPTIONAL_PARTS
from .contents import Contents, write_contents
from .earlier import require_new
from .given import require_lightskip_bundle, require_rendered, weights_file
from .network import load_network

__all__ = ["Made", "export_bundle"]


@dataclass
class Made:
    """What an export made.

    Attributes:
        folder: the bundle.
        archive: its zip; None where none was wanted.
        left_out: channels pruned by level of the network, of how many.
        differences: largest difference of a form's logits from PyTorch's, by file name.
        notes: what its maintainer should know or do.
        weights: which weights were exported, in one line; empty where the user named the file.
    """

    folder: Path
    archive: Path | None
    left_out: dict[int, tuple[int, int]]
    differences: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    weights: str = ""


def export_bundle(
    bundle: Path,
    output: Path,
    *,
    checkpoint: Path | None = None,
    training: str | None = None,
    without: Collection[str] = (),
    overwrite: bool = False,
) -> Made:
    """Export a bundle: a folder ``output/NAME`` and ``output/NAME_vVERSION.zip``, whole or not at all.

    Args:
        bundle: folder of a bundle of ours.
        output: the folder for both.
        checkpoint: weights to export; None for the bundle's own, or those of its only training.
        training: whose weights to export instead, by name or path.
        without: what to leave out, keys of :data:`.choices.OPTIONAL_PARTS`.
        overwrite: take the place of what an earlier export made.

    Raises:
        InputError: the bundle is none of ours, its configs are not what its plan gives, it has no weights or those of
            another network, a form cannot be made here, or there is an export already.
    """
    _require_known(without)
    require_lightskip_bundle(bundle)
    file = plan_file(bundle)
    bundle = file.parent
    plan = load_plan(file)
    require_rendered(bundle)
    target, archive = output / plan.name, output / f"{plan.name}_v{plan.version}.zip"
    require_new(target, archive, overwrite=overwrite)
    source, weights = weights_file(bundle, checkpoint, training)
    network = load_network(bundle, plan, source)
    # A folder of its own: the bundle's name is the folder's, which the zip and the formats take theirs from.
    partial = output / f".{uuid.uuid4().hex}"
    contents = Contents(partial / plan.name, bundle, plan, network, without)
    try:
        differences = write_contents(contents)
        zipped = None if "zip" in without else partial / archive.name
        if zipped is not None:
            write_zip(contents.folder, zipped)
        _put_in_place(contents.folder, target, zipped, archive)
    except OSError as error:
        # Nobody knows the name of the folder in between.
        if str(partial) in str(error.filename):
            error.filename, error.filename2 = str(output), None
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    made = None if zipped is None else archive
    return Made(target, made, network.pruned.left_out, differences, contents.notes, weights)


def _put_in_place(folder: Path, target: Path, zipped: Path | None, archive: Path) -> None:
    """Let the new folder and zip take the place of earlier ones, which stay where that fails."""
    earlier = folder.with_name("earlier")
    if target.exists():
        target.replace(earlier)
    try:
        folder.replace(target)
    except OSError:
        if earlier.exists():
            earlier.replace(target)
        raise
    # Without a new one, the zip of the folder that was.
    archive.unlink(missing_ok=True)
    if zipped is not None:
        zipped.replace(archive)


def _require_known(without: Collection[str]) -> None:
    unknown = [part for part in without if part not in OPTIONAL_PARTS]
    if unknown:
        raise InputError(
            "without", found=unknown[0], expected=f"parts of {', '.join(OPTIONAL_PARTS)}", remedy="correct the word"
        )
