"""Which labels are compared, and which value each of them has in each file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..data.errors import InputError
from ..evaluation.rows import find_rows
from .read_map import MapFacts

__all__ = ["Labels", "choose_labels", "find_file_values", "number_labels", "read_given_labels", "values_of_file"]

BACKGROUND = "background"


@dataclass(frozen=True)
class Labels:
    """The labels of a comparison.

    Attributes:
        values: value by name, the background (0) first.
        in_reference: the value of each in the references' files. There the background may be another value than 0.
        origin: where they come from, in words.
        regions: the values of each region's labels; empty for a comparison of labels.
        ignored: values in the references' files that count in no metric.
    """

    values: dict[str, int]
    in_reference: dict[str, int]
    origin: str
    regions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()

    @property
    def foreground(self) -> dict[str, int]:
        """The labels without the background."""
        return {name: value for name, value in self.values.items() if value != 0}

    @property
    def rows(self) -> dict[str, tuple[int, ...]]:
        """The values of each structure that is measured: the regions, else the labels."""
        return find_rows(self.values, self.regions)

    @property
    def region_names(self) -> dict[str, list[str]]:
        """The names of each region's labels."""
        names = {value: name for name, value in self.values.items()}
        return {region: [names[value] for value in values] for region, values in self.regions.items()}

    @property
    def ignored_value(self) -> int:
        """The comparison's value of ignored voxels of a reference, which no label has."""
        return max(self.values.values()) + 1


def read_given_labels(pairs: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Return labels as ``--labels`` names them, with the background: 0, unless the user names another value.

    Raises:
        InputError: a name or a value is there twice, a value is below 0, or there is no foreground label.
    """
    named = [*([] if BACKGROUND in dict(pairs) else [(BACKGROUND, 0)]), *pairs]
    values = [value for _, value in named]
    text = " ".join(f"{name}={value}" for name, value in pairs)
    problem = ""
    if len(dict(named)) < len(named) or len(set(values)) < len(values):
        problem = "a name or a value twice"
    elif min(values) < 0 or len(named) < 2:
        problem = "a value below 0" if min(values) < 0 else "no foreground label"
    if problem:
        raise InputError(
            "--labels",
            found=f"{problem}: {text}",
            expected="every name once, with a value of its own; 0 is the background unless background is named",
            remedy="correct it, as in --labels anterior=1 posterior=2",
        )
    return dict(named)


def number_labels(named: Mapping[str, int]) -> dict[str, int]:
    """Return labels with the background as 0, and first; other values stay, unless one is 0."""
    background = named.get(BACKGROUND, 0)
    if background == 0:
        return {BACKGROUND: 0, **{name: value for name, value in named.items() if value != 0}}
    others = {name: value for name, value in named.items() if name != BACKGROUND}
    free = next(value for value in range(1, len(others) + 2) if value not in others.values())
    return {BACKGROUND: 0, **{name: value or free for name, value in others.items()}}


def choose_labels(
    *,
    given: Mapping[str, int] | None,
    declared: Mapping[str, int] | None,
    numbered: Mapping[str, int] | None = None,
    tables: Iterable[tuple[str, Mapping[int, str]]],
    found: Iterable[int],
) -> Labels:
    """Return the labels to compare.

    The first of these that there is: the user's, the datalist's or bundle's, the first table of names that has a name
    for every value in the references, or these values, named ``label_1``, ….

    Args:
        given: value in the references by name, as the user named them.
        declared: those of the reference's datalist or bundle.
        numbered: a bundle's values in the network, which its label maps have.
        tables: name by value, with the words for their origin, in the order in which they are tried.
        found: the values in the references.

    Raises:
        InputError: there is no label at all, or a value found is below 0.
    """
    if given is not None:
        return Labels(number_labels(given), dict(given), "the command line")
    if declared is not None and len(declared) > 1:
        return Labels(
            number_labels(numbered or declared), {BACKGROUND: 0, **declared}, "the reference's datalist or bundle"
        )
    held = sorted({value for value in found if value != 0})
    if not held or held[0] < 0:
        raise InputError(
            "the references",
            found=f"the value {held[0]}" if held else "no labelled voxel in any of them, and no names of labels",
            expected="values of 0 and above, at least one above 0",
            remedy=f"count it as background: --as_background {held[0]}"
            if held
            else "name the labels: --labels NAME=VALUE",
        )
    names, origin = {value: f"label_{value}" for value in held}, "the values in the references"
    for words, table in tables:
        if table and set(held) <= set(table) and len(set(table.values())) == len(table):
            names, origin = dict(sorted(table.items())), words
            break
    by_name = {BACKGROUND: 0, **{name: value for value, name in names.items()}}
    return Labels(by_name, by_name, origin)


def find_file_values(labels: Labels, table: Mapping[int, str], found: Iterable[int] = ()) -> dict[str, int]:
    """Return the value of each label in the files of a set.

    By name, if their table has all names; upper and lower case are the same. Otherwise they are the values of the
    references, or, if the files have others and these fit, those of the comparison.

    Args:
        labels: the labels of the comparison.
        table: name by value, from the files or their folder; empty if they have none.
        found: the values in the set's files.
    """
    by_name = {name.casefold(): value for value, name in table.items()}
    if {name.casefold() for name in labels.foreground} <= by_name.keys() and len(by_name) == len(table):
        return {BACKGROUND: 0, **{name: by_name[name.casefold()] for name in labels.foreground}}
    held = set(found)
    fits = held <= set(labels.in_reference.values()) or not held <= set(labels.values.values())
    return dict(labels.in_reference if fits else labels.values)


def values_of_file(
    facts: MapFacts,
    labels: Labels,
    own: Mapping[str, int],
    *,
    case: str,
    as_background: Sequence[int] = (),
    ignored: Sequence[int] = (),
) -> dict[int, int]:
    """Return the comparison's value of each value that a file holds.

    Args:
        facts: of the file.
        labels: the labels of the comparison.
        own: value in the file by name.
        case: name of the case, for the message.
        as_background: values that count as background.
        ignored: values that count in no metric.

    Raises:
        InputError: the file holds a value that is no label.
    """
    known = {
        **dict.fromkeys(as_background, 0),
        **dict.fromkeys(ignored, labels.ignored_value),
        **{value: labels.values[name] for name, value in own.items()},
    }
    unknown = [value for value in facts.values if value not in known]
    if unknown:
        shown = [f"{value} ({facts.table[value]})" if value in facts.table else str(value) for value in unknown[:10]]
        raise InputError(
            facts.path,
            found=f"case {case} with undeclared label values: {', '.join(shown)}",
            expected=f"{', '.join(f'{value} ({name})' for name, value in own.items())}, from {labels.origin}",
            remedy="name all labels with --labels NAME=VALUE ..., or count values as background with --as_background",
        )
    return {value: known[value] for value in facts.values}
