"""Inference: the device's fastest number format, checked weights, and windows streamed back to the scan's grid."""

# Bundles rendered by earlier versions import these transforms, and `mirrored`, from here.
from ..labelmaps.clean import CleanLabelMapd
from ..labelmaps.save import SaveLabelMapd, SaveProbabilitiesd
from .dropout_average import average_dropout
from .evaluation_runtime import choose_evaluation_runtime
from .inferers import PrecisionInferer, PrecisionSlidingWindowInferer, choose_precision
from .mirror import Ensemble, Mirrored, mirror_network
from .mirror import mirror_network as mirrored
from .weights_file import check_weights

__all__ = [
    "CleanLabelMapd",
    "Ensemble",
    "Mirrored",
    "PrecisionInferer",
    "PrecisionSlidingWindowInferer",
    "SaveLabelMapd",
    "SaveProbabilitiesd",
    "average_dropout",
    "check_weights",
    "choose_evaluation_runtime",
    "choose_precision",
    "mirror_network",
    "mirrored",
]
