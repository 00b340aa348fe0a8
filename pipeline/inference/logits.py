"""Compare the logits of two ways of running one network."""

from __future__ import annotations

from torch import Tensor

__all__ = ["explain_difference"]

# Share of the logits' norm. Rounding alone gives a tenth of it or less, a wrong layer about 1.
_MAX_DIFFERENCE = {"float32": 0.02, "float16": 0.05, "bfloat16": 0.25}


def explain_difference(found: Tensor, expected: Tensor, precision: str) -> str:
    """Return how logits differ by more than the rounding of a number format; an empty text if they do not.

    Args:
        found: logits of any shape.
        expected: logits to compare with.
        precision: number format that both were computed in: ``"float32"``, ``"float16"`` or ``"bfloat16"``.
    """
    if found.shape != expected.shape:
        return f"other logits than plain PyTorch's: of shape {tuple(found.shape)}, not {tuple(expected.shape)}"
    limit, norm = _MAX_DIFFERENCE[precision], float(expected.float().norm())
    difference = float((found.float() - expected.float()).norm())
    # `<=`, so that NaN is refused too.
    if difference <= limit * norm:
        return ""
    return f"other logits than plain PyTorch's: by {difference / norm if norm else difference:.0%}, over {limit:.0%}"
