"""Refuse a limit of memory below what any training takes, before scans are read. Imports no PyTorch: `fit` needs it."""

from __future__ import annotations

from ..data.errors import InputError

__all__ = ["CUDA_CONTEXT", "GIB", "PROCESS", "require_memory", "require_process"]

MIB, GIB = 2**20, 2**30
# A process that trains the smallest network: Python, PyTorch, MONAI, TensorBoard and oneDNN's kernels.
PROCESS = 475 * MIB
# On a GPU, not measured: the CUDA context with its kernels.
CUDA_CONTEXT = 600 * MIB


def require_process(memory: int, device: str | None = None) -> None:
    """Raise InputError if memory is too little for a training's process, without a network and scans.

    Args:
        memory: the limit (bytes).
        device: "cpu", "cuda" or "cuda:N"; None if that is not known yet.
    """
    needed = PROCESS if device is None or device == "cpu" else CUDA_CONTEXT
    require_memory(memory, needed, purpose="which a training takes before it has a network and scans")


def require_memory(memory: int, needed: int, *, purpose: str, or_else: str = "") -> None:
    """Raise InputError if memory is too little.

    Args:
        memory: the limit (bytes).
        needed: bytes.
        purpose: what they are for, in words.
        or_else: another remedy than more memory, in words.
    """
    if needed > memory:
        raise InputError(
            "--memory",
            found=f"{memory / GIB:.2g} GiB",
            expected=f"at least {needed / GIB:.2g} GiB, {purpose}",
            remedy=f"allow more memory{or_else}",
        )
