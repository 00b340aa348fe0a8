"""Inference: numbers in the device's fastest format, weights checked, windows streamed back to the scan's grid."""

# Bundles that were rendered earlier name these transforms here.
from ..labelmaps.clean import CleanLabelMapd
from ..labelmaps.save import SaveLabelMapd, SaveProbabilitiesd
from .inferers import PrecisionInferer, PrecisionSlidingWindowInferer, choose_precision
from .mirror import Ensemble, Mirrored, mirrored
from .weights import check_weights

__all__ = [
    "CleanLabelMapd",
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
