"""LightSkip: volumetric medical image segmentation with light, learnable skip connections, as MONAI bundles."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from .version import __version__ as __version__

# If pydicom is installed, MONAI looks for its GPU plugin, and warns twice that it is missing.
warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    """Return `predict` or `Predictor`, imported only on request because they need PyTorch and MONAI."""
    if name in {"predict", "Predictor"}:
        from . import prediction  # noqa: PLC0415

        return getattr(prediction, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
