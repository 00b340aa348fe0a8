"""What a comparison reads: the reference, the sets, and how their cases join."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ..data.errors import InputError
from .choose_cases import choose_cases, read_subjects
from .join import Joined, join_sets
from .named_sets import NamedSet, read_sets
from .regions import leave_out_region_files
from .request import Request
from .source import Source, find_path, read_source

__all__ = ["Inputs", "read_inputs"]


@dataclass(frozen=True)
class Inputs:
    """What is compared, before its files are read.

    Attributes:
        request: the options.
        reference: the references of the cases to compare.
        named: the sets, in the order of the command line.
        sets: their label maps, by name.
        joined: the cases.
    """

    request: Request
    reference: Source
    named: list[NamedSet]
    sets: dict[str, Source]
    joined: Joined


def read_inputs(request: Request) -> Inputs:
    """Return what the options name.

    Raises:
        InputError: a folder, a file, a case or a subject is missing or is no such thing, or nothing joins.
    """
    read = partial(read_source, part=request.part, fold=request.fold, dataset_dir=request.dataset_dir)
    path = find_path(request.reference)
    named = read_sets(request.sets, path)
    reference = read(path)
    if reference.kind == "folder" and (request.part is not None or request.fold is not None):
        raise InputError(
            "--part" if request.part is not None else "--fold",
            found=f"a part of {request.reference}, which is a folder of label maps",
            expected="a datalist or a bundle as the reference, which have parts",
            remedy="leave it out, or name some cases with --cases",
        )
    regions = [name for name, _ in request.regions] or list(reference.regions or ())
    reference = leave_out_region_files(reference, regions)
    kept = set(choose_cases(request.cases, [one.name for one in reference.maps]))
    reference = replace(reference, maps=[one for one in reference.maps if one.name in kept])
    sets = {one.name: leave_out_region_files(read(one.path), regions) for one in named}
    subjects = read_subjects(request.subjects, [one.name for one in reference.maps])
    return Inputs(request, reference, named, sets, join_sets(reference, sets, subjects))
