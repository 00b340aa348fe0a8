"""Keep bfloat16 on a CPU away from grids that are smaller than a kernel, where oneDNN's gradient is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Float32OnSmallGrids"]

_CONVS = {torch.conv3d, F.conv3d, torch.conv_transpose3d, F.conv_transpose3d}


class Float32OnSmallGrids(TorchFunctionMode):
    """Under a CPU's autocast, compute 3D convolutions in float32 where an axis is shorter than the kernel.

    A context manager of the forward pass. The backward pass follows it.

    oneDNN's gradient of such a kernel has parts that it never writes: whatever was in that memory is taken for a
    gradient, in bfloat16 on a processor with AVX-512 (``findings/conv3d_bfloat16_gradient.sh``). Such grids are a
    network's coarsest, so float32 costs nothing there. All other functions are left as they are.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _CONVS or not torch.is_autocast_enabled("cpu") or not _is_small(args, kwargs):
            return func(*args, **kwargs)
        dtype = torch.get_autocast_dtype("cpu")
        with torch.autocast("cpu", enabled=False):
            out: Tensor = func(*map(_lengthen, args), **{name: _lengthen(value) for name, value in kwargs.items()})
        return out.to(dtype)


def _is_small(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    x = args[0] if args else kwargs["input"]
    kernel = args[1] if len(args) > 1 else kwargs["weight"]
    return x.device.type == "cpu" and any(
        1 < size > side for side, size in zip(x.shape[-3:], kernel.shape[-3:], strict=True)
    )


def _lengthen(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value
