"""Merge the masks of each case into one label map, and describe the labels for the datalist."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..case_names import name_cases
from ..errors import InputError, raise_together
from ..images.door import read_volume
from ..images.header import Volume
from ..layouts.found import Item
from .case import read_masks
from .files import file_facts, label_ending, write_label_map
from .overlaps import Overlaps, ValueTable, make_value_table
from .record import Record

__all__ = ["Merged", "Overlaps", "merge_masks"]

_RECORDS = "records"
_SECONDS_WITHOUT_BAR = 2.0


@dataclass(frozen=True)
class Merged:
    """The result of merging.

    Attributes:
        items: the cases, each with its label map instead of masks.
        entries: the datalist's entries: `labels`, and if classes overlap `regions` and `region_order`.
        words: what was done, one line each.
    """

    items: list[Item]
    entries: dict[str, Any]
    words: list[str]


def merge_masks(items: Sequence[Item], classes: Sequence[str], folder: Path, *, overlaps: Overlaps = "auto") -> Merged:
    """Write a label map for each case that has masks, and return the cases with these label maps.

    The label maps are `CASE.nii.gz` (or `.png`, of pictures) with one byte per voxel, named as `name_cases` does. What
    each was made from is in `records`. A label map whose masks have not changed is kept; if only the numbers of its
    values are other ones, because other cases have other overlaps, they are exchanged without reading the masks.

    Args:
        items: all cases of the dataset, also those without masks, because names depend on all.
        classes: names, in the order of writing.
        folder: where to write the label maps.
        overlaps: see `make_value_table`.

    Raises:
        InputError: masks cannot be read, are not binary or differ in their grids (the others are merged first); there
            are too many values; or the folder has a file that was not written here.
    """
    names = name_cases([list(item.images) for item in items])
    cases = [_Case.of(item, name, folder) for item, name in zip(items, names, strict=True) if item.masks]
    for case in cases:
        case.require_own_file()
    records: dict[Path, Record] = {}
    errors: list[InputError] = []
    for case in tqdm(cases, desc="Masks", unit="case", delay=_SECONDS_WITHOUT_BAR, disable=None):
        try:
            records[case.file] = case.fitting_record(classes) or case.write(classes)
        except InputError as error:
            errors.append(error)
    raise_together(errors)
    table = make_value_table((record.masks for record in records.values()), classes, overlaps, f"--labels of {folder}")
    for case in cases:
        case.renumber(records[case.file], table, classes)
    label_of = {id(case.item): case for case in cases}
    merged = [_with_label(item, label_of.get(id(item)), classes) for item in items]
    entries: dict[str, Any] = {"labels": table.labels}
    if table.regions is not None:
        entries |= {"regions": table.regions, "region_order": table.order}
    partial = sum(item.annotated is not None for item in merged)
    words = [
        f"masks of {len(classes)} {'class' if len(classes) == 1 else 'classes'} merged into label maps in {folder.name}"
    ]
    if partial:
        words.append(
            f"{partial} {'case lacks' if partial == 1 else 'cases lack'} the mask of a class: not annotated there"
        )
    return Merged(merged, entries, words + table.words)


def _with_label(item: Item, case: _Case | None, classes: Sequence[str]) -> Item:
    if case is None:
        return item
    annotated = tuple(name for name in classes if name in item.masks)
    return replace(item, label=case.file, masks={}, annotated=None if len(annotated) == len(classes) else annotated)


@dataclass(frozen=True)
class _Case:
    """A case with masks, its label map and the label map's record."""

    item: Item
    file: Path
    record: Path

    @classmethod
    def of(cls, item: Item, name: str, folder: Path) -> _Case:
        ending = label_ending(next(iter(item.masks.values())))
        return cls(item, folder / f"{name}{ending}", folder / _RECORDS / f"{name}.json")

    def require_own_file(self) -> None:
        """Refuse to replace a file that was not written here."""
        if self.file.exists() and Record.read(self.record) is None:
            raise InputError(
                self.file,
                found="a file that `lightskip datalist` did not write",
                expected=f"a free name for the label map that is merged from the masks of {self.item.images[0].name}",
                remedy="move it elsewhere, or give the datalist another name with -o",
            )

    def inputs(self) -> dict[str, Any]:
        """Return what the record says about the masks."""
        folder = self.file.parent
        return {
            name: [Path(os.path.relpath(path, folder)).as_posix(), *(file_facts(path) or [])]
            for name, path in self.item.masks.items()
        }

    def fitting_record(self, classes: Sequence[str]) -> Record | None:
        """Return the record of a label map that was made from these masks as they are; None if there is none."""
        record = Record.read(self.record)
        if record is None or record.output is None or record.output != file_facts(self.file):
            return None
        return record.in_order(classes) if record.inputs == self.inputs() else None

    def write(self, classes: Sequence[str], values: Mapping[tuple[str, ...], int] | None = None) -> Record:
        """Write the label map from its masks, by default with values that fit if nothing overlaps."""
        inputs = self.inputs()
        ids, combinations, masks, first = read_masks(self.item.masks, classes)
        if values is None:
            single = {(name,): value for value, name in enumerate(classes, start=1)}
            others = sorted(names for names in masks.counts if len(names) > 1)
            values = single | {names: len(single) + place for place, names in enumerate(others, start=1)}
        chosen = {names: values[names] for names in masks.counts}
        record = Record(inputs, masks, chosen)
        return self._store([chosen.get(names, 0) for names in combinations], ids, first, record)

    def renumber(self, record: Record, table: ValueTable, classes: Sequence[str]) -> None:
        """Give the label map the values of a table."""
        wanted = {names: table.values[names] for names in record.values}
        if wanted == record.values:
            return
        if not record.is_lossless:
            self.write(classes, table.values)
            return
        volume = read_volume(str(self.file))
        new = {value: wanted[names] for names, value in record.values.items()}
        lookup = [new.get(value, 0) for value in range(1 + max(new))]
        self._store(lookup, volume.voxels, volume, Record(record.inputs, record.masks, wanted))

    def _store(self, lookup: Sequence[int], indices: NDArray[Any], like: Volume, record: Record) -> Record:
        """Write the label map with the values `lookup[indices]`.

        It is written between two records, the first of which says that the file is not whole yet.
        """
        record.write(self.record)
        smallest = np.min_scalar_type(max(lookup))
        # In a file's order, which is that of the memory.
        flat = np.array(lookup, smallest)[indices.ravel(order="F")]
        write_label_map(flat.reshape(indices.shape, order="F"), like, self.file)
        written = replace(record, output=file_facts(self.file))
        written.write(self.record)
        return written
