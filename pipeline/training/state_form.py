"""Check the form of a training's state before anything is taken from it: a damaged one would fail in the middle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from ..data.errors import InputError
from .earlier_files import LAST

__all__ = ["MAX_STEPS", "check_form", "check_optimizer"]

MAX_STEPS = 10_000_000
"""More steps than any training has. A schedule is taken to its place step by step."""
# State of optimisers that has the shape of its parameter.
_MOMENTS = {"momentum", "momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg"}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_STEPS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_state_of_optimizer(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    groups, states = value.get("param_groups"), value.get("state")
    return (
        isinstance(groups, list)
        and all(isinstance(one, Mapping) and isinstance(one.get("params"), list) for one in groups)
        and isinstance(states, Mapping)
        and all(isinstance(one, Mapping) for one in states.values())
    )


def _is_length(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        key in value and (value[key] is None or _is_number(value[key])) for key in ("epochs", "minutes")
    )


def _is_changes(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(one, Mapping)
        and isinstance(one.get("way"), str)
        and all(_is_number(one.get(key)) for key in ("after_epoch", "after_seconds"))
        for one in value
    )


_Rule = tuple[Callable[[Any], bool], str]
_COUNT: _Rule = _is_count, f"a whole number from 0 to {MAX_STEPS:,}"
_NUMBER: _Rule = _is_number, "a finite number"
_MAPPING: _Rule = lambda value: isinstance(value, Mapping), "a dict"
_REQUIRED: dict[str, _Rule] = {
    "network": _MAPPING,
    "optimizer": (_is_state_of_optimizer, "the state of an optimiser: state and param_groups"),
    "lr_scheduler": (
        lambda value: isinstance(value, Mapping) and _is_count(value.get("last_epoch")),
        "the state of a schedule, with its step as last_epoch",
    ),
    "epoch": _COUNT,
    "iteration": _COUNT,
    "best_metric": _NUMBER,
    "best_epoch": (lambda value: value == -1 or _is_count(value), "an epoch, or -1 for none"),
}
# None stands for what is not known.
_OPTIONAL: dict[str, _Rule] = {
    "average": _MAPPING,
    "network_spec": _MAPPING,
    "identity": _MAPPING,
    "scaler": _MAPPING,
    "seconds": _NUMBER,
    "val_cases": _COUNT,
    "rate": _NUMBER,
    "length": (_is_length, "numbers under epochs and minutes"),
    "lengthened": (_is_changes, "a list of changes of the length"),
}


def check_form(path: Path, state: Any) -> None:
    """Raise InputError if what a file holds is no state of a training, or an entry is of another kind.

    Args:
        path: the file, for the message.
        state: its content.
    """
    missing = sorted(_REQUIRED.keys() - state.keys()) if isinstance(state, dict) else sorted(_REQUIRED)
    if missing:
        raise InputError(
            path,
            found=f"no {missing[0]} in it"
            + (", as in a file that has only weights" if len(missing) == len(_REQUIRED) else ""),
            expected=f"the {LAST} that a training writes to its ckpt_dir, with {', '.join(sorted(_REQUIRED))}",
            remedy="put that file there, or leave out --resume to start a new training",
        )
    for key, (fits, expected) in (_REQUIRED | _OPTIONAL).items():
        value = state.get(key)
        if (key in _REQUIRED or value is not None) and not fits(value):
            raise _damaged(path, f"{key} {_shorten(value)}", expected)


def check_optimizer(path: Path, state: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Raise InputError if a training's state is of another optimiser, or of one with other groups or parameters.

    Args:
        path: the file, for the message.
        state: what `check_form` let pass.
        optimizer: the optimiser that will continue from it.
    """
    expected = type(optimizer).__qualname__
    found = state.get("optimizer_type", expected)
    both = state["optimizer"]["param_groups"], optimizer.state_dict()["param_groups"]
    numbers = [[len(group["params"]) for group in groups] for groups in both]
    if found != expected or numbers[0] != numbers[1]:
        raise InputError(
            path,
            found=f"the state of {found} with groups of {numbers[0]} parameters",
            expected=f"{expected} with groups of {numbers[1]} parameters, as in this config",
            remedy="resume with the first run's optimizer, or leave out --resume to start a new training",
        )
    for theirs, own in zip(*both, strict=True):
        for key, value in theirs.items():
            if _is_number(own.get(key)) and not isinstance(value, Tensor) and not _is_number(value):
                raise _damaged(path, f"{key} {_shorten(value)} of the optimiser", "a finite number")
    _check_moments(path, state["optimizer"], optimizer)


def _check_moments(path: Path, state: Mapping[str, Any], optimizer: Optimizer) -> None:
    parameters: Sequence[Tensor] = [one for group in optimizer.param_groups for one in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    for number, parameter in zip(numbers, parameters, strict=True):
        for key, value in state["state"].get(number, {}).items():
            if key not in _MOMENTS or value is None:
                continue
            shape = tuple(value.shape) if isinstance(value, Tensor) else None
            if shape != tuple(parameter.shape) or not value.is_floating_point():
                what = f"{shape} ({value.dtype})" if isinstance(value, Tensor) else _shorten(value)
                raise _damaged(
                    path,
                    f"{key} {what.replace('torch.', '')} of the optimiser's parameter {number}",
                    f"{tuple(parameter.shape)} numbers of floating point, as the parameter",
                )


def _damaged(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected=expected,
        remedy="the file is damaged: resume from a copy of it, or leave out --resume to start a new training",
    )


def _shorten(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | None) else f"({type(value).__name__})"
