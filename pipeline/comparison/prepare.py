"""Prepare checked cases for the measuring: the labels, and their values in every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.errors import InputError
from ..evaluation.rows import find_rows
from .check_cases import CheckedCase, raise_all
from .choose_labels import Labels, choose_labels, find_file_values, read_given_labels, values_of_file
from .inputs import Inputs
from .measure import Prepared
from .probabilities import check_channels
from .read_map import MapFacts
from .regions import choose_ignored, choose_regions

__all__ = ["PreparedCases", "find_labels", "prepare_cases"]


@dataclass(frozen=True)
class PreparedCases:
    """All cases, ready to be measured.

    Attributes:
        cases: the cases.
        values: value of each label in a set's files, by set; in the first file, if they differ.
        tables: the first table of names of each set, by set: name by value.
    """

    cases: list[Prepared]
    values: dict[str, dict[str, int]]
    tables: dict[str, dict[int, str]]

    @property
    def checked(self) -> list[CheckedCase]:
        """The checked cases."""
        return [one.checked for one in self.cases]


def find_labels(inputs: Inputs, checked: Sequence[CheckedCase]) -> Labels:
    """Return the labels of a comparison, by the rules of `choose_labels`, with its regions and ignored values.

    Raises:
        InputError: there is no label, or a region or an ignored value does not fit the labels.
    """
    request, reference = inputs.request, inputs.reference
    left_out = {*request.as_background, *request.ignore, *(() if request.ignore else reference.ignored)}
    labels = choose_labels(
        given=read_given_labels(request.labels) if request.labels else None,
        declared=reference.labels,
        numbered=reference.network_labels,
        tables=_list_tables(inputs, checked),
        found={value for one in checked for value in one.reference.values} - left_out,
    )
    return replace(
        labels,
        regions=choose_regions(request.regions, reference.regions, labels),
        ignored=choose_ignored(request.ignore, reference.ignored, labels.in_reference, request.as_background),
    )


def prepare_cases(inputs: Inputs, checked: Sequence[CheckedCase], labels: Labels) -> PreparedCases:
    """Return the cases with the comparison's value of each value in their files.

    Raises:
        InputError: a label map holds a value that is no label; the message has every such file.
    """
    errors: list[InputError] = []
    background = inputs.request.as_background

    def find_values(facts: MapFacts, case: str, own: Mapping[str, int], ignored: Sequence[int] = ()) -> dict[int, int]:
        try:
            return values_of_file(facts, labels, own, case=case, as_background=background, ignored=ignored)
        except InputError as error:
            errors.append(error)
            return {}

    held = {name: _values_of_set(checked, name) - set(background) for name in inputs.sets}
    prepared, values, tables = [], dict[str, dict[str, int]](), dict[str, dict[int, str]]()
    for one in checked:
        predictions: dict[str, dict[int, int]] = {}
        channels: dict[str, dict[int, int]] = {}
        for name, facts in one.predictions.items():
            if facts is None:
                continue
            table = facts.table or inputs.sets[name].table
            own = find_file_values(labels, table, held[name])
            values.setdefault(name, own)
            tables.setdefault(name, dict(table))
            predictions[name] = find_values(facts, one.case.name, own)
            if name in one.probabilities:
                # The channel of a label is its value in the network.
                channels[name] = {value: own[label] for label, value in labels.values.items()}
                try:
                    check_channels(one.probabilities[name], channels[name])
                except InputError as error:
                    errors.append(error)
        reference = find_values(one.reference, one.case.name, labels.in_reference, labels.ignored)
        rows = tuple(_find_rows(labels, one.case.annotated, inputs.reference.path))
        prepared.append(Prepared(one, reference, predictions, channels, rows))
    raise_all(errors)
    if not any(one.rows for one in prepared):
        raise InputError(
            inputs.reference.path,
            found="no case in which a measured label or region was annotated",
            expected=f"annotated labels or regions in some case: {', '.join(labels.rows)}",
            remedy="correct the entries annotated of the datalist, or name its labels with --regions or --labels",
        )
    return PreparedCases(prepared, values, tables)


def _find_rows(labels: Labels, annotated: Sequence[str] | None, reference: Path) -> dict[str, tuple[int, ...]]:
    """Return the structures of a case that are measured."""
    try:
        return find_rows(labels.values, labels.regions, annotated)
    except ValueError as error:
        raise InputError(
            reference,
            found=str(error),
            expected="annotated labels or regions of the comparison",
            remedy="leave --labels and --regions out, or name them as the datalist does",
        ) from error


def _values_of_set(checked: Sequence[CheckedCase], name: str) -> set[int]:
    files = [one.predictions[name] for one in checked]
    return {value for facts in files if facts is not None for value in facts.values}


def _list_tables(inputs: Inputs, checked: Sequence[CheckedCase]) -> Iterator[tuple[str, Mapping[int, str]]]:
    """Yield the tables of label names, those of the reference first."""
    yield from ((f"the label table of {one.reference.path}", one.reference.table) for one in checked[:1])
    yield f"the label table in {inputs.reference.path}", inputs.reference.table
    for name, source in inputs.sets.items():
        facts = next((one.predictions[name] for one in checked if one.predictions[name] is not None), None)
        if facts is not None:
            yield f"the label table of {facts.path}", facts.table
        yield f"the label table in {source.path}", source.table
