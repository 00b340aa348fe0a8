"""Check a number of passes with dropout. Needs neither torch nor MONAI."""

from __future__ import annotations

from typing import Any

from .errors import InputError

__all__ = ["MAX_SAMPLES", "check_dropout_samples", "is_sample_count"]

MAX_SAMPLES = 1000  # each takes as long as a whole prediction


def is_sample_count(value: Any) -> bool:
    """Return whether a value is a number of passes."""
    return type(value) is int and 1 <= value <= MAX_SAMPLES


def check_dropout_samples(samples: Any, runtime: str = "auto") -> None:
    """Raise InputError unless so many passes with dropout can be computed on a runtime.

    Args:
        samples: the number, 1 to `MAX_SAMPLES`; 1 is one pass without dropout.
        runtime: one of `RUNTIMES`; all but PyTorch remove dropout.
    """
    if not is_sample_count(samples):
        raise InputError(
            "dropout_samples",
            found=f"{samples!r}"[:100],
            expected=f"a whole number from 1 to {MAX_SAMPLES}, of passes with dropout; 1 is one pass without",
            remedy="leave it out, or choose such a number",
        )
    if samples > 1 and runtime not in ("auto", "pytorch"):
        raise InputError(
            f"--runtime {runtime}",
            found=f"dropout_samples {samples} as well",
            expected="PyTorch: this runtime removes dropout",
            remedy="leave one of the two out",
        )
