"""Count the multiply-adds of a network's pass, and measure its operators' time."""

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
_MAX_OPERATORS = 10


class MultiplyAdds:
    """Count the multiply-adds of convolutions and matrix products, forward and backward, between start and stop.

    PyTorch's ``FlopCounterMode`` counts the executed operators by their shapes. Padded borders count in full. For the
    backward pass of a grouped convolution it overestimates the kernel's gradient, as if there were one group.
    """

    def __init__(self) -> None:
        self._counter: FlopCounterMode | None = None
        self.total = 0

    def start(self) -> None:
        """Start counting from zero."""
        self.stop()
        self._counter = FlopCounterMode(display=False)
        self._counter.__enter__()

    def so_far(self) -> int:
        """Return the multiply-adds since the start."""
        return self.total if self._counter is None else self._counter.get_total_flops() // _FLOPS_PER_MULTIPLY_ADD

    def stop(self) -> None:
        """Stop counting and store the count in `total`. Do nothing if it is not counting."""
        if self._counter is not None:
            self.total = self.so_far()
            self._counter.__exit__(None, None, None)
            self._counter = None


class Operators:
    """Record the operators of a few steps with PyTorch's profiler, which slows them down a little.

    Times are self times: they exclude the operators that an operator calls. On a GPU they are the time of an operator's
    kernels, without the time that Python and PyTorch take to launch them.

    Args:
        on_gpu: whether the network runs on a GPU.
    """

    def __init__(self, *, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self._profile: profile | None = None
        self._seconds: dict[str, float] = {}

    def start(self) -> None:
        """Start recording."""
        gpu = [ProfilerActivity.CUDA] if self._on_gpu else []
        self._profile = profile(activities=[ProfilerActivity.CPU, *gpu])
        with _without_stderr():
            self._profile.__enter__()

    def stop(self) -> None:
        """Stop recording. Do nothing if it is not recording."""
        if self._profile is None:
            return
        with _without_stderr():
            self._profile.__exit__(None, None, None)
        for row in self._profile.key_averages():
            # Kernels have their own rows, on the device. Their operator's row includes their time.
            if row.device_type.name == "CPU":
                microseconds = row.self_device_time_total if self._on_gpu else row.self_cpu_time_total
                self._seconds[row.key] = self._seconds.get(row.key, 0.0) + microseconds / 1e6
        self._profile = None

    def summary(self, prefix: str, step_seconds: list[float]) -> dict[str, Any]:
        """Return the recorded operators and shares.

        Args:
            prefix: prefix of the keys, ``"training"`` or ``"inference"``.
            step_seconds: duration of every recorded step.

        Returns:
            ``<prefix>_share_matrix_kernels``, ``<prefix>_share_convolutions`` and ``<prefix>_operators``, as `bench`
            documents them.
        """
        total = sum(step_seconds)
        matrix = sum(seconds for name, seconds in self._seconds.items() if is_matrix_kernel(name))
        convolutions = sum(seconds for name, seconds in self._seconds.items() if _CONVOLUTIONS.match(name))
        longest = sorted(self._seconds.items(), key=lambda item: -item[1])[:_MAX_OPERATORS]
        return {
            f"{prefix}_share_matrix_kernels": matrix / total,
            f"{prefix}_share_convolutions": convolutions / total,
            f"{prefix}_operators": [
                {"operator": name, "seconds": seconds / len(step_seconds), "share": seconds / total}
                for name, seconds in longest
            ],
        }


def is_matrix_kernel(operator: str) -> bool:
    """Return whether this is the profiler's name of a convolution or a matrix product, forward or backward."""
    return bool(_CONVOLUTIONS.match(operator) or _MATRIX_PRODUCTS.match(operator))


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Suppress what the profiler's C++ library writes to stderr whenever it starts and stops."""
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)
