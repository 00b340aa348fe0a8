"""Read the skip connections of a study: a file of ``configs/skips``, a registered name, or a definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..bundle.render import list_skips, recipes_folder
from ..bundle.render import read_skip as read_recipe
from ..bundle.schema import InlineSkip
from ..data.errors import InputError
from ..networks import Skip
from .network_choices import plain
from .override_checks import check_json
from .problems import shorten
from .schema import SkipChoice

__all__ = ["read_skip"]


def read_skip(choice: str | SkipChoice, file: Path, where: str) -> tuple[str, Any, float]:
    """Return the label, the definition and the sparsity of a skip.

    Args:
        choice: what the study file says.
        file: the study file.
        where: the file and the key, for messages.

    Raises:
        InputError: there is no such skip, or its definition has a wrong form.
    """
    if isinstance(choice, str):
        # A registered skip without a file of its own has its defaults.
        if choice not in list_skips() and choice.upper() in Skip.names:
            return choice, choice, 0.0
        content = read_recipe(choice, recipes_folder() / "skips", Path(f"{file}, {where.rpartition(', ')[2]}"))
        return choice, content["skip"], float(content.get("sparsity", 0.0))
    check_json("skip", choice.skip, where)
    if not (_is_one(choice.skip) or (isinstance(choice.skip, list) and choice.skip and all(map(_is_one, choice.skip)))):
        raise InputError(
            f"{where}.skip",
            found=shorten(choice.skip),
            expected="a name, [name, {option: value}], or a list with one of these per level, finest first",
            remedy="correct skip, such as [sat, {select: hard}]",
        )
    content = InlineSkip(skip=choice.skip, sparsity=choice.sparsity).model_dump(mode="json")
    return choice.label or _name_skip(choice.skip), content["skip"], choice.sparsity


def _name_skip(skip: Any) -> str:
    if isinstance(skip, str):
        return skip
    if len(skip) == 2 and isinstance(skip[1], dict):
        return " ".join([str(skip[0]), *(f"{key}={plain(value)}" for key, value in skip[1].items())])
    return ", ".join(_name_skip(entry) for entry in skip)


def _is_one(skip: Any) -> bool:
    """Return whether a definition is a name, or a name with its options."""
    named = isinstance(skip, str) and skip != ""
    return named or (isinstance(skip, list) and [type(part) for part in skip] == [str, dict])
