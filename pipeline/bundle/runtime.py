"""The check of overrides that a bundle's config makes while MONAI runs it. Needs torch and MONAI only."""

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
    """The config's files of a run: those that its call names, else all beside the workflow's own."""
    files = call.get("config_file")
    if files:
        return [Path(file) for file in ([files] if isinstance(files, str | Path) else files)]
    # A workflow built in Python does not keep the names of its files: a key of any file beside it counts.
    return [file for file in sorted(workflow.config_root_path.glob("*.json")) if file.name != "metadata.json"]


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


def accepted_arguments(component: dict[str, Any], locator: ComponentLocator | None = None) -> set[str] | None:
    """Return the names that the component's target takes; None when it takes any, or when that is unknown."""
    target: Any = ConfigComponent(component, locator=locator).resolve_module_name()
    try:
        component_type: Any = locate(target) if isinstance(target, str) else target
        parameters = inspect.signature(component_type).parameters.values()
    except (TypeError, ValueError, ErrorDuringImport):
        return None  # MONAI itself reports a target that does not exist
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}.union(ConfigComponent.non_arg_keys)
