"""The entries of a datalist about labels: their values, regions, ignored values, and each case's annotated labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .label_values import entry_error, read_values, whole_number
from .region_names import find_bad_name, name_labels
from .region_table import MAX_REGIONS

__all__ = ["LABEL_KEYS", "LabelKeys", "read_annotated", "read_label_keys"]

LABEL_KEYS = ("labels", "regions", "region_order", "regions_class_order", "ignore")
"""The top-level keys that are read here."""

_WHOLE = re.compile(r"-?[0-9]+")
_REGIONS = '"regions": {"tumour": [1, 2], "core": [2]}, values or names of labels for each region'


@dataclass(frozen=True)
class LabelKeys:
    """The labels of a datalist.

    Args:
        labels: value in the files by name, the background first, then by value; None if the datalist names none.
        regions: the values of each region's labels; None if there are no regions.
        order: the value that each region writes into a label map, the first one first; None if none is given.
        ignored: values that mark voxels without annotation.
    """

    labels: dict[str, int] | None
    regions: dict[str, tuple[int, ...]] | None = None
    order: dict[str, int] | None = None
    ignored: tuple[int, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names that a case's "annotated" may have: labels and regions, without the background."""
        labels = [name for name in self.labels or () if name != "background"]
        return [*labels, *(name for name in self.regions or () if name not in labels)]


def read_label_keys(content: Mapping[str, Any], file: str | Path) -> LabelKeys:
    """Return the labels, regions and ignored values of a datalist or of a `dataset.json`.

    Labels have MSD's form, {"1": "liver"}, or nnU-Net's, {"liver": 1}. nnU-Net's regions, {"tumour": [1, 2]}, become
    regions of labels that are named after them (`name_labels`), its label "ignore" becomes an ignored value.

    Args:
        content: the file's content.
        file: where it is from; errors name it.

    Raises:
        InputError: a name or value is twice, a value is no whole number of 32 bits, a region has an unknown label or
            none, or a name that no file can have, a label is in no region, the order leaves out a region, or an ignored
            value is also that of a label.
    """
    named, ignored = read_values(content, file)
    given = content.get("regions")
    labels: dict[str, int] | None = None
    regions: dict[str, tuple[int, ...]] | None = None
    if any(isinstance(value, tuple) for value in named.values()):
        if given is not None:
            found = '"labels" with several values for one name, and "regions" as well'
            raise entry_error(file, found, "regions in one of the two", 'put one value for each name into "labels"')
        regions = {
            name: value if isinstance(value, tuple) else (value,)
            for name, value in named.items()
            if name.lower() != "background" and value not in (0, (0,))
        }
        background = named.get("background", 0)
        labels = _named_after(regions, background if isinstance(background, int) else background[0])
    elif content.get("labels") is None:
        if given is not None:
            regions = _plain_regions(given, file)
            labels = _named_after(regions)
    else:
        labels = _with_background({name: value for name, value in named.items() if isinstance(value, int)})
        regions = None if given is None else _resolve_regions(given, labels, file)
    _check_ignored(ignored, labels or {}, file)
    if regions is not None:
        _check_regions(regions, labels or {}, ignored, file)
    return LabelKeys(labels, regions, _read_order(content, regions, labels or {}, file), ignored)


def read_annotated(named: Any, keys: LabelKeys, file: str | Path, *, place: str) -> tuple[str, ...] | None:
    """Return the names of the labels or regions that were annotated in a case; None if all were.

    Args:
        named: the item's entry "annotated": a list of names, or one name.
        keys: the datalist's labels.
        file: the datalist.
        place: of the item in it, such as "training[3]".

    Raises:
        InputError: it is no list of names, names none, or names an unknown label.
    """
    if named is None:
        return None
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise entry_error(
            file, f'{place} with "annotated" {named!r:.100}', '"annotated": ["liver", "kidney"], names of labels'
        )
    for name in names:
        if name != "background" and name not in keys.names:
            raise entry_error(
                file,
                f'{place} with the annotated label "{name}"',
                f"names of labels or regions: {', '.join(keys.names) or 'the datalist has none'}",
                _nearest(name, keys.names),
            )
    found = tuple(dict.fromkeys(name for name in names if name != "background"))
    if not found:
        remedy = "name them; leave the entry out if all labels were annotated, or the case if none was"
        expected = "the labels that were annotated in this case"
        raise entry_error(file, f'{place} with an empty "annotated"', expected, remedy)
    return found


def _with_background(labels: dict[str, int]) -> dict[str, int]:
    """Return labels with the background first, then by value.

    0 is the background whatever its name (bg, unlabelled), unless another value is named background.
    """
    called = [name for name in labels if name.lower() == "background"] or [n for n in labels if labels[n] == 0]
    if not called:
        labels = {**labels, "background": 0}
    elif "background" not in called:
        labels = {"background" if name == called[0] else name: value for name, value in labels.items()}
    return dict(sorted(labels.items(), key=lambda item: (item[0] != "background", item[1])))


def _named_after(regions: Mapping[str, Sequence[int]], background: int = 0) -> dict[str, int]:
    return {"background": background, **name_labels(regions)}


def _plain_regions(given: Any, file: str | Path) -> dict[str, tuple[int, ...]]:
    """Return regions of values, for a datalist that names no labels."""
    words = _region_words(given, file)
    wrong = next((word for each in words.values() for word in each if not _WHOLE.fullmatch(str(word))), None)
    if wrong is not None:
        raise entry_error(
            file, f'a region of the label "{wrong}", and no "labels"', "values, or names of labels", 'add "labels"'
        )
    return {name: tuple(int(word) for word in each) for name, each in words.items()}


def _resolve_regions(given: Any, labels: Mapping[str, int], file: str | Path) -> dict[str, tuple[int, ...]]:
    words = _region_words(given, file)
    return {
        name: tuple(_resolve(word, labels, file, f'the region "{name}"') for word in each)
        for name, each in words.items()
    }


def _region_words(given: Any, file: str | Path) -> dict[str, list[Any]]:
    """Return the values or names of each region's labels."""
    words = {
        str(name): [_word(word) for word in (each if isinstance(each, list | tuple) else [each])]
        for name, each in (given.items() if isinstance(given, Mapping) else ())
    }
    if not words or None in [word for each in words.values() for word in each]:
        raise entry_error(file, f'"regions" {given!r:.200}', _REGIONS)
    return words


def _word(word: Any) -> int | str | None:
    """Return a label's name or value; None if it is neither."""
    return word if isinstance(word, str) else whole_number(word)


def _resolve(word: Any, labels: Mapping[str, int], file: str | Path, where: str) -> int:
    """Return the value of a label, given as value or name."""
    if isinstance(word, str) and word in labels:
        return labels[word]
    value = int(word) if _WHOLE.fullmatch(str(word)) else whole_number(word)
    if value is not None and value in labels.values():
        return value
    known = [name for name in labels if name != "background"]
    raise entry_error(
        file,
        f"{where} with the label {word if value is not None else repr(word)}",
        f"labels of the datalist: {', '.join(f'{name} ({labels[name]})' for name in known)}",
        "correct it, or declare the label" if value is not None else _nearest(str(word), known),
    )


def _check_ignored(ignored: Sequence[int], labels: Mapping[str, int], file: str | Path) -> None:
    for name, value in labels.items():
        if value in ignored:
            raise entry_error(
                file,
                f"the value {value} as ignored and as the label {name}",
                "an ignored value that is no label",
                'remove it from "ignore", or the label from "labels"',
            )


def _check_regions(
    regions: Mapping[str, Sequence[int]], labels: Mapping[str, int], ignored: Sequence[int], file: str | Path
) -> None:
    """Raise an InputError unless the regions are different unions of labels that together have every label."""
    names = {value: name for name, value in labels.items()}
    if len(regions) > MAX_REGIONS:
        raise entry_error(file, f"{len(regions)} regions", f"at most {MAX_REGIONS}", "leave some out")
    seen: dict[frozenset[int], str] = {}
    for region, values in regions.items():
        bad = [value for value in values if value == labels["background"] or value in ignored]
        if bad:
            kind = "ignored value" if bad[0] in ignored else "background's value"
            raise entry_error(file, f'the region "{region}" with the {kind} {bad[0]}', "labels that are structures")
        if (bad_name := find_bad_name(region)) is not None:
            shown = f"{region[:40]}…" if len(region) > 40 else region
            expected = "a name that file names can have, as masks are saved under it"
            raise entry_error(file, f"a region's name {bad_name}: {shown!r}", expected, "rename this region")
        if not values or len(set(values)) < len(values) or region.strip() in ("", "background"):
            found = f'the region "{region}" with the values {list(values)}'
            raise entry_error(file, found, 'a name other than "background", and at least one label, each once')
        if region in labels and labels[region] not in values:
            found = f'the region "{region}" of {_join(values, names)}, and a label of the same name'
            raise entry_error(file, found, "different names, or a region with this label", "rename one of the two")
        if (other := seen.setdefault(frozenset(values), region)) != region:
            found = f'the regions "{other}" and "{region}" with the same labels'
            raise entry_error(file, found, "different regions", "leave one of them out")
    within = {value for values in regions.values() for value in values}
    outside = [value for value in names if value != labels["background"] and value not in within]
    if outside:
        first = f'"{names[outside[0]]}": [{outside[0]}]'
        found = f"{_join(outside, names)} in no region"
        raise entry_error(file, found, "each label in at least one region", f'add it to "regions", such as {first}')


def _read_order(
    content: Mapping[str, Any], regions: Mapping[str, Sequence[int]] | None, labels: Mapping[str, int], file: str | Path
) -> dict[str, int] | None:
    given, listed = content.get("region_order"), content.get("regions_class_order")
    if regions is None:
        # nnU-Net ignores its own key then, too.
        if given is not None:
            raise entry_error(
                file, '"region_order", and no regions', '"regions" as well', "add them, or remove the order"
            )
        return None
    if given is not None and listed is not None:
        found = 'both "region_order" and "regions_class_order"'
        raise entry_error(file, found, "one order of the regions", "remove one of the two")
    if listed is not None:
        if not isinstance(listed, list | tuple) or len(listed) != len(regions):
            expected = f"{len(regions)} values, one for each of the regions {', '.join(regions)}"
            raise entry_error(file, f'"regions_class_order" {listed!r}', expected)
        given = dict(zip(regions, listed, strict=True))
    if given is None:
        return None
    if not isinstance(given, Mapping) or sorted(map(str, given)) != sorted(regions):
        unknown = [str(name) for name in given if name not in regions] if isinstance(given, Mapping) else []
        names = ", ".join(regions)
        expected = f"each of the regions {names} once, with the label that it writes, in the order of writing"
        remedy = _nearest(unknown[0], list(regions)) if unknown else "correct this entry of the datalist"
        raise entry_error(file, f'"region_order" {given!r}', expected, remedy)
    order = {str(name): _resolve(word, labels, file, f'the order of "{name}"') for name, word in given.items()}
    for name, value in order.items():
        if value not in regions[name]:
            expected = f"one of its own labels, {', '.join(map(str, regions[name]))}"
            raise entry_error(file, f'the region "{name}" that writes the label {value}', expected)
    return order


def _join(values: Sequence[int], names: Mapping[int, str]) -> str:
    return ", ".join(f"{names.get(value, '')} ({value})".strip() for value in values)


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else "correct it, or declare the label"
