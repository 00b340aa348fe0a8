"""One binary file per class: merged into one label map per case."""

from .dataset import merge_dataset
from .merge import Overlaps, merge_masks

__all__ = ["Overlaps", "merge_dataset", "merge_masks"]
