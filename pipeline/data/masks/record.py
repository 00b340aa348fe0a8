"""The record of a merged label map: what it was made from, and which classes its values stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...files import write_text
from ..json_file import load_json
from .case import CaseMasks, Classes

__all__ = ["Record"]

_VERSION = 1


@dataclass(frozen=True)
class Record:
    """The record of a merged label map.

    It says whether the label map can be kept, and whether its values can be exchanged without its masks.

    Attributes:
        inputs: path, bytes and time of each mask, by class.
        masks: what the masks contain.
        values: the value in the label map of each combination of classes that the masks contain.
        output: bytes and time of the label map; None while it is being written.
    """

    inputs: Mapping[str, Any]
    masks: CaseMasks
    values: Mapping[Classes, int]
    output: list[int] | None = None

    @property
    def is_lossless(self) -> bool:
        """Whether each combination has a value of its own."""
        return len(set(self.values.values())) == len(self.values)

    def in_order(self, classes: Sequence[str]) -> Record:
        """Return the record with combinations in another order of the same classes."""
        place = {name: number for number, name in enumerate(classes)}

        def ordered(names: Classes) -> Classes:
            return tuple(sorted(names, key=lambda name: place[name]))

        counts = {ordered(names): count for names, count in self.masks.counts.items()}
        masks = CaseMasks(ordered(self.masks.annotated), counts)
        return replace(self, masks=masks, values={ordered(names): value for names, value in self.values.items()})

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        combinations = [[list(names), value, self.masks.counts[names]] for names, value in self.values.items()]
        content = {"version": _VERSION, "inputs": self.inputs, "annotated": list(self.masks.annotated)}
        content |= {"combinations": combinations, "output": self.output}
        write_text(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Return a record; None if there is none that can be read."""
        try:
            content = load_json(path)
            if content["version"] != _VERSION:
                return None
            rows = [(tuple(names), int(value), int(count)) for names, value, count in content["combinations"]]
            masks = CaseMasks(tuple(content["annotated"]), {names: count for names, _, count in rows})
            return cls(content["inputs"], masks, {names: value for names, value, _ in rows}, content["output"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
