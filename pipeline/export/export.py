"""``lightskip export``: make a bundle that runs without LightSkip."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ..bundle.plan import load_plan, plan_file
from ..data.errors import InputError
from ..data.one_at_a_time import lock_name, one_at_a_time
from ..files import name_disk, remove_unused_folders
from ..leftovers import temporary_path
from .archive import write_zip
from .choices import OPTIONAL_PARTS
from .contents import Contents, write_contents
from .earlier import require_new
from .given import require_lightskip_bundle, require_rendered, weights_file
from .network import load_network

__all__ = ["ExportResult", "export_bundle"]


@dataclass
class ExportResult:
    """The result of an export.

    Attributes:
        folder: folder of the exported bundle.
        archive: its zip; None if it was left out.
        left_out: number of pruned channels and of all channels, by level of the network.
        differences: largest difference between a form's logits and PyTorch's, by file name.
        notes: what the maintainer should know or do.
        weights: which weights were exported, in one line; empty if the user named the file.
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
    int8: bool = False,
    overwrite: bool = False,
) -> ExportResult:
    """Write the folder ``output/NAME`` and ``output/NAME_vVERSION.zip``, completely or not at all.

    Args:
        bundle: folder of a LightSkip bundle.
        output: folder for both.
        checkpoint: weights to export; None for the bundle's own, or those of its only training.
        training: training whose weights to export, by name or path.
        without: parts to leave out, keys of :data:`.choices.OPTIONAL_PARTS`.
        int8: whether to include the weights' int8 form, which `lightskip quantize` wrote.
        overwrite: whether to replace an earlier export.

    Raises:
        InputError: the bundle has no plan, its configs differ from its plan, it has no weights or those of another
            network, a form cannot be made or is missing, or the output exists.
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
    network = load_network(bundle, plan, source, int8=int8)
    # A temporary parent folder, because zip and formats take the bundle's name from its folder.
    partial = temporary_path(target)
    contents = Contents(partial / plan.name, bundle, plan, network, without, int8=int8)
    with (
        remove_unused_folders(output),
        one_at_a_time(output / lock_name(plan.name, "export"), target, verb="lightskip export"),
    ):
        require_new(target, archive, overwrite=overwrite)
        try:
            zipped = None if "zip" in without else partial / archive.name
            with name_disk(output, partial):
                differences = write_contents(contents)
                if zipped is not None:
                    write_zip(contents.folder, zipped)
            _replace_earlier(contents.folder, target, zipped, archive)
        except OSError as error:
            # The temporary folder's name would mean nothing to the user.
            if str(partial) in str(error.filename):
                error.filename, error.filename2 = str(output), None
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    made = None if zipped is None else archive
    return ExportResult(target, made, network.pruned.left_out, differences, contents.notes, weights)


def _replace_earlier(folder: Path, target: Path, zipped: Path | None, archive: Path) -> None:
    """Move the new folder and zip over earlier ones. If that fails, the earlier folder is restored."""
    earlier = folder.with_name("earlier")
    if target.exists():
        target.replace(earlier)
    try:
        folder.replace(target)
    except OSError:
        if earlier.exists():
            earlier.replace(target)
        raise
    # Also without a new zip: the earlier one belongs to the replaced folder.
    archive.unlink(missing_ok=True)
    if zipped is not None:
        zipped.replace(archive)


def _require_known(without: Collection[str]) -> None:
    unknown = [part for part in without if part not in OPTIONAL_PARTS]
    if unknown:
        raise InputError(
            "without", found=unknown[0], expected=f"one of {', '.join(OPTIONAL_PARTS)}", remedy="correct the word"
        )
