"""Inference: numbers in the device's fastest format, weights checked, label maps in their scan's own grid."""

from .inferers import PrecisionInferer, PrecisionSlidingWindowInferer, choose_precision
from .mirror import Ensemble, Mirrored, mirrored
from .save import SaveLabelMapd, SaveProbabilitiesd
from .weights import check_weights

__all__ = [
    "Ensemble",
    "Mirrored",
    "PrecisionInferer",
    "PrecisionSlidingWindowInferer",
    "SaveLabelMapd",
    "SaveProbabilitiesd",
    "check_weights",
    "choose_precision",
    "mirrored",
]
