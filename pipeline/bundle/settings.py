"""The check of values that a bundle's config runs before anything is computed. Needs only torch and MONAI."""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.bundle.utils import EXPR_KEY

from ..data.config_errors import explain_config_errors
from ..data.errors import InputError, input_error_behind
from .nested_rules import check_nested
from .network_check import check_deepest_level, find_refusal
from .resume_length import LENGTH_KEYS, check_resume_length
from .runtime import config_files, running_workflow
from .setting_rules import (
    NOT_NEGATIVE,
    RULES,
    check_folder,
    check_length,
    check_start,
    check_validation,
    check_value,
)

__all__ = ["check_network_settings", "check_settings"]

_SIZES = ("patch", "window", "inferer#roi_size")
_FOLDERS = ("ckpt_dir", "output_dir", "predictions_dir")


def check_settings() -> None:
    """Stop a run whose settings cannot work, before it has read, computed or written anything.

    These are checked if the config has them: the modules of ``imports``, the numbers of a training, the labels, the
    class ratios, the device, whether the network can be built, whether it accepts the patch and the window, and whether
    the output folder is writable. Modules, such as one that registers a skip, may be in the bundle's folder: this
    function appends it to the module search path.

    A config calls this in ``initialize``, after the seed is set, because the network is built here. Without a running
    workflow (``verify_net_in_out``, export) nothing is checked.

    Raises:
        InputError: a setting cannot work; the message names the first one and its valid values.
    """
    workflow, call = running_workflow()
    if workflow is None:
        return
    parser = workflow.parser
    where = ", ".join(str(file) for file in config_files(workflow, call))
    _check_imports(parser, workflow.config_root_path.absolute().parent, where)
    values = {key: parser.get_parsed_content(key) for key in RULES if key in parser}
    for key, value in values.items():
        check_value(key, value, where)
    check_nested(parser.config, where)
    check_length(values, where)
    if not {"checkpoint", "output_dir"} & parser.config.keys():
        # Not of an evaluation, whose config has these keys too.
        check_validation(values, where)
        lengths = {key: parser.get_parsed_content(key) for key in LENGTH_KEYS if key in parser}
        check_resume_length(lengths, parser.config, where)
    if "start_from" in parser:
        start_from, resume = (parser.get_parsed_content(key) for key in ("start_from", "resume"))
        check_start(values, start_from, resume, where)
    _check_labels(parser, where)
    _check_class_ratios(parser, where)
    _check_loss(parser, where)
    _check_annotated(parser, where)
    _check_device(parser, where)
    _build(parser, "network_def", where)
    # Weights can be of another network, and then say so.
    network = _build(parser, "network" if "network" in parser else "network_def", where)
    _check_sizes(parser, network, where)
    for key in _FOLDERS:
        if key in parser and (folder := parser.get_parsed_content(key)) is not None:
            check_folder(Path(folder), key)


def _require(fits: bool, where: str, *, found: str, expected: str, change: str) -> None:
    if not fits:
        raise InputError(where, found=found, expected=expected, remedy=f"set another value: --{change} VALUE")


def _check_imports(parser: ConfigParser, bundle: Path, where: str) -> None:
    # At the end, so that it cannot hide an installed module.
    if str(bundle) not in sys.path:
        sys.path.append(str(bundle))
    for name in _imported_modules(parser.config.get("imports")):
        # MONAI has tried already, without the bundle's folder, and hides errors. This is early enough for modules that
        # register something: the network is built later.
        try:
            import_module(name)
        except Exception as error:
            raise InputError(
                where,
                found=f"imports: the module {name} cannot be imported ({type(error).__name__}: {error})",
                expected=f"a module on Python's search path, or in the bundle's folder {bundle}",
                remedy=f"put the module's folder into PYTHONPATH, or the module into {bundle}; "
                "if it was found, correct the error in it",
            ) from error


def _imported_modules(imports: Any) -> Iterator[str]:
    """Yield the names of modules in a config's plain ``$import NAME`` expressions."""
    for text in imports if isinstance(imports, list) else [imports]:
        if isinstance(text, str) and text.startswith(f"{EXPR_KEY}import "):
            for statement in ast.parse(text.removeprefix(EXPR_KEY)).body:
                yield from (alias.name for alias in getattr(statement, "names", []))


def _check_labels(parser: ConfigParser, where: str) -> None:
    # Of regions there may be more or fewer than labels.
    if "labels" not in parser or _has_regions(parser):
        return
    labels, classes = parser.get_parsed_content("labels"), _count_labels(parser)
    fits = isinstance(labels, dict) and all(type(value) is int and 0 <= value < classes for value in labels.values())
    of = "bundle's {} labels" if "targets" in parser else "network's {} out_channels"
    meaning = f"names with whole numbers from 0 to {classes - 1}, one for each of the {of.format(classes)}"
    _require(fits, where, found=f"labels {labels!r}", expected=meaning, change="labels")


def _has_regions(parser: ConfigParser) -> bool:
    """Return whether an inference config turns regions into labels."""
    transforms = parser.get("postprocessing#transforms", [])
    return any(str(one.get("_target_", "")).endswith("DecodeRegionsd") for one in transforms if isinstance(one, dict))


def _count_labels(parser: ConfigParser) -> int:
    # With regions the network has other outputs.
    key = "num_labels" if "targets" in parser else "out_channels"
    number: int = parser.get_parsed_content(key)
    return number


def _check_loss(parser: ConfigParser, where: str) -> None:
    """Refuse a loss of MONAI's in place of the one that knows what the target's values mean."""
    if "targets" not in parser or "loss#loss" not in parser:
        return
    loss = parser["loss#loss"]
    target = loss.get("_target_") if isinstance(loss, dict) else None
    if isinstance(target, str) and ("." not in target or target.startswith(("monai.", "torch."))):
        raise InputError(
            where,
            found=f"the loss {target}, which takes the values of label maps for labels",
            expected="a loss that knows regions, ignored values and partly annotated cases, such as "
            "pipeline.training.SegmentationLoss with targets '@targets'",
            remedy="choose a loss by name: --loss NAME",
        )


def _check_annotated(parser: ConfigParser, where: str) -> None:
    """Refuse cases that name annotated labels in a bundle that would take all labels for annotated."""
    if "train_cases" not in parser or "annotated_sets" in parser:
        return
    # An evaluation, which has these keys too, reads no training cases: there may be none.
    parts = ("val_cases",) if {"checkpoint", "output_dir"} & parser.config.keys() else ("train_cases", "val_cases")
    cases = [case for part in parts for case in parser.get_parsed_content(part)]
    partial = [case for case in cases if case.get("annotated") is not None]
    if partial:
        raise InputError(
            where,
            found=f"{len(partial)} of {len(cases)} cases in which only some labels were annotated, the first is "
            f"{partial[0]['image']}",
            expected="a bundle that was planned for such cases, with partial_labels: true in its plan",
            remedy="plan it again: lightskip plan DATALIST",
        )


def _check_class_ratios(parser: ConfigParser, where: str) -> None:
    if "class_ratios" not in parser:
        return
    ratios, classes = parser.get_parsed_content("class_ratios"), _count_labels(parser)
    fits = isinstance(ratios, list | tuple) and len(ratios) == classes and all(map(NOT_NEGATIVE[0], ratios))
    meaning = f"{classes} numbers, 0 or more, one per label with background first, and one of them above 0"
    found = f"class_ratios {ratios!r}"
    _require(fits and sum(ratios) > 0, where, found=found, expected=meaning, change="class_ratios")


def _check_device(parser: ConfigParser, where: str) -> None:
    device = parser.get_parsed_content("device")
    try:
        torch.empty(0, device=device)
    # PyTorch asserts that it was compiled with CUDA.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            where,
            found=f"device '{device}', which does not work here ({reason})",
            expected="a device of this machine",
            remedy="leave the device out, or set --device cpu",
        ) from error


def check_network_settings(files: Sequence[Path], bundle: Path, overrides: Mapping[str, Any], *, sizes: bool) -> None:
    """Build the network of a config that does not run, without memory: what `check_settings` checks of it.

    Args:
        files: the config's files; later ones override earlier ones.
        bundle: the bundle's folder, which may have modules of the user's own.
        overrides: the overrides of the config.
        sizes: also compare patch and window with the network.

    Raises:
        InputError: the network cannot be built, or does not accept the patch or the window.
    """
    where = ", ".join(map(str, files))
    with explain_config_errors(where):
        parser = ConfigParser()
        parser.read_config([str(file) for file in files])
        parser.update(dict(overrides))
        _check_imports(parser, bundle.absolute(), where)
        with torch.device("meta"):
            network = _build(parser, "network_def", where)
        if sizes:
            _check_sizes(parser, network, where)


def _check_sizes(parser: ConfigParser, network: Any, where: str) -> None:
    divisor = getattr(network, "size_divisor", 1)
    for key in _SIZES:
        if key in parser:
            size = _check_size(parser, key, divisor, where)
            check_deepest_level(network, size, where, found=f"{key} {size}")


def _build(parser: ConfigParser, key: str, where: str) -> Any:
    try:
        return parser.get_parsed_content(key)
    except RuntimeError as error:
        input_error = input_error_behind(error)
        if input_error is not None:
            raise input_error from error
        refusal = find_refusal(error.__cause__) if error.__cause__ is not None else None
        if refusal is None:
            raise
        raise InputError(
            where,
            found=f"a network that cannot be built: {refusal}",
            expected="settings that the network accepts",
            remedy="correct it in skip or network_def",
        ) from error


def _check_size(parser: ConfigParser, key: str, divisor: int | tuple[int, ...], where: str) -> list[int]:
    size, spatial_dims = parser.get_parsed_content(key), parser.get_parsed_content("spatial_dims")
    divisors = [divisor] * spatial_dims if isinstance(divisor, int) else list(divisor)
    axes = len(divisors)
    multiple = divisors[0] if len(set(divisors)) == 1 else tuple(divisors)
    meaning = f"{axes} whole numbers of voxels, one per axis, each a multiple of {multiple}"
    whole = isinstance(size, list | tuple) and len(size) == axes and all(type(n) is int and n > 0 for n in size)
    if whole:
        smaller = [max(n // d, 1) * d for n, d in zip(size, divisors, strict=True)]
        larger = [-(-n // d) * d for n, d in zip(size, divisors, strict=True)]
        meaning += f", such as {smaller} or {larger}"
    fits = whole and list(size) == larger
    _require(fits, where, found=f"{key} {size!r}", expected=meaning, change=key)
    return list(size)
