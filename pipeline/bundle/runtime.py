"""The check of overrides that a bundle's config makes while MONAI runs it. Needs torch and MONAI only."""

import inspect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from types import FrameType
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.config_item import ConfigComponent
from monai.bundle.reference_resolver import ReferenceResolver
from monai.bundle.utils import (
    DEFAULT_EXP_MGMT_SETTINGS,
    EXPR_KEY,
    ID_REF_KEY,
    ID_SEP_KEY,
    MACRO_KEY,
    MERGE_KEY,
)

from ..data.errors import InputError

__all__ = ["check_overrides", "running_workflow"]

Known = dict[str, list[Any]]

_CREATE_WORKFLOW = "create_workflow"
_EVALUATED = (EXPR_KEY, ID_REF_KEY, MACRO_KEY)
_TRACKING_HANDLERS = ("trainer", "validator", "evaluator")


def check_overrides() -> None:
    """Stop a run that was given an override which its config files do not know, or a value of another kind.

    ``python -m monai.bundle run training --config_file configs/train.json --epoch 3`` would otherwise train for the
    configured number of epochs: MONAI adds the key ``epoch``, which nothing reads. A config calls this in
    ``initialize`` as ``$pipeline.bundle.check_overrides()``. An argument that a component's ``_target_`` accepts may
    be added. A number stays a number, a truth value one, a mapping one; an expression or a reference may stand
    anywhere. None is refused: the runner leaves it out, and ``--skip None`` would train with the configured skip.
    Without a running workflow (``verify_net_in_out``, export) nothing is checked.

    Raises:
        InputError: naming every override with None, every unknown override and the nearest known ids, or every value
            of another kind.
    """
    workflow, call = running_workflow()
    if workflow is None:
        return
    files = config_files(workflow, call)
    _check_none(files, call)
    known = _known_ids(files)
    allowed = _tracking_keys(workflow.parser.config, call)
    config = {key: value for key, value in workflow.parser.config.items() if key not in allowed}
    unknown = list(_unknown_ids(config, "", known, workflow.parser))
    if unknown:
        raise InputError(
            ", ".join(str(file) for file in files),
            found=f"unknown override{'s' * (len(unknown) > 1)}: " + ", ".join(f"--{_shown(key)}" for key in unknown),
            expected="a key that the config has" + _nearest(unknown, known),
            remedy="correct the name; every key in the config file is one, a nested key with # between its parts",
        )
    misfits = list(_misfits(config, "", known))
    if misfits:
        raise InputError(
            ", ".join(str(file) for file in files),
            found=", ".join(f"--{_shown(key)} {value!r}" for key, value, _ in misfits),
            expected=", ".join(f"{kind} for {_shown(key)}" for key, _, kind in misfits),
            remedy="give a value of that kind; the config file has one",
        )


def running_workflow() -> tuple[ConfigWorkflow | None, dict[str, Any]]:
    """The workflow that is evaluating the config, and the local variables of the call that created it, if any.

    MONAI gives a config no handle on the workflow that evaluates it, so it is looked up on the call stack.
    """
    workflow: ConfigWorkflow | None = None
    for frame in _callers():
        candidate = frame.f_locals.get("self")
        if workflow is None and isinstance(candidate, ConfigWorkflow):
            workflow = candidate
        if frame.f_code.co_name == _CREATE_WORKFLOW and frame.f_globals.get("__name__") == "monai.bundle.scripts":
            return workflow, dict(frame.f_locals)
    return workflow, {}


def _callers() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def config_files(workflow: ConfigWorkflow, call: dict[str, Any]) -> list[Path]:
    files = call.get("config_file")
    if files:
        return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    # A workflow built in Python does not keep the names of its files: a key of any file beside it counts.
    return [file for file in sorted(workflow.config_root_path.glob("*.json")) if file.name != "metadata.json"]


def _check_none(files: list[Path], call: dict[str, Any]) -> None:
    own = inspect.signature(ConfigWorkflow).parameters
    nothing = [_shown(key) for key, value in call.get("kwargs", {}).items() if value is None and key not in own]
    if not nothing:
        return
    typed = ", ".join(f"--{key} None" for key in nothing)
    if nothing == ["skip"]:
        expected, remedy = "the name of a skip connection", "did you mean none (the name of no skip)? Give --skip none"
    else:
        expected = "a value: overriding with None is not possible on the command line"
        remedy = "leave it out, or set null in the config file"
    raise InputError(
        ", ".join(str(file) for file in files),
        found=f"{typed}, which MONAI ignores",
        expected=expected,
        remedy=remedy,
    )


def _known_ids(files: Iterable[Path]) -> Known:
    known: Known = {}
    for file in files:
        _add_ids(ConfigParser.load_config_file(file), "", known)
    return known


def _add_ids(config: Any, prefix: str, known: Known) -> None:
    for key, value in _children(config):
        # A file that overlays another may write whole ids ("train#trainer#max_epochs") and "+" for merging.
        child = prefix + ReferenceResolver.normalize_id(key.removeprefix(MERGE_KEY))
        known.setdefault(child, []).append(value)
        _add_ids(value, child + ID_SEP_KEY, known)


def _children(config: Any) -> list[tuple[str, Any]]:
    if isinstance(config, dict):
        return [(str(key), value) for key, value in config.items()]
    return [(str(i), value) for i, value in enumerate(config)] if isinstance(config, list) else []


def _tracking_keys(config: dict[str, Any], call: dict[str, Any]) -> set[str]:
    """Top-level keys that MONAI itself adds: the metadata, and the settings of experiment tracking when it is on."""
    allowed = {ConfigParser.meta_key}
    settings = list(DEFAULT_EXP_MGMT_SETTINGS.values())
    tracking = call.get("_args", {}).get("tracking")
    if isinstance(tracking, dict) or (isinstance(tracking, str) and tracking not in DEFAULT_EXP_MGMT_SETTINGS):
        settings.append(ConfigParser.load_config_files(tracking))
    for setting in settings:
        keys = set(setting["configs"]).difference(_TRACKING_HANDLERS)
        # MONAI adds all of them or none; one alone is an override that nothing reads.
        if keys <= set(config):
            allowed |= keys | {"output_dir", "save_execute_config"}
    return allowed


def _unknown_ids(config: Any, prefix: str, known: Known, parser: ConfigParser) -> Iterator[str]:
    """Ids of the dictionary keys in the running config that no file has, where a file has the dictionary around them.

    What replaces a whole value of the files (a number, an expression, a macro's text) is the user's own and not
    looked into; nor are items added to a list, as tracking does with handlers, nor the options of a layer or skip,
    ``[name, {option: value}]``, which are another name's own.
    """
    for key, value in _children(config):
        child = prefix + key
        if child not in known:
            if isinstance(config, dict):
                yield child
        elif isinstance(value, dict) and "_target_" in value:
            yield from _unknown_arguments(value, child, known, parser)
        elif isinstance(value, dict) and isinstance(config, list):
            continue
        elif any(type(value) is type(before) for before in known[child]):
            yield from _unknown_ids(value, child + ID_SEP_KEY, known, parser)


def _unknown_arguments(component: dict[str, Any], id_: str, known: Known, parser: ConfigParser) -> Iterator[str]:
    prefix = id_ + ID_SEP_KEY
    replaced = component["_target_"] not in known.get(prefix + "_target_", [])
    added = {key for key in component if replaced or prefix + key not in known}
    if added:
        # Looking a target up imports it: only where there is something to find out.
        accepted = _accepted_arguments(component, parser)
        yield from (prefix + key for key in sorted(added) if accepted is not None and key not in accepted)
    yield from _unknown_ids({key: component[key] for key in component if key not in added}, prefix, known, parser)


def _accepted_arguments(component: dict[str, Any], parser: ConfigParser) -> set[str] | None:
    """Names that the component's target takes; None when it takes any, or when that cannot be told."""
    target: Any = ConfigComponent(component, locator=parser.locator).resolve_module_name()
    try:
        component_type: Any = locate(target) if isinstance(target, str) else target
        parameters = inspect.signature(component_type).parameters.values()
    except (TypeError, ValueError, ErrorDuringImport):
        return None  # MONAI itself tells of a target that does not exist
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}.union(ConfigComponent.non_arg_keys)


def _misfits(config: Any, prefix: str, known: Known) -> Iterator[tuple[str, Any, str]]:
    """Id, value and expected kind of what replaces a value of the files by one of another kind.

    Lists are not looked into: one item says nothing about the kind of another that takes its place.
    """
    for key, value in _children(config):
        child = prefix + key
        kinds = [_misfit(value, before) for before in known.get(child, [])]
        if kinds and all(kinds):
            yield child, value, kinds[-1]
        elif isinstance(value, dict):
            yield from _misfits(value, child + ID_SEP_KEY, known)


def _misfit(value: Any, before: Any) -> str:
    """The kind that the value should have, empty when it fits."""
    if value is None or (isinstance(value, str) and value.startswith(_EVALUATED)):
        return ""
    if isinstance(before, bool):
        # On the command line only True and False are truth values. "false" is text, and text counts as true.
        return "" if isinstance(value, bool | int) or value == "true" else "True or False (with a capital letter)"
    if isinstance(before, int | float):
        return "a number" if isinstance(value, str | bool | dict) else ""
    if isinstance(before, dict):
        return "" if isinstance(value, dict) else "a mapping"
    return ""


def _nearest(unknown: Iterable[str], known: Known) -> str:
    by_last_part: dict[str, list[str]] = {}
    for key in known:
        by_last_part.setdefault(key.rsplit(ID_SEP_KEY, 1)[-1], []).append(key)
    close: dict[str, None] = {}
    for key in unknown:
        words = get_close_matches(key, known, n=2)
        for last in get_close_matches(key.rsplit(ID_SEP_KEY, 1)[-1], by_last_part, n=2):
            words += by_last_part[last][:2]
        close.update(dict.fromkeys(words))
    return f"; the nearest are {', '.join(_shown(key) for key in close)}" if close else ""


def _shown(id_: str) -> str:
    return id_.replace(ID_SEP_KEY, "#")
