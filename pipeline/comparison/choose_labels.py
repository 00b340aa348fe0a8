"""Which labels are compared, and which value each of them has in each file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..data.errors import InputError
from .read_map import MapFacts

__all__ = ["Labels", "choose_labels", "find_file_values", "read_given_labels", "values_of_file"]


@dataclass(frozen=True)
class Labels:
    """The labels of a comparison.

    Attributes:
        values: value by name, the background (0) first.
        origin: where they come from, in words.
    """

    values: dict[str, int]
    origin: str

    @property
    def foreground(self) -> dict[str, int]:
        """The labels that are measured."""
        return {name: value for name, value in self.values.items() if value != 0}


def read_given_labels(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Return labels as ``--labels`` names them, with the background.

    Raises:
        InputError: a name or a value is there twice, a value is below 0, or there is no foreground label.
    """
    named = [(name, value) for name, value in pairs if not (name == "background" and value == 0)]
    values = [value for _, value in named]
    text = " ".join(f"{name}={value}" for name, value in pairs)
    problem = ""
    if len({name for name, _ in named}) < len(named) or len(set(values)) < len(values):
        problem = "a name or a value twice"
    elif not values or min(values) < 1:
        problem = "a value below 1" if values else "no foreground label"
    if problem:
        raise InputError(
            "--labels",
            found=f"{problem}: {text}",
            expected="every name once, with a value of its own, 1 or more",
            remedy="correct it, as in --labels anterior=1 posterior=2",
        )
    return {"background": 0, **dict(named)}


def choose_labels(
    *,
    given: Mapping[str, int] | None,
    declared: Mapping[str, int] | None,
    tables: Iterable[tuple[str, Mapping[int, str]]],
    found: Iterable[int],
) -> Labels:
    """Return the labels to compare, with their values in the reference's files.

    The first of these that there is: the user's, the datalist's or bundle's, the first table of names that has a name
    for every value in the references, or these values, named ``label_1``, ….

    Args:
        given: value by name, as the user named them.
        declared: those of the reference's datalist or bundle.
        tables: name by value, with the words for their origin, in the order in which they are tried.
        found: the values in the references.

    Raises:
        InputError: there is no label at all, or a value found is below 0.
    """
    if given is not None:
        return Labels(dict(given), "the command line")
    if declared is not None and any(declared.values()):
        names = {name: value for name, value in declared.items() if value != 0}
        return Labels({"background": 0, **names}, "the reference's datalist or bundle")
    values = sorted({value for value in found if value != 0})
    if not values:
        raise InputError(
            "the references",
            found="no labelled voxel in any of them, and no names of labels",
            expected="at least one label",
            remedy="name the labels: --labels NAME=VALUE",
        )
    if values[0] < 0:
        raise InputError(
            "the references",
            found=f"the value {values[0]}",
            expected="values of 0 and above",
            remedy=f"count it as background: --as_background {values[0]}",
        )
    for origin, table in tables:
        if table and set(values) <= set(table) and len(set(table.values())) == len(table):
            return Labels({"background": 0, **{table[value]: value for value in sorted(table)}}, origin)
    return Labels({"background": 0, **{f"label_{value}": value for value in values}}, "the values in the references")


def find_file_values(labels: Labels, table: Mapping[int, str]) -> dict[int, int]:
    """Return the value in a file of each value of the comparison: by name if its table has all names, else the same.

    Upper and lower case in names are the same.

    Args:
        labels: the labels of the comparison.
        table: name by value, from the file or its folder; empty if it has none.
    """
    by_name = {name.casefold(): value for value, name in table.items()}
    named = {name.casefold() for name in labels.foreground} <= by_name.keys() and len(by_name) == len(table)
    return {value: by_name[name.casefold()] if named else value for name, value in labels.foreground.items()}


def values_of_file(
    facts: MapFacts,
    labels: Labels,
    *,
    case: str,
    table: Mapping[int, str],
    as_background: Sequence[int] = (),
) -> dict[int, int]:
    """Return the comparison's value of each value that a file holds.

    Labels are found as in `find_file_values`.

    Args:
        facts: of the file.
        labels: the labels of the comparison.
        case: name of the case, for the message.
        table: name by value, from the file or its folder; empty if it has none.
        as_background: values that count as background.

    Raises:
        InputError: the file holds a value that is no label.
    """
    wanted = labels.foreground
    own = {theirs: value for value, theirs in find_file_values(labels, table).items()}
    known = {**dict.fromkeys((0, *as_background), 0), **own}
    unknown = [value for value in facts.values if value not in known]
    if unknown:
        shown = ", ".join(f"{value} ({table[value]})" if value in table else str(value) for value in unknown[:10])
        raise InputError(
            facts.path,
            found=f"case {case} with undeclared label values: {shown}",
            expected=f"0 and {', '.join(f'{value} ({name})' for name, value in wanted.items())}, from {labels.origin}",
            remedy="name all labels with --labels NAME=VALUE ..., or count values as background with --as_background",
        )
    return {value: known[value] for value in facts.values}
