"""Prediction: segment scans with a bundle's own inference config, and write label maps and measures."""

from .api import predict
from .prediction import Prediction
from .predictor import Predictor

__all__ = ["Prediction", "Predictor", "predict"]
