"""The entries about labels of a new datalist: from the source, and from the options that replace them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import InputError
from .label_keys import LABEL_KEYS, LabelKeys, read_label_keys
from .layouts.names import labels_by_value, parse_label_names

__all__ = ["LabelOptions", "make_label_entries"]


class LabelOptions:
    """Options of `lightskip datalist` about labels, as words.

    Args:
        names: names of the values 0, 1, 2 …, or VALUE=NAME.
        regions: NAME=VALUE,VALUE for each region; names of labels may take the place of values.
        order: REGION=VALUE for each region, in the order of writing.
        ignored: values of voxels without annotation.
    """

    def __init__(
        self,
        names: Sequence[str] | None = None,
        regions: Sequence[str] | None = None,
        order: Sequence[str] | None = None,
        ignored: Sequence[int] | None = None,
    ) -> None:
        self.names = names or ()
        self.regions = regions or ()
        self.order = order or ()
        self.ignored = ignored or ()

    def entries(self) -> dict[str, Any]:
        """Return them as entries of a datalist.

        Raises:
            InputError: a word has another form.
        """
        entries: dict[str, Any] = {"labels": parse_label_names(self.names)} if self.names else {}
        if self.regions:
            entries["regions"] = {
                name: [_word(value) for value in values.split(",")]
                for name, values in _pairs(self.regions, "--regions", "whole=1,2,3 core=2,3").items()
            }
        if self.order:
            pairs = _pairs(self.order, "--region-order", "whole=1 core=2")
            entries["region_order"] = {name: _word(value) for name, value in pairs.items()}
        return entries | ({"ignore": list(self.ignored)} if self.ignored else {})


def make_label_entries(described: Mapping[str, Any], source: str | Path, options: LabelOptions) -> dict[str, Any]:
    """Return a datalist's entries "labels", "regions", "region_order" and "ignore", as far as there are any.

    Args:
        described: the source's entries, in MSD's or nnU-Net's form.
        source: the file that they are from; errors name it.
        options: they replace the source's.

    Raises:
        InputError: they contradict each other; see `read_label_keys`.
    """
    given = options.entries()
    own = {key: described[key] for key in LABEL_KEYS if described.get(key) is not None}
    if not _has_regions(own) and not given.keys() - {"labels"}:
        # Labels alone: here 0 must be called background, as the network will call it.
        if given:
            return given
        return {"labels": labels_by_value(own["labels"], source)} if own.get("labels") else {}
    entries = _to_entries(read_label_keys(own, source)) if _has_regions(own) else own
    if "regions" in given:
        entries.pop("region_order", None)
    # Once more, since options may not fit the source.
    words = {"labels": "--label-names", "regions": "--regions", "region_order": "--region-order", "ignore": "--ignore"}
    where = " and ".join(words[key] for key in given) or source
    return _to_entries(read_label_keys(entries | given, where))


def _has_regions(own: Mapping[str, Any]) -> bool:
    """Return whether labels have more than one value each and a class for every voxel."""
    named = own.get("labels")
    pairs = list(named.items()) if isinstance(named, Mapping) else []
    several = any(isinstance(value, list) for _, value in pairs)
    ignored = any(str(word).lower() == "ignore" for pair in pairs for word in pair)
    return several or ignored or bool(own.keys() & {"regions", "region_order", "ignore"})


def _to_entries(keys: LabelKeys) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    if keys.labels is not None:
        entries["labels"] = {str(value): name for name, value in sorted(keys.labels.items(), key=lambda pair: pair[1])}
    if keys.regions is not None:
        entries["regions"] = {name: list(values) for name, values in keys.regions.items()}
    if keys.order is not None:
        entries["region_order"] = keys.order
    if keys.ignored:
        entries["ignore"] = keys.ignored[0] if len(keys.ignored) == 1 else list(keys.ignored)
    return entries


def _pairs(words: Sequence[str], option: str, example: str) -> dict[str, str]:
    parted = [word.partition("=") for word in words]
    pairs = {name.strip(): value for name, _, value in parted}
    if len(pairs) < len(words) or not all(name.strip() and value.strip() for name, _, value in parted):
        found, expected = " ".join(words), f"a name, = and values for each region, such as {example}"
        raise InputError(option, found=found, expected=expected, remedy="correct this option")
    return pairs


def _word(value: str) -> int | str:
    text = value.strip()
    return int(text) if text.removeprefix("-").isdecimal() else text
