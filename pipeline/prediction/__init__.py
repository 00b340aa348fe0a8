"""Prediction: scans in, label maps and what belongs to them out, with a bundle's own inference config."""

from .api import predict
from .prediction import Prediction
from .predictor import Predictor

__all__ = ["Prediction", "Predictor", "predict"]
