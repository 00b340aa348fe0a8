"""Counting: multiply-adds of a network's pass, and where its operators' time goes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["MultiplyAdds", "Operators", "is_matrix_kernel"]

_FLOPS_PER_MULTIPLY_ADD = 2
_MATRIX_PRODUCTS = re.compile(r"^aten::_?(?:mm|addmm|bmm|baddbmm|addbmm|matmul|linear|mkldnn_linear|scaled_\w+)$")
_CONVOLUTIONS = re.compile(r"^aten::\w*conv(?!ert)")
_MOST_OPERATORS = 10


class MultiplyAdds:
    """Counts the multiply-adds of convolutions and matrix products, forward and backward, while it is switched on.

    PyTorch's ``FlopCounterMode`` counts what is executed, from the operators' shapes; padded borders count in full.
    Its formula for the backward pass of a grouped convolution gives too much for the kernel's gradient: as if
    there were one group.
    """

    def __init__(self) -> None:
        self._counter: FlopCounterMode | None = None
        self.total = 0

    def start(self) -> None:
        """Count from here on, from zero."""
        self.stop()
        self._counter = FlopCounterMode(display=False)
        self._counter.__enter__()

    def so_far(self) -> int:
        """Multiply-adds since the start."""
        return self.total if self._counter is None else self._counter.get_total_flops() // _FLOPS_PER_MULTIPLY_ADD

    def stop(self) -> None:
        """Count no further; what was counted stays in `total`. Does nothing when it is not counting."""
        if self._counter is not None:
            self.total = self.so_far()
            self._counter.__exit__(None, None, None)
            self._counter = None


class Operators:
    """Records the operators of a few steps with PyTorch's profiler, which slows them down a little.

    Times are self times: without the operators that an operator calls. Of an operator on a GPU the kernels' time
    counts, and not that of Python and PyTorch to launch them.

    Args:
        on_gpu: whether the network runs on a GPU.
    """

    def __init__(self, *, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._profile: profile | None = None
        self._seconds: dict[str, float] = {}

    def start(self) -> None:
        """Record from here on."""
        gpu = [ProfilerActivity.CUDA] if self._on_gpu else []
        self._profile = profile(activities=[ProfilerActivity.CPU, *gpu])
        with _without_stderr():
            self._profile.__enter__()

    def stop(self) -> None:
        """Record no further. Does nothing when it is not recording."""
        if self._profile is None:
            return
        with _without_stderr():
            self._profile.__exit__(None, None, None)
        for row in self._profile.key_averages():
            # Kernels have rows of their own, on the device; their time is in their operator's row too.
            if row.device_type.name == "CPU":
                microseconds = row.self_device_time_total if self._on_gpu else row.self_cpu_time_total
                self._seconds[row.key] = self._seconds.get(row.key, 0.0) + microseconds / 1e6
        self._profile = None

    def summary(self, prefix: str, step_seconds: list[float]) -> dict[str, Any]:
        """Describe what was recorded.

        Args:
            prefix: of the keys, ``"training"`` or ``"inference"``.
            step_seconds: duration of every recorded step.

        Returns:
            ``<prefix>_share_matrix_kernels``, ``<prefix>_share_convolutions`` and ``<prefix>_operators``, as `bench`
            documents them.
        """
        total = sum(step_seconds)
        matrix = sum(seconds for name, seconds in self._seconds.items() if is_matrix_kernel(name))
        convolutions = sum(seconds for name, seconds in self._seconds.items() if _CONVOLUTIONS.match(name))
        longest = sorted(self._seconds.items(), key=lambda item: -item[1])[:_MOST_OPERATORS]
        return {
            f"{prefix}_share_matrix_kernels": matrix / total,
            f"{prefix}_share_convolutions": convolutions / total,
            f"{prefix}_operators": [
                {"operator": name, "seconds": seconds / len(step_seconds), "share": seconds / total}
                for name, seconds in longest
            ],
        }


def is_matrix_kernel(operator: str) -> bool:
    """Whether the profiler's name is that of a convolution or a matrix product, forward or backward."""
    return bool(_CONVOLUTIONS.match(operator) or _MATRIX_PRODUCTS.match(operator))


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Without what the profiler's C++ library writes whenever it starts and stops."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
