"""Measure how close a bundle's training and inference come to the machine's limit: `lightskip bench`."""

from .run import bench
from .table import as_json, as_table

__all__ = ["as_json", "as_table", "bench"]
