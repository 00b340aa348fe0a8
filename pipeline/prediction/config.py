"""Evaluate a bundle's config inside another program, without changing that program's state."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import create_workflow

from ..data.config_errors import explain_config_error
from ..data.errors import InputError, input_error_behind
from ..quiet import quiet_monai

__all__ = ["evaluate_config", "explain_error", "preserve_global_state"]

_REFUSED_BY = re.compile(r"Failed to instantiate component '([^']+)'")  # MONAI's message


def evaluate_config(files: Sequence[Path], settings: Mapping[str, Any]) -> Any:
    """Return MONAI's initialised workflow for config files with overrides.

    Raises:
        InputError: a setting does not work.
    """
    # As with `python -m`: a config may import a module from the working directory.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with quiet_monai():
        try:
            return create_workflow(
                # A library leaves logging to its user.
                config_file=[str(file) for file in files],
                workflow_type="infer",
                logging_file=False,
                **settings,
            )
        except Exception as error:
            named = ", ".join(map(str, files))
            raise _name_config(explain_config_error(explain_error(error), named), named) from error


def _name_config(error: Exception, files: str) -> Exception:
    """Return an error, with the config's files before the key if it names a key alone."""
    if not isinstance(error, InputError) or not str(error.where).isidentifier():
        return error
    return InputError(f"{files}: {error.where}", found=error.found, expected=error.expected, remedy=error.remedy)


@contextmanager
def preserve_global_state() -> Iterator[None]:
    """Restore global state that a config sets: random numbers, cuDNN flags and the hook that shows errors."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    cudnn, hook = torch.backends.cudnn, sys.excepthook
    flags = cudnn.deterministic, cudnn.benchmark
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)  # noqa: NPY002
        cudnn.deterministic, cudnn.benchmark = flags
        sys.excepthook = hook


def explain_error(error: Exception) -> Exception:
    """Return the InputError behind MONAI's errors, or one for an argument that a component refuses, or else the error.

    A component refuses an argument by its name (TypeError) or by its value (ValueError).
    """
    known = input_error_behind(error)
    if known is not None:
        return known
    chain = [error]
    while isinstance(chain[-1].__cause__, Exception):
        chain.append(chain[-1].__cause__)
    component = next((found[1] for one in chain if (found := _REFUSED_BY.search(str(one)))), None)
    misnamed = next(
        (one for one in chain if isinstance(one, TypeError) and "unexpected keyword argument" in str(one)), None
    )
    refusal = misnamed or (chain[-1] if component and isinstance(chain[-1], ValueError) else None)
    if refusal is None:
        return error
    return InputError(
        f"a setting of the inference config{f' ({component})' if component else ''}",
        found=" ".join(str(refusal).split()).rstrip("."),
        expected="arguments that the component accepts",
        remedy="correct it: --set KEY=VALUE",
    )
