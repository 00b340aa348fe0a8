"""DICOM structure sets (RTSTRUCT) as labels of cases: each structure becomes a mask in the scan's grid."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...files import whole_file
from ..case_names import name_cases
from ..check_file import Grid
from ..contour_fill import fill_contours
from ..errors import InputError, raise_together
from ..images.door import open_image
from ..nifti_bytes import nifti_bytes
from ..structure_set import Structure, check_same_scan, find_structure_set, read_structure_set
from .found import Found, Item, join_names

__all__ = ["draw_structure_sets"]

logger = logging.getLogger(__name__)

_SECONDS_WITHOUT_BAR = 2.0
_MAX_GAPS = 5  # in a message


@dataclass(frozen=True)
class _Drawing:
    """The structures to draw of a case: the name in its file by label, whose case counts nothing; and all names."""

    item: Item
    file: Path
    chosen: Mapping[str, str]
    names: Sequence[str]

    def has(self, label: str) -> bool:
        return label.casefold() in self.chosen


def draw_structure_sets(found: Found, folder: Path, *, structures: Sequence[str] = ()) -> Found:
    """Return a dataset whose structure sets became a mask for each structure; the dataset itself if it has none.

    A case in which a structure is missing, or has no contours, has no mask of it: it was not annotated there.

    Args:
        found: the cases; the label of each may be a structure set, or a folder with nothing but one.
        folder: for the masks, CASE/STRUCTURE.nii.gz; existing ones are replaced.
        structures: names of the structures to draw, whatever their case: LABEL, or LABEL=STRUCTURE where a label has
            another name; a label may be named several times, for the names that it has in different files. By default
            all structures with contours that any file has, with the spelling of the first file.

    Raises:
        InputError: some labels are structure sets and others are not; a file has no contours, none of the structures,
            or one twice; it belongs to another scan; or a contour cannot be drawn in the scan.
    """
    cases = [*found.training, *found.test]
    labelled = [item for item in cases if item.label is not None]
    files = [find_structure_set(item.label) for item in labelled if item.label is not None]
    if not any(files):
        if structures:
            raise InputError(
                "--structures",
                found="label maps that are no structure sets",
                expected="DICOM structure sets (RTSTRUCT)",
                remedy="leave the option out",
            )
        return found
    wanted = _parse_names(structures)
    drawings: list[_Drawing] = []
    errors: list[InputError] = []
    for item, file in zip(labelled, files, strict=True):
        try:
            drawings.append(_choose(item, file, wanted))
        except InputError as error:
            errors.append(error)
    raise_together(errors)
    labels = list(wanted) or _all_names(drawings)
    _check_labels(labels, drawings)
    names = dict(zip(map(id, cases), name_cases([list(one.images) for one in cases]), strict=True))
    masks = {}
    for drawing in tqdm(drawings, desc="Structures", unit="case", delay=_SECONDS_WITHOUT_BAR, disable=None):
        try:
            masks[id(drawing.item)] = _draw(drawing, labels, folder.absolute() / names[id(drawing.item)])
        except InputError as error:
            errors.append(error)
    raise_together(errors)
    training, test = (
        [replace(item, label=None, masks=masks[id(item)]) if id(item) in masks else item for item in part]
        for part in (found.training, found.test)
    )
    return replace(found, training=training, test=test, classes=tuple(labels))


def _check_labels(labels: Sequence[str], drawings: Sequence[_Drawing]) -> None:
    """Refuse a label that no file has a structure for: its name is probably mistyped."""
    missing = [label for label in labels if not any(one.has(label) for one in drawings)]
    if missing:
        known = sorted({name for one in drawings for name in one.names})
        raise InputError(
            f"--structures {' '.join(missing)}",
            found="no such structure in any file",
            expected=f"names of structures: {join_names(known)}",
            remedy="correct the name, or leave it out",
        )


def _parse_names(structures: Sequence[str]) -> dict[str, set[str]]:
    """Return the names of structures, in lower case, by label."""
    wanted: dict[str, set[str]] = {}
    for word in structures:
        label, equals, name = (" ".join(part.split()) for part in word.partition("="))
        if not label or (equals and not name):
            raise InputError(
                f"--structures {word}",
                found="an empty name",
                expected="LABEL, or LABEL=STRUCTURE",
                remedy="correct this name",
            )
        known = next((one for one in wanted if one.casefold() == label.casefold()), label)
        wanted.setdefault(known, set()).add((name or label).casefold())
    return wanted


def _choose(item: Item, file: Path | None, wanted: Mapping[str, set[str]]) -> _Drawing:
    """Return the structures of a case that are drawn, after a check that they can be."""
    if file is None:
        raise InputError(
            str(item.label),
            found="no structure set, while the labels of other cases are",
            expected="a structure set (RTSTRUCT) for every case, or a label map for every case",
            remedy="correct the pattern, or convert these labels",
        )
    content = read_structure_set(file)
    drawn = [one for one in content.structures if one.contours]
    chosen: dict[str, Structure] = {}
    for one in drawn:
        labels = [label for label, names in wanted.items() if one.name.casefold() in names] if wanted else [one.name]
        for label in labels:
            if label.casefold() in chosen:
                raise InputError(
                    str(file),
                    found=f"two structures for {label!r}: {chosen[label.casefold()].name!r} and {one.name!r}",
                    expected="one structure for each label",
                    remedy="rename one of them, or choose others with --structures LABEL=STRUCTURE …",
                )
            chosen[label.casefold()] = one
    if not chosen:
        raise InputError(
            str(file),
            found=f"none of the structures {', '.join(wanted)}; it has {join_names(one.name for one in drawn)}",
            expected="at least one of them",
            remedy="name them as in the file: --structures LABEL=STRUCTURE …, or leave this case out",
        )
    check_same_scan(content, list(chosen.values()), str(item.images[0]))
    return _Drawing(item, file, {label: one.name for label, one in chosen.items()}, [one.name for one in drawn])


def _all_names(drawings: Sequence[_Drawing]) -> list[str]:
    """Return the names of all structures; of names that differ only in their case, the first."""
    names: dict[str, str] = {}
    for drawing in drawings:
        for label, name in drawing.chosen.items():
            names.setdefault(label, name)
    return list(names.values())


def _draw(drawing: _Drawing, labels: Sequence[str], folder: Path) -> dict[str, Path]:
    """Write the masks of a case, and return their files by label."""
    grid = _read_grid(str(drawing.item.images[0]))
    contours = {one.name: one.contours for one in read_structure_set(drawing.file).structures if one.contours}
    files = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(labels, start=1):
        if not drawing.has(label):
            continue
        name = drawing.chosen[label.casefold()]
        where = f"{drawing.file} ({name})"
        filled = fill_contours(contours[name], grid.affine, grid.shape, where)
        if not filled.mask.any():
            logger.warning("%s: encloses the centre of no voxel, so it has no voxels", where)
        if filled.gaps:
            shown = ", ".join(f"{low} and {high}" for low, high in filled.gaps[:_MAX_GAPS])
            logger.warning("%s: not drawn between the slices %s (from 0), and left empty there", where, shown)
        mask = np.zeros(grid.shape, np.uint8)
        mask[filled.box] = filled.mask
        safe = re.sub(r"[^\w.+-]+", "_", label)
        files[label] = folder / f"{number:02d}_{safe}.nii.gz"
        with whole_file(files[label]) as temporary:
            temporary.write_bytes(nifti_bytes(mask, grid.affine))
    return files


def _read_grid(image: str) -> Grid:
    with open_image(image) as opened:
        opened.check()
        header = opened.header
    if header.axes != 3 or header.unit != "mm":
        raise InputError(
            image,
            found=f"an image of {header.axes} axes in {header.unit}",
            expected="a volume with its place in mm, for the contours of a structure set",
            remedy="give the DICOM series that the structures were drawn on, or a volume made of it",
        )
    return Grid(image, header.spatial_shape, header.affine)
