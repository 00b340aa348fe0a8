"""Find out whether a network can be built, before anything runs, on PyTorch's meta device: without memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ..data.errors import InputError
from ..networks import build_network

__all__ = ["build_on_meta", "explain_refusal", "find_refusal"]


def build_on_meta(spec: Mapping[str, Any]) -> Any:
    """Return the network of a spec, with weights that have shapes and no memory: see `build_network`."""
    with torch.device("meta"):
        return build_network(spec)


def find_refusal(error: BaseException) -> str | None:
    """Return why a constructor refused its arguments, on one line; None for an error that is a bug."""
    refusal = " ".join(str(error).split()).rstrip(".")
    return refusal if isinstance(error, ValueError) or "unexpected keyword argument" in refusal else None


@contextmanager
def explain_refusal(where: str) -> Iterator[None]:
    """Raise an InputError where a network or its skip connections refuse their arguments."""
    try:
        yield
    except (ValueError, TypeError) as error:
        refusal = find_refusal(error)
        if isinstance(error, InputError) or refusal is None:
            raise
        raise InputError(
            where,
            found=f"a network that cannot be built: {refusal}",
            expected="settings that the network accepts",
            remedy="correct what is named here",
        ) from error
