"""Join label maps with their references by the name of the case, and say where they do not join."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data.errors import InputError
from ..data.images.endings import scan_name
from .folder_maps import exact_name, own_name, plain_name
from .source import LabelMap, Source

__all__ = ["Joined", "JoinedCase", "join_sets"]

# How names are compared: as they are, without what LightSkip adds, without what other programs add.
_WAYS: tuple[Callable[[str], str], ...] = (exact_name, own_name, plain_name)
_MAX_SHOWN = 3


@dataclass(frozen=True)
class JoinedCase:
    """A case with its reference and its prediction in each set.

    Attributes:
        name: of the case.
        subject: whose scan it is; the case's own name if nobody says.
        reference: the reference's file.
        image: the scan; None if neither the reference nor a set knows it.
        predictions: file by the set's name; None where it is missing.
        annotated: names of the labels or regions that were annotated; None for all.
    """

    name: str
    subject: str
    reference: Path
    image: Path | None
    predictions: dict[str, Path | None]
    annotated: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Joined:
    """All cases of a comparison.

    Attributes:
        cases: in the reference's order.
        missing: names of the cases without a prediction, by set.
        surplus: label maps that belong to no case, by set.
    """

    cases: list[JoinedCase]
    missing: dict[str, list[str]]
    surplus: dict[str, list[Path]]


def join_sets(reference: Source, sets: Mapping[str, Source], subjects: Mapping[str, str] | None = None) -> Joined:
    """Return the cases of a reference with their predictions.

    A prediction belongs to a case if the name of its file is the case's name; or is it without ``_seg``, ``.seg`` and
    ``_0000``; or is it without an ending such as ``_label`` or ``_pred``. The first of these that fits counts. For
    the cases of a datalist the names of scan and label map count as well.

    Args:
        reference: the references.
        sets: the label maps to compare, by the set's name.
        subjects: subject by the case's name, instead of the reference's.

    Raises:
        InputError: the reference or a set has two label maps of one case, or a set none of any case.
    """
    _refuse_two_references(reference)
    matched = {name: _match(reference, source, name) for name, source in sets.items()}
    taken = {name: set(found.values()) for name, found in matched.items()}
    cases = [
        JoinedCase(
            name=one.name,
            subject=(subjects or {}).get(one.name) or one.subject or one.name,
            reference=one.path,
            image=one.image or _find_image(one.name, matched.values()),
            predictions={name: found[one.name].path if one.name in found else None for name, found in matched.items()},
            annotated=one.annotated,
        )
        for one in reference.maps
    ]
    return Joined(
        cases=cases,
        missing={name: [case.name for case in cases if case.predictions[name] is None] for name in sets},
        surplus={name: [one.path for one in source.maps if one not in taken[name]] for name, source in sets.items()},
    )


def _find_image(case: str, matched: Iterable[Mapping[str, LabelMap]]) -> Path | None:
    """Return the scan that a set knows for a case; None if none does."""
    return next((found[case].image for found in matched if case in found and found[case].image is not None), None)


def _match(reference: Source, source: Source, name: str) -> dict[str, LabelMap]:
    """Return the prediction of each case that has one."""
    found: dict[str, LabelMap] = {}
    left = dict.fromkeys(source.maps)
    for way in _WAYS:
        open_cases = [one for one in reference.maps if one.name not in found]
        cases = _by_key(open_cases, way)
        for key, named in _by_key(left, way).items():
            own, predictions = cases.get(key, []), [one for one in named if one in left]
            if len(own) != 1 or own[0].name in found or not predictions:
                continue
            if len(predictions) > 1:
                raise _two_maps_error(source, name, own[0].name, [one.path for one in predictions])
            found[own[0].name] = predictions[0]
            del left[predictions[0]]
        _refuse_second(found, left, way, source, name)
    if not found:
        raise _nothing_joins_error(reference, source, name)
    return found


def _by_key(maps: Iterable[LabelMap], way: Callable[[str], str]) -> dict[str, list[LabelMap]]:
    """Return label maps by each of their names."""
    found: dict[str, list[LabelMap]] = {}
    for one in maps:
        for key in dict.fromkeys(way(name) for name in (one.name, *one.others)):
            found.setdefault(key, []).append(one)
    return found


def _refuse_second(
    found: Mapping[str, LabelMap], left: Iterable[LabelMap], way: Callable[[str], str], source: Source, name: str
) -> None:
    """Raise InputError if a label map that is left has the name of a case that has one already."""
    if way is plain_name:
        # Here names are only similar.
        return
    taken = {way(case): one.path for case, one in found.items()}
    for one in left:
        key = own_name(scan_name(one.path))
        if key in taken and source.kind == "folder":
            raise _two_maps_error(source, name, key, [taken[key], one.path])


def _refuse_two_references(reference: Source) -> None:
    """Raise InputError if a folder has two references of one case: no prediction could be of either."""
    if reference.kind != "folder":
        return
    files: dict[str, list[Path]] = {}
    for one in reference.maps:
        files.setdefault(own_name(scan_name(one.path)), []).append(one.path)
    for case, paths in files.items():
        if len(paths) > 1:
            raise _two_maps_error(reference, "", case, paths)


def _two_maps_error(source: Source, name: str, case: str, files: Sequence[Path]) -> InputError:
    where = f"in set {name}" if name else "in the reference"
    return InputError(
        source.path,
        found=f"several label maps of case {case} {where}: {', '.join(file.name for file in files[:_MAX_SHOWN])}",
        expected="one label map for every case",
        remedy="move the other files into a folder of their own",
    )


def _nothing_joins_error(reference: Source, source: Source, name: str) -> InputError:
    have = _shown([one.path.name for one in source.maps])
    wanted = _shown([one.name for one in reference.maps])
    return InputError(
        source.path,
        found=f"no label map of a case of the reference in set {name}; its files are {have}",
        expected=f"files named after the cases, with or without _seg: {wanted}",
        remedy="name the folder with the predictions of these cases, or rename the files",
    )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_SHOWN]) + ", …" * (len(names) > _MAX_SHOWN)
