"""Prediction: segment scans with a bundle's own inference config, and write label maps and measures.

What needs PyTorch or MONAI is imported on demand: a mistake, or a folder of finished scans, must not wait for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import predict
    from .prediction import Prediction
    from .predictor import Predictor

__all__ = ["Prediction", "Predictor", "predict"]

_HOME = {"Prediction": ".prediction", "Predictor": ".predictor", "predict": ".api"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
