"""Inference: numbers in the device's fastest format, weights checked, label maps in their scan's own grid."""

from .clean import CleanLabelMapd
from .inferers import PrecisionInferer, PrecisionSlidingWindowInferer, choose_precision
from .label_files import write_label_files
from .label_table import Label, label_table
from .mirror import Ensemble, Mirrored, mirrored
from .save import SaveLabelMapd, SaveProbabilitiesd, save_label_map, save_volume
from .weights import check_weights

__all__ = [
    "CleanLabelMapd",
    "Ensemble",
    "Label",
    "Mirrored",
    "PrecisionInferer",
    "PrecisionSlidingWindowInferer",
    "SaveLabelMapd",
    "SaveProbabilitiesd",
    "check_weights",
    "choose_precision",
    "label_table",
    "mirrored",
    "save_label_map",
    "save_volume",
    "write_label_files",
]
