"""Follow a computation on PyTorch's meta device: how much memory it would hold, and in which number formats."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .scratch import convolution_backward_scratch, convolution_scratch

__all__ = ["Autocast", "Ledger"]

_CAST = (torch.conv2d, torch.conv3d, torch.conv_transpose2d, torch.conv_transpose3d, torch.nn.functional.linear)


class Autocast(TorchFunctionMode):
    """Cast convolutions and linear layers as ``torch.autocast`` does; the meta device has no autocast."""

    def __init__(self, precision: str) -> None:
        super().__init__()
        self._dtype = getattr(torch, precision)
        self._cast: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _CAST:
            args = [self._lower(value) if isinstance(value, Tensor) else value for value in args]
        return func(*args, **(kwargs or {}))

    def _lower(self, value: Tensor) -> Tensor:
        # As autocast does. A short-lived view's address may be reused by another tensor.
        if not (value.is_leaf and value.requires_grad) or value._is_view():
            return value.to(self._dtype)
        # Weights are converted once per step.
        if id(value) not in self._cast:
            self._cast[id(value)] = value.to(self._dtype)
        return self._cast[id(value)]


class Ledger(TorchDispatchMode):
    """Add up the bytes of all live storages, and the scratch memory of running convolutions.

    Args:
        threads: threads of the convolutions on a CPU; 0 leaves their scratch memory out.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._threads = threads
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, Tensor):
                self._follow(value.untyped_storage())
        scratch = 0
        if self._threads and func is torch.ops.aten.convolution.default:
            scratch = convolution_scratch(args, made, self._threads)
        elif self._threads and func is torch.ops.aten.convolution_backward.default:
            scratch = convolution_backward_scratch(args, made, self._threads)
        self.peak = max(self.peak, self.live + scratch)
        return made

    def _follow(self, storage: torch.UntypedStorage) -> None:
        # Views share a storage. Its address is unique while it lives.
        address = storage._cdata
        if address not in self._alive:
            self._alive.add(address)
            size = storage.nbytes()
            self.live += size
            weakref.finalize(storage, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._alive.discard(address)
        self.live -= size
