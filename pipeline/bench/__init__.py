"""Measure how close a bundle's training and inference come to the machine's limit: `lightskip bench`."""

from .run import bench
from .table import format_bench, format_bench_json

__all__ = ["bench", "format_bench", "format_bench_json"]
