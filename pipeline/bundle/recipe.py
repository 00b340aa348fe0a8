"""Read a recipe, which is YAML in MONAI's config language, and fill in its tags.

``@reference``, ``$expression``, ``%macro`` and ``_target_`` are MONAI's and stay unchanged. The tags:

    max_epochs: !plan training.epochs          the plan's value at a dotted path: a scalar, a list or a mapping
    skip: !skip skip                           the value at a key of configs/skips/NAME.yaml, where NAME is plan.skip
    spatial_dims: !derived spatial_dims        a value computed from the plan: the table in ``render.py``
    bundle_root: !recipe bundle_root           only in configs/export: the value in the recipe that the file changes
    transforms:
    - _target_: LoadImaged
    - !splice {derived: normalisation}         a list (of plan, skip or derived) whose items join the list around it

A key with the derived value `LEFT_OUT` is left out of the mapping around it.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from ..data.errors import InputError
from ..data.yaml_file import Loader, read_yaml

__all__ = ["LEFT_OUT", "fill_recipe"]

LEFT_OUT = object()
"""A value whose key is not rendered."""

_SOURCES = ("plan", "skip", "derived", "recipe")


def fill_recipe(recipe: Path, sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Read a recipe and replace its tags.

    Args:
        recipe: the YAML file.
        sources: the values for the tags ``plan``, ``skip``, ``derived`` and ``recipe``.

    Returns:
        Plain mappings, lists and scalars, with keys in the recipe's order.

    Raises:
        InputError: the YAML is broken, or a tag or its name is unknown; names file, line and nearest known name.
    """
    content, _ = read_yaml(recipe, loader=_RecipeLoader)
    return _fill_mapping(content, recipe, sources)


@dataclass(frozen=True)
class _Tag:
    """A tag of a recipe, before it is filled in."""

    source: str
    name: str
    line: int
    splice: bool = False


class _RecipeLoader(Loader):
    """Read tags as ``_Tag``."""


def _read_tag(loader: yaml.SafeLoader, source: str, node: yaml.Node) -> _Tag:
    line = node.start_mark.line + 1
    if source == "splice":
        if isinstance(node, yaml.MappingNode) and len(node.value) == 1 and node.value[0][0].value in _SOURCES:
            key, value = node.value[0]
            return _Tag(key.value, str(value.value), line, splice=True)
        problem = f"!splice needs one of {', '.join(_SOURCES)}, as in !splice {{derived: normalisation}}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    if source not in _SOURCES or not isinstance(node, yaml.ScalarNode):
        problem = f"no such tag: !{source}; known are !plan, !skip, !derived and !recipe with a name, and !splice"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return _Tag(source, str(loader.construct_scalar(node)), line)


_RecipeLoader.add_multi_constructor("!", _read_tag)


def _fill(value: Any, recipe: Path, sources: dict[str, dict[str, Any]]) -> Any:
    if isinstance(value, _Tag):
        return _look_up(value, recipe, sources)
    if isinstance(value, dict):
        return _fill_mapping(value, recipe, sources)
    if not isinstance(value, list):
        return value
    filled: list[Any] = []
    for item in value:
        is_splice = isinstance(item, _Tag) and item.splice
        filled.extend(_look_up_list(item, recipe, sources) if is_splice else [_fill(item, recipe, sources)])
    return filled


def _fill_mapping(content: dict[str, Any], recipe: Path, sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    filled = {key: _fill(value, recipe, sources) for key, value in content.items()}
    return {key: value for key, value in filled.items() if value is not LEFT_OUT}


def _look_up_list(tag: _Tag, recipe: Path, sources: dict[str, dict[str, Any]]) -> list[Any]:
    value = _look_up(tag, recipe, sources)
    if not isinstance(value, list):
        raise InputError(
            f"{recipe}, line {tag.line}",
            found=f"!splice of {tag.source} {tag.name}, which is {value!r}",
            expected="a list",
            remedy=f"write !{tag.source} {tag.name} instead",
        )
    return value


def _look_up(tag: _Tag, recipe: Path, sources: dict[str, dict[str, Any]]) -> Any:
    value: Any = sources.get(tag.source, {})
    for key in tag.name.split("."):
        if not isinstance(value, dict) or key not in value:
            known = [str(name) for name in value] if isinstance(value, dict) else []
            close = get_close_matches(key, known, n=1)
            raise InputError(
                f"{recipe}, line {tag.line}",
                found=f"!{tag.source} {tag.name}, but there is no {key}",
                expected=f"one of {', '.join(known)}" if known else "a shorter name, since this value has no keys",
                remedy=f"did you mean {close[0]}?" if close else "correct the name",
            )
        value = value[key]
    return value
