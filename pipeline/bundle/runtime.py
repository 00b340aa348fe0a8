"""The check of overrides that a bundle's config runs under MONAI's runner. Needs only torch and MONAI."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from types import FrameType
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle.config_item import ComponentLocator, ConfigComponent
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

from .overrides import check_none, check_overridden, known_ids

__all__ = ["accepted_arguments", "check_overrides", "running_workflow"]

_CREATE_WORKFLOW = "create_workflow"
_TRACKING_HANDLERS = ("trainer", "validator", "evaluator")


def check_overrides() -> None:
    """Stop a run with an override of an unknown key, or with a value of another type.

    Otherwise ``python -m monai.bundle run training --config_file configs/train.json --epoch 3`` would train for the
    configured number of epochs: MONAI adds the key ``epoch``, which nothing reads. A config calls this in
    ``initialize`` as ``$pipeline.bundle.check_overrides()``. Arguments that a component's ``_target_`` accepts may be
    added. A number must stay a number, a boolean a boolean, a mapping a mapping; expressions and references are always
    accepted. None is refused: the runner leaves it out, and ``--skip None`` would train with the configured skip.
    Without a running workflow (``verify_net_in_out``, export) nothing is checked.

    Raises:
        InputError: the message names every override with None, every unknown override with the nearest known ids, or
            every value of another type.
    """
    workflow, call = running_workflow()
    if workflow is None:
        return
    files = config_files(workflow, call)
    own = inspect.signature(ConfigWorkflow).parameters
    check_none(files, [key for key, value in call.get("kwargs", {}).items() if value is None and key not in own])
    parser = workflow.parser
    allowed = _tracking_keys(parser.config, call)
    check_overridden(
        files,
        {key: value for key, value in parser.config.items() if key not in allowed},
        known_ids(ConfigParser.load_config_file(file) for file in files),
        accepted=lambda component: accepted_arguments(component, parser.locator),
    )


def running_workflow() -> tuple[ConfigWorkflow | None, dict[str, Any]]:
    """Return the workflow that evaluates the config, or None, and the local variables of the call that created it.

    A config has no reference to its workflow, so it is looked up on the call stack.
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
    """Return the config's files of a run: those in its call, or else all in the workflow's folder."""
    files = call.get("config_file")
    if files:
        return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    # A workflow built in Python does not keep its files' names, so keys of all files in the folder are known.
    return [file for file in sorted(workflow.config_root_path.glob("*.json")) if file.name != "metadata.json"]


def _tracking_keys(config: dict[str, Any], call: dict[str, Any]) -> set[str]:
    """Return the top-level keys that MONAI adds: the metadata, and settings of experiment tracking if it is on."""
    allowed = {ConfigParser.meta_key}
    settings = list(DEFAULT_EXP_MGMT_SETTINGS.values())
    tracking = call.get("_args", {}).get("tracking")
    if isinstance(tracking, dict) or (isinstance(tracking, str) and tracking not in DEFAULT_EXP_MGMT_SETTINGS):
        settings.append(ConfigParser.load_config_files(tracking))
    for setting in settings:
        keys = set(setting["configs"]).difference(_TRACKING_HANDLERS)
        # MONAI adds all of them or none; a single one is an override that nothing reads.
        if keys <= set(config):
            allowed |= keys | {"output_dir", "save_execute_config"}
    return allowed


def accepted_arguments(component: dict[str, Any], locator: ComponentLocator | None = None) -> set[str] | None:
    """Return the arguments that the component's target accepts; None if it accepts any, or if that is unknown."""
    target: Any = ConfigComponent(component, locator=locator).resolve_module_name()
    try:
        component_type: Any = locate(target) if isinstance(target, str) else target
        parameters = inspect.signature(component_type).parameters.values()
    except (TypeError, ValueError, ErrorDuringImport):
        return None  # MONAI itself reports a target that does not exist
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}.union(ConfigComponent.non_arg_keys)
