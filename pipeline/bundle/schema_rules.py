"""The base model, types and rules of the plan's schemas."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints
from pydantic_core import PydanticCustomError

from .evaluated_text import EXPECTED, find_evaluated

__all__ = [
    "Count",
    "Dimensions",
    "FileName",
    "Layer",
    "Module",
    "Name",
    "NonNegative",
    "Positive",
    "Schema",
    "Sentence",
    "Text",
    "Version",
    "Width",
    "as_list",
    "is_nested",
    "require",
    "require_axes",
    "require_plain",
]


class Schema(BaseModel):
    """A part of the plan. Strict: a quoted number, or `true` where a number belongs, is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def require(condition: bool, message: str, *, subkey: str = "") -> None:
    """Raise pydantic's error with this message unless the condition holds; ``subkey`` is a key within the field."""
    if not condition:
        # Pydantic would format braces in the message itself.
        raise PydanticCustomError("plan", "{message}", {"message": message, "subkey": subkey})


def require_axes(value: list[Any], axes: int, *, subkey: str = "", each: str = "") -> None:
    """Raise pydantic's error unless the value has one entry per axis."""
    require(len(value) == axes, f"needs {each}{axes} entries, one per axis of spacing", subkey=subkey)


def require_plain(value: Any) -> None:
    """Raise pydantic's error if the value has a text that MONAI's configs would evaluate, at any depth."""
    for keys, text in find_evaluated(value):
        place = f" ({'.'.join(keys)})" if keys else ""
        require(False, f"has {text!r}{place}; expected {EXPECTED}")


def as_list(value: Any) -> list[Any]:
    """Return a list unchanged, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def is_nested(value: Any) -> bool:
    """Return whether the value is a list that contains a list."""
    return any(isinstance(entry, list) for entry in as_list(value))


def _matching(pattern: str, meaning: str) -> AfterValidator:
    def check(value: str) -> str:
        require(re.fullmatch(pattern, value) is not None, f"must be {meaning}")
        return value

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
# A text of metadata.json, which MONAI evaluates if it starts with $. Addresses and percentages may start with @ and %.
Sentence = Annotated[Text, _matching(r"(?s)[^$].*", "a text that does not start with $, which MONAI evaluates")]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Dimensions = Field(min_length=2, max_length=3)
Layer = str | list[Any]
# A network of a billion layers would be built until the memory is full.
Count = Annotated[int, Field(gt=0, le=1000)]  # of layers or blocks
Width = Annotated[int, Field(gt=0, le=2**20)]  # of feature maps
# Folders, zips and packages have a bundle's name and more behind it; a file's name may have 255 bytes.
Name = Annotated[
    str,
    _matching(
        r"[A-Za-z_][A-Za-z0-9_]{0,99}", "a name of letters, digits and _, at most 100 of them, such as hippocampus_t1"
    ),
]
Version = Annotated[str, _matching(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", "three numbers, such as 1.0.2")]
FileName = Annotated[str, _matching(r"[A-Za-z0-9_-]{1,100}", "the name of a file in configs/skips, without .yaml")]
Module = Annotated[str, _matching(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "the import path of a module, such as my_skips")]
