"""Label maps: the label table and its colours, writing in the scan's grid, cleaning, statistics, views for pictures."""

from .clean import CleanLabelMapd
from .label_files import write_label_files
from .label_table import Label, label_table
from .save import SaveLabelMapd, SaveProbabilitiesd, save_label_map, save_volume

__all__ = [
    "CleanLabelMapd",
    "Label",
    "SaveLabelMapd",
    "SaveProbabilitiesd",
    "label_table",
    "save_label_map",
    "save_volume",
    "write_label_files",
]
