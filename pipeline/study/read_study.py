"""Read a study file, and report every problem with its key and line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..bundle.evaluated_text import EXPECTED, find_evaluated
from ..data.errors import InputError
from ..data.yaml_file import line_of, read_yaml
from .problems import explain_problem, shorten
from .schema import Budget, Group, Measure, Membranes, NetworkChoice, Robustness, SkipChoice, Study

__all__ = ["StudyFile", "read_study"]

# The keys of a mapping, by the key that it stands under.
_SCHEMAS: dict[str, type[BaseModel]] = {
    "": Study,
    "arms": Group,
    "budget": Budget,
    "measure": Measure,
    "robustness": Robustness,
    "membranes": Membranes,
    "networks": NetworkChoice,
    "skips": SkipChoice,
}
# Names that Pydantic gives to the members of a union.
_MEMBERS = {"str", "bool", "constrained-str", *(schema.__name__ for schema in _SCHEMAS.values())}
# Texts of reports, which no config takes.
_TEXTS = ("question", "about", "label", "variant", "baseline")
_MEMBER = re.compile(r"[a-z-]+\[.*\]")


@dataclass(frozen=True)
class StudyFile:
    """A study and its file.

    Attributes:
        path: the file.
        text: its text.
        sha256: the hash of the text.
        study: what it says.
    """

    path: Path
    text: str
    sha256: str
    study: Study


def read_study(file: str | Path) -> StudyFile:
    """Read a study file.

    Raises:
        InputError: lists every problem in the file with its dotted key and line, and for an unknown key the nearest
            known one.
    """
    path = Path(file)
    content, lines = read_yaml(path)
    try:
        study = Study.model_validate(_gather_arguments(content))
    except ValidationError as error:
        problems = sorted({_describe(details, lines) for details in error.errors() if not _is_noise(details)})
        raise InputError(
            path,
            found=f"{len(problems)} problem{'s' * (len(problems) > 1)}",
            expected="the keys and values of a study",
            remedy="correct these lines (docs/study.md has the keys):\n  " + "\n  ".join(text for _, text in problems),
        ) from None
    _refuse_evaluated(content, lines, path)
    text = path.read_text(encoding="utf-8")
    return StudyFile(path, text, hashlib.sha256(text.encode()).hexdigest(), study)


def _refuse_evaluated(content: dict[str, Any], lines: Any, path: Path) -> None:
    """Refuse values that MONAI's configs would evaluate: a study is data, and runs no code of its own."""
    found = [(keys, text) for keys, text in find_evaluated(content) if keys[-1] not in _TEXTS]
    if found:
        keys, text = found[0]
        raise InputError(
            f"{path}, line {line_of(lines, keys)}, {'.'.join(keys)}",
            found=shorten(text),
            expected=EXPECTED,
            remedy="write the value itself; an expression belongs in the bundle's own configs",
        )


def _gather_arguments(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with a network's own arguments, which are keys next to its name, under ``arguments``."""

    def gather(network: Any) -> Any:
        if not isinstance(network, dict):
            return network
        words = ("name", "label", "variant")
        own = {key: value for key, value in network.items() if key not in words}
        return {key: network[key] for key in words if key in network} | {"arguments": own}

    groups = content.get("arms")
    if not isinstance(groups, list):
        return content
    return content | {
        "arms": [
            {**group, "networks": [gather(one) for one in group["networks"]]}
            if isinstance(group, dict) and isinstance(group.get("networks"), list)
            else group
            for group in groups
        ]
    }


def _describe(details: Any, lines: Any) -> tuple[int, str]:
    # Pydantic adds the members of a union, which are not in the file.
    *above, last = (str(part) for part in details["loc"])
    unknown = details["type"] == "extra_forbidden"
    keys = tuple(key for key in above if not _is_member(key)) + ((last,) if unknown or not _is_member(last) else ())
    line = line_of(lines, keys)
    where = f"line {line}: {'.'.join(keys)}"
    if unknown:
        parent = next((key for key in reversed(keys[:-1]) if not key.isdigit()), "")
        known = list(_SCHEMAS[parent].model_fields)
        close = get_close_matches(keys[-1], known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"keys here: {', '.join(known)}"
        return line, f"{where} is not a key here; {remedy}"
    if details["type"] == "missing":
        return line, f"{where} is missing"
    message = explain_problem(details)
    if _is_name_of_union(details):
        message = "should be a name, or a mapping: `key: value`"
    return line, f"{where} {message} (found {shorten(details['input'])})"


def _is_member(key: str) -> bool:
    return key in _MEMBERS or _MEMBER.fullmatch(key) is not None


def _is_name_of_union(details: Any) -> bool:
    return bool(details["loc"][-1] == "constrained-str" and details["type"] == "string_type")


def _is_noise(details: Any) -> bool:
    """Return whether a problem repeats another: of a union with a name, each member has its own."""
    kind, value = details["loc"][-1], details["input"]
    if _is_name_of_union(details):
        return isinstance(value, dict)
    return details["type"] == "model_type" and kind in ("NetworkChoice", "SkipChoice")
