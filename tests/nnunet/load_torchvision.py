"""Importing this module makes torchvision importable next to a PyTorch of another index.

To find an external trainer, nnU-Net first imports every trainer of its own. One of them is a transformer, which imports
torchvision through timm. A torchvision from the package index needs PyTorch's CUDA build. Next to the CPU build its
operators are missing, and its import fails. The networks that are tested use none of these operators.
"""

import sys

import torch

_OPERATORS = ("nms", "qnms")
# The operators exist as long as their library does.
_LIBRARIES: list[torch.library.Library] = []


def _load() -> None:
    try:
        import torchvision  # noqa: PLC0415
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in _OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
        import torchvision  # noqa: F401, PLC0415


_load()
