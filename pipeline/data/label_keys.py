"""The entries of a datalist about labels: their values, regions, ignored values, and each case's annotated labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .errors import InputError
from .region_names import name_labels
from .region_table import MAX_REGIONS

__all__ = ["LABEL_KEYS", "LabelKeys", "read_annotated", "read_label_keys"]

LABEL_KEYS = ("labels", "regions", "region_order", "regions_class_order", "ignore")
"""The top-level keys that are read here."""

_WHOLE = re.compile(r"-?[0-9]+")
_LABELS = '"labels": {"0": "background", "1": "liver"} or {"background": 0, "liver": 1}, one value per name'
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
        InputError: a name or value is twice, a region has an unknown label or none, a label is in no region, the order
            leaves out a region, or an ignored value is also that of a label.
    """
    named, ignored = _labels_and_ignored(content, file)
    given = content.get("regions")
    labels: dict[str, int] | None = None
    regions: dict[str, tuple[int, ...]] | None = None
    if any(isinstance(value, tuple) for value in named.values()):
        if given is not None:
            found = '"labels" with several values for one name, and "regions" as well'
            raise _error(file, found, "regions in one of the two", 'put one value for each name into "labels"')
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
        raise _error(
            file, f'{place} with "annotated" {named!r:.100}', '"annotated": ["liver", "kidney"], names of labels'
        )
    for name in names:
        if name != "background" and name not in keys.names:
            raise _error(
                file,
                f'{place} with the annotated label "{name}"',
                f"names of labels or regions: {', '.join(keys.names) or 'the datalist has none'}",
                _nearest(name, keys.names),
            )
    found = tuple(dict.fromkeys(name for name in names if name != "background"))
    if not found:
        remedy = "name them; leave the entry out if all labels were annotated, or the case if none was"
        raise _error(file, f'{place} with an empty "annotated"', "the labels that were annotated in this case", remedy)
    return found


def _labels_and_ignored(
    content: Mapping[str, Any], file: str | Path
) -> tuple[dict[str, int | tuple[int, ...]], tuple[int, ...]]:
    """Return the values of each name in "labels", and the ignored values."""
    pairs = _pairs(content.get("labels"), file)
    named = {name: value for name, value in pairs if name.lower() != "ignore"}
    own = [value for name, value in pairs if name.lower() == "ignore"]
    plain = [value for value in named.values() if isinstance(value, int)]
    several = any(isinstance(value, tuple) for value in named.values())
    if len(named) + len(own) < len(pairs) or (len(set(plain)) < len(plain) and not several):
        raise _error(file, f'"labels" {content["labels"]!r}', "every name once and every value once")
    ignored = [each for value in own for each in (value if isinstance(value, tuple) else (value,))]
    entry = content.get("ignore")
    values = [] if entry is None else entry if isinstance(entry, list) else [entry]
    if not all(type(value) is int for value in values) or (entry is not None and not values):
        raise _error(file, f'"ignore" {entry!r}', '"ignore": 255, or [254, 255]: values of voxels without annotation')
    return named, tuple(dict.fromkeys([*ignored, *values]))


def _pairs(named: Any, file: str | Path) -> list[tuple[str, int | tuple[int, ...]]]:
    if named is None:
        return []
    pairs = list(named.items()) if isinstance(named, Mapping) else []
    if pairs and all(_WHOLE.fullmatch(str(key)) and isinstance(value, str) for key, value in pairs):
        return [(value, int(key)) for key, value in pairs]
    if pairs and all(type(value) is int or _is_values(value) for _, value in pairs):
        return [(str(key), tuple(value) if isinstance(value, list | tuple) else value) for key, value in pairs]
    raise _error(file, f'"labels" {named!r}', _LABELS)


def _is_values(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(type(each) is int for each in value)


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
        raise _error(
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
        str(name): list(each) if isinstance(each, list | tuple) else [each]
        for name, each in (given.items() if isinstance(given, Mapping) else ())
    }
    if not words or not all(type(word) is int or isinstance(word, str) for each in words.values() for word in each):
        raise _error(file, f'"regions" {given!r:.200}', _REGIONS)
    return words


def _resolve(word: Any, labels: Mapping[str, int], file: str | Path, where: str) -> int:
    """Return the value of a label, given as value or name."""
    if isinstance(word, str) and word in labels:
        return labels[word]
    value = int(word) if _WHOLE.fullmatch(str(word)) else None
    if value is not None and value in labels.values():
        return value
    known = [name for name in labels if name != "background"]
    raise _error(
        file,
        f"{where} with the label {word if value is not None else repr(word)}",
        f"labels of the datalist: {', '.join(f'{name} ({labels[name]})' for name in known)}",
        "correct it, or declare the label" if value is not None else _nearest(str(word), known),
    )


def _check_ignored(ignored: Sequence[int], labels: Mapping[str, int], file: str | Path) -> None:
    for name, value in labels.items():
        if value in ignored:
            raise _error(
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
        raise _error(file, f"{len(regions)} regions", f"at most {MAX_REGIONS}", "leave some out")
    seen: dict[frozenset[int], str] = {}
    for region, values in regions.items():
        bad = [value for value in values if value == labels["background"] or value in ignored]
        if bad:
            kind = "ignored value" if bad[0] in ignored else "background's value"
            raise _error(file, f'the region "{region}" with the {kind} {bad[0]}', "labels that are structures")
        if not values or len(set(values)) < len(values) or region.strip() in ("", "background"):
            found = f'the region "{region}" with the values {list(values)}'
            raise _error(file, found, 'a name other than "background", and at least one label, each once')
        if region in labels and labels[region] not in values:
            found = f'the region "{region}" of {_join(values, names)}, and a label of the same name'
            raise _error(file, found, "different names, or a region with this label", "rename one of the two")
        if (other := seen.setdefault(frozenset(values), region)) != region:
            found = f'the regions "{other}" and "{region}" with the same labels'
            raise _error(file, found, "different regions", "leave one of them out")
    within = {value for values in regions.values() for value in values}
    outside = [value for value in names if value != labels["background"] and value not in within]
    if outside:
        first = f'"{names[outside[0]]}": [{outside[0]}]'
        found = f"{_join(outside, names)} in no region"
        raise _error(file, found, "each label in at least one region", f'add it to "regions", such as {first}')


def _read_order(
    content: Mapping[str, Any], regions: Mapping[str, Sequence[int]] | None, labels: Mapping[str, int], file: str | Path
) -> dict[str, int] | None:
    given, listed = content.get("region_order"), content.get("regions_class_order")
    if regions is None:
        # nnU-Net ignores its own key then, too.
        if given is not None:
            raise _error(file, '"region_order", and no regions', '"regions" as well', "add them, or remove the order")
        return None
    if given is not None and listed is not None:
        found = 'both "region_order" and "regions_class_order"'
        raise _error(file, found, "one order of the regions", "remove one of the two")
    if listed is not None:
        if not isinstance(listed, list | tuple) or len(listed) != len(regions):
            expected = f"{len(regions)} values, one for each of the regions {', '.join(regions)}"
            raise _error(file, f'"regions_class_order" {listed!r}', expected)
        given = dict(zip(regions, listed, strict=True))
    if given is None:
        return None
    if not isinstance(given, Mapping) or sorted(map(str, given)) != sorted(regions):
        unknown = [str(name) for name in given if name not in regions] if isinstance(given, Mapping) else []
        names = ", ".join(regions)
        expected = f"each of the regions {names} once, with the label that it writes, in the order of writing"
        remedy = _nearest(unknown[0], list(regions)) if unknown else "correct this entry of the datalist"
        raise _error(file, f'"region_order" {given!r}', expected, remedy)
    order = {str(name): _resolve(word, labels, file, f'the order of "{name}"') for name, word in given.items()}
    for name, value in order.items():
        if value not in regions[name]:
            expected = f"one of its own labels, {', '.join(map(str, regions[name]))}"
            raise _error(file, f'the region "{name}" that writes the label {value}', expected)
    return order


def _join(values: Sequence[int], names: Mapping[int, str]) -> str:
    return ", ".join(f"{names.get(value, '')} ({value})".strip() for value in values)


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else "correct it, or declare the label"


def _error(
    file: str | Path, found: str, expected: str, remedy: str = "correct this entry of the datalist"
) -> InputError:
    return InputError(file, found=found, expected=expected, remedy=remedy)
