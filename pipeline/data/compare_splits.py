"""Copies of a scan, and leakage: one image, or one subject, on both sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .findings import Finding
from .inspection import Inspection

__all__ = ["find_copies", "find_split_subjects"]

Record = Mapping[str, Any]


def find_copies(inspections: Iterable[Inspection]) -> Iterator[Finding]:
    """Yield a finding for each image with a copy, and one more if the two are on different sides of a split.

    Args:
        inspections: of cases; those whose `voxels` are equal are copies.
    """
    for records in group_copies(inspections):
        splits = {split_of(record) for record in records}
        for record in records:
            others = ", ".join(_other_words(other, record) for other in records if other is not record)
            yield _finding(
                "duplicate",
                record,
                found=f"the same voxels as {others}",
                expected="every scan once",
                remedy="remove all but one of these cases from the datalist",
            )
            if len(splits) > 1:
                yield _finding(
                    "leakage",
                    record,
                    found=f"this image in {_split_words(split_of(record))}, "
                    f"its copy in {_other_splits(splits, record)}: {others}",
                    expected="no image on both sides of a split: results on training images mean nothing",
                    remedy="remove the copy, or make new folds with `lightskip datalist`",
                )


def find_split_subjects(records: Iterable[Record]) -> Iterator[Finding]:
    """Yield a finding for each scan of a subject whose scans are on both sides of a split."""
    of_subject: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record["subject"] is not None:
            of_subject[record["subject"]].append(record)
    for subject, own in of_subject.items():
        splits = {split_of(record) for record in own}
        for record in own if len(splits) > 1 else []:
            yield _finding(
                "leakage",
                record,
                found=f"subject {subject} in {_split_words(split_of(record))}, and in {_other_splits(splits, record)}",
                expected="all scans of a subject in one fold, and none of them in the test part",
                remedy="make new folds with `lightskip datalist`, which never divides a subject",
            )


def group_copies(inspections: Iterable[Inspection]) -> list[Sequence[Record]]:
    """Return the records of the cases whose voxels are equal, in groups of two or more."""
    same: dict[str, list[Record]] = defaultdict(list)
    for inspection in inspections:
        if inspection.voxels is not None:
            same[inspection.voxels].append(inspection.record)
    return [records for records in same.values() if len(records) > 1]


def split_of(record: Record) -> Hashable:
    """Return a case's side of the splits: its fold, or the test part."""
    return ("test", None) if record["part"] == "test" else ("fold", record["fold"])


def _finding(kind: str, record: Record, **words: Any) -> Finding:
    return Finding(kind, case=record["name"], file=_first_image(record), **words)


def _other_words(other: Record, record: Record) -> str:
    """Return words for another case's image; the case's name if the file is the same."""
    same = _first_image(other) == _first_image(record)
    return f"the same file, in case {other['name']}" if same else _first_image(other)


def _first_image(record: Record) -> str:
    return str(record["images"][0])


def _split_words(split: Any) -> str:
    kind, fold = split
    if kind == "test":
        return "the test part"
    return "the training part" if fold is None else f"fold {fold}"


def _other_splits(splits: Iterable[Hashable], record: Record) -> str:
    return ", ".join(sorted(_split_words(split) for split in splits if split != split_of(record)))
