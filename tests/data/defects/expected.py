"""What a check has to say of a seeded dataset, and the judgement of what it said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

SEVERITY = {
    **dict.fromkeys(
        (
            *("missing", "empty-file", "lfs-pointer", "misnamed", "truncated", "not-an-image", "voxel-type", "unit"),
            *("spacing", "affine", "dimensions", "channels", "nan", "infinite", "constant", "range"),
            *("shape-differs", "spacing-differs", "origin-differs", "direction-differs"),
            *("label-not-integer", "label-undeclared", "leakage", "same-file", "grid-rounding", "image-is-label"),
        ),
        "problem",
    ),
    **dict.fromkeys(
        (
            *("form-conflict", "sheared", "checksum", "label-empty", "label-volume", "label-islands", "label-unused"),
            *("duplicate", "form-missing", "label-missing"),
        ),
        "warning",
    ),
    **dict.fromkeys(("label-rounding", "label-float", "labels-not-consecutive"), "note"),
}


class Expected(NamedTuple):
    """A finding that has to be reported: any one of the kinds, with the severity it has, on any one of the files."""

    what: str
    kinds: tuple[str, ...]
    files: tuple[str | None, ...]  # relative to the dataset; None stands for the whole dataset


@dataclass
class Seeded:
    """A dataset with defects. Paths are relative to its folder and begin without `./`."""

    datalist: Path
    expected: list[Expected] = field(default_factory=list)
    also_allowed: dict[str, frozenset[str]] = field(default_factory=dict)  # by file
    clean: dict[str, str] = field(default_factory=dict)  # by file: what is odd about it, if anything


def judge(report: Mapping[str, Any], seeded: Seeded) -> tuple[list[Expected], list[dict[str, Any]]]:
    """Compare a check's report with what was seeded.

    Returns:
        The expected findings that the report lacks; and its problems and warnings that nothing accounts for.
    """
    findings = report["findings"]
    rightly = {(found["kind"], found["file"]) for found in findings if SEVERITY.get(found["kind"]) == found["severity"]}
    missed = [expected for expected in seeded.expected if rightly.isdisjoint(product(expected.kinds, expected.files))]
    whole = {kind for expected in seeded.expected for kind in expected.kinds if None in expected.files}
    extra = [
        found
        for found in findings
        if found["severity"] != "note"
        and found["kind"] not in (whole if found["file"] is None else seeded.also_allowed.get(found["file"], ()))
    ]
    return missed, extra
