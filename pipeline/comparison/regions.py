"""The regions and ignored values of a comparison: from the command line, the reference's datalist, or its bundle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from ..data.errors import InputError
from .choose_labels import BACKGROUND, Labels
from .source import LabelMap, Source

__all__ = ["choose_ignored", "choose_regions", "leave_out_region_files"]


def choose_regions(
    given: Sequence[tuple[str, Sequence[str]]], declared: Mapping[str, Sequence[str]] | None, labels: Labels
) -> dict[str, tuple[int, ...]]:
    """Return the comparison's values of each region's labels; nothing for a comparison of labels.

    Args:
        given: the values (in the reference's files) or names of each region's labels, as the user named them.
        declared: the names of each region's labels, from the reference's datalist or bundle. They count if the user
            names no regions.
        labels: the labels of the comparison.

    Raises:
        InputError: a region is there twice, has the name of another label or of the background, a label that is unknown
            or that it has twice.
    """
    where = "--regions" if given else labels.origin
    regions: dict[str, tuple[int, ...]] = {}
    for name, words in given or list((declared or {}).items()):
        found = tuple(_find_value(word, name, labels, where) for word in words)
        own = labels.foreground.get(name)
        problem = ""
        if name in regions or name == BACKGROUND:
            problem = f"the region {name}{' twice' if name in regions else ''}"
        elif len(set(found)) < len(found):
            problem = f"the region {name} with a label twice: {', '.join(words)}"
        elif own is not None and found != (own,):
            problem = f"the region {name} of {', '.join(words)}, and a label of the same name"
        if problem:
            raise InputError(
                where,
                found=problem,
                expected="every region once, under a name of its own, with each of its labels once",
                remedy="correct it, as in --regions tumour=1,2,3 core=2,3",
            )
        regions[name] = found
    return regions


def choose_ignored(
    given: Sequence[int], declared: Sequence[int], in_reference: Mapping[str, int], as_background: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return the values in the references' files that count in no metric.

    Args:
        given: the user's.
        declared: those of the reference's datalist or bundle. They count if the user names none.
        in_reference: value of each label in the references' files.
        as_background: values that count as background.

    Raises:
        InputError: one of the user's values is also that of a label, or counts as background.
    """
    names = {value: f"the label {name}" for name, value in in_reference.items()}
    names |= dict.fromkeys(as_background, "background (--as_background)")
    for value in given:
        if value in names:
            raise InputError(
                "--ignore",
                found=f"{value}, which is also {names[value]}",
                expected="values of voxels that nobody annotated, which are no label's",
                remedy="leave it out, or name the labels with --labels NAME=VALUE ...",
            )
    return tuple(dict.fromkeys(given)) or tuple(value for value in declared if value not in names)


def leave_out_region_files(source: Source, regions: Iterable[str]) -> Source:
    """Return a folder's label maps without files of one region each, ``NAME_REGION.nii.gz``.

    `lightskip predict` writes such files next to the label map of each case, which has all regions.

    Args:
        source: the label maps.
        regions: names of the regions.

    Raises:
        InputError: a case has files of regions and no label map.
    """
    if source.kind != "folder":
        return source
    names = {one.name for one in source.maps}
    by_case: dict[str, list[LabelMap]] = {}
    for one in source.maps:
        for region in regions:
            if one.name.endswith(f"_{region}") and one.name != f"_{region}":
                by_case.setdefault(one.name.removesuffix(f"_{region}"), []).append(one)
    lacking = [case for case, files in by_case.items() if case not in names and len(files) > 1]
    if lacking:
        files = by_case[lacking[0]]
        raise InputError(
            source.path,
            found=f"a file for each region of case {lacking[0]}: {', '.join(one.path.name for one in files[:3])}",
            expected="one label map for every case, in which a region is a union of labels",
            remedy="name the folder of the label maps; lightskip datalist merges files of regions into label maps",
        )
    left_out = [one for case, files in by_case.items() if case in names for one in files]
    if not left_out:
        return source
    more = f" and {len(left_out) - 1} more" * (len(left_out) > 1)
    note = f"{source.path}: {left_out[0].path.name}{more} left out: files of one region next to the case's label map."
    removed = set(left_out)
    kept = [one for one in source.maps if one not in removed]
    return replace(source, maps=kept, notes=(*source.notes, note))


def _find_value(word: str, region: str, labels: Labels, where: str) -> int:
    """Return the comparison's value of a label that is named by its name or its value in the references' files."""
    if word in labels.foreground:
        return labels.foreground[word]
    names = {str(value): name for name, value in labels.in_reference.items()}
    if word in names and names[word] in labels.foreground:
        return labels.foreground[names[word]]
    close = get_close_matches(word, list(labels.foreground), n=1)
    shown = ", ".join(f"{labels.in_reference[name]} ({name})" for name in labels.foreground)
    raise InputError(
        where,
        found=f"the region {region} with the label {word}",
        expected=f"labels of the reference: {shown}, from {labels.origin}",
        remedy=f"did you mean {close[0]}?" if close else "correct it, or name all labels with --labels NAME=VALUE ...",
    )
