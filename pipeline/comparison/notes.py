"""Sentences about a comparison that a reader of its numbers needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..evaluation.rows import describe_counting
from .check_cases import CheckedCase
from .choose_labels import Labels
from .join import Joined
from .measure import Measured
from .prepare import PreparedCases
from .source import Source

__all__ = ["make_notes"]

_MAX_SHOWN = 3


def make_notes(
    reference: Source,
    sets: Mapping[str, Source],
    joined: Joined,
    prepared: PreparedCases,
    labels: Labels,
    measured: Measured,
    *,
    calibration: bool = False,
    membranes: bool = False,
) -> list[str]:
    """Return the notes of a comparison, the most important first.

    They are about missing and surplus predictions, regions, ignored voxels and labels that were not annotated, the
    number of subjects, label maps that were turned or whose labels have other values, labels that no case has, with
    `calibration` or `membranes` predictions without probabilities, and files that were left out.
    """
    checked = prepared.checked
    return [
        *_about_missing(joined),
        *_about_surplus(joined),
        *_about_counting(labels, checked),
        *_about_subjects(checked),
        *_about_same_files(sets, checked),
        *_about_turns(sets, checked),
        *_about_labels(prepared, labels, measured),
        *(_about_probabilities(sets, checked, calibration, membranes) if calibration or membranes else ()),
        *dict.fromkeys(note for source in (reference, *sets.values()) for note in source.notes),
    ]


def _about_counting(labels: Labels, checked: Sequence[CheckedCase]) -> list[str]:
    return describe_counting(
        labels.region_names,
        ignored=any(set(one.reference.values) & set(labels.ignored) for one in checked),
        partial=sum(one.case.annotated is not None for one in checked),
        cases=len(checked),
    )


def _about_missing(joined: Joined) -> Iterator[str]:
    total = len(joined.cases)
    for name, cases in joined.missing.items():
        if cases:
            yield (
                f"{name}: {len(cases)} of {total} cases without a prediction ({_shown(cases)}); each counts as missed "
                "for every label that its reference has."
            )
    if joined.missing and all(2 * len(cases) > total for cases in joined.missing.values()):
        yield "Most cases have no prediction. If they were never to be predicted, name the others: --cases CASE ..."


def _about_surplus(joined: Joined) -> Iterator[str]:
    for name, files in joined.surplus.items():
        if files:
            shown = _shown([one.name for one in files])
            what = (
                "1 label map belongs to no case and is"
                if len(files) == 1
                else f"{len(files)} label maps belong to no case and are"
            )
            yield f"{name}: {what} not counted ({shown})."


def _about_subjects(checked: Sequence[CheckedCase]) -> Iterator[str]:
    subjects, cases = len({one.case.subject for one in checked}), len(checked)
    if subjects == 1:
        noun = "1 case" if cases == 1 else f"{cases} cases"
        yield f"{noun} of one subject: no interval and no test, which need at least two subjects."
    elif subjects < cases:
        yield f"{cases} cases of {subjects} subjects: intervals and tests are over subjects."


def _about_same_files(sets: Mapping[str, Source], checked: Sequence[CheckedCase]) -> Iterator[str]:
    names = list(sets)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            both = [(one.predictions[first], one.predictions[second]) for one in checked]
            pairs = [(one.sha256, other.sha256) for one, other in both if one is not None and other is not None]
            same = sum(one == other for one, other in pairs)
            if pairs and same == len(pairs):
                yield f"{first} and {second}: all {same} files that both have are the same, byte for byte."
    for name in names:
        found = [(one.predictions[name], one.reference) for one in checked]
        hashes = [facts is not None and facts.sha256 == reference.sha256 for facts, reference in found]
        if sum(hashes) == 1:
            yield f"{name}: 1 prediction is the same file as its reference, byte for byte."
        elif sum(hashes):
            yield f"{name}: {sum(hashes)} predictions are the same files as their references, byte for byte."


def _about_turns(sets: Mapping[str, Source], checked: Sequence[CheckedCase]) -> Iterator[str]:
    for name in sets:
        turned = [
            one.case.name for one in checked if (facts := one.predictions[name]) is not None and facts.turn is not None
        ]
        if turned:
            one = len(turned) == 1
            yield (
                f"{name}: {len(turned)} label {'map has' if one else 'maps have'} the reference's voxels with axes in "
                f"another order or direction ({_shown(turned)}); {'it was' if one else 'they were'} turned, which "
                "changes no voxel."
            )


def _about_labels(prepared: PreparedCases, labels: Labels, measured: Measured) -> Iterator[str]:
    wanted = labels.foreground
    for name, own in prepared.values.items():
        table = prepared.tables[name]
        moved = [label for label in wanted if own[label] != labels.in_reference[label]]
        # The same names, but for upper and lower case.
        odd = [
            f"{own[label]} is {table[own[label]]}, not {label}"
            for label in wanted
            if own[label] in table and table[own[label]].casefold() != label.casefold()
        ]
        if odd:
            yield f"{name}: its label table has other names ({_shown(odd)}); labels are joined by value."
        elif moved and table:
            yield f"{name}: labels are joined by name; {_shown(moved)} have other values than in the reference."
        elif moved:
            shown = _shown([f"{label} is {own[label]}" for label in moved])
            yield f"{name}: its label maps have other values than the reference: 0 is the background, {shown}."
    present = {row["label"] for row in measured.rows if row["outcome"] != "absent"}
    annotated = {row["label"] for row in measured.rows}
    unknown = [name for name in labels.rows if name not in annotated]
    if unknown:
        yield f"In no case {_shown(unknown)} was annotated."
    nowhere = [name for name in labels.rows if name in annotated and name not in present]
    if nowhere:
        yield f"No case has {_shown(nowhere)}, in reference or prediction: such labels are in no mean."


def _about_probabilities(
    sets: Mapping[str, Source], checked: Sequence[CheckedCase], calibration: bool, membranes: bool
) -> Iterator[str]:
    results = [
        *(["they are not in the calibration"] if calibration else []),
        *(["V_rand and V_info are those of the label map, at no threshold"] if membranes else []),
    ]
    for name in sets:
        without = [one.case.name for one in checked if one.predictions[name] and name not in one.probabilities]
        if without:
            yield (
                f"{name}: {len(without)} of {len(checked)} cases without probabilities next to the label map, as "
                f"NAME_prob.nii.gz ({_shown(without)}): {'; '.join(results)}."
            )


def _shown(names: Sequence[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
