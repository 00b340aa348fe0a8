"""Describe the training scans in numbers, with which prediction compares a scan."""

from __future__ import annotations

from typing import Any

import numpy as np

from .choice import Choice
from .fingerprint import Fingerprint

__all__ = ["describe_scans"]


def describe_scans(fingerprint: Fingerprint) -> dict[str, Any] | None:
    """Return the entries of a plan's `data.scans`; None if the scans' intensities were not measured."""
    percentiles = fingerprint.percentiles
    if percentiles is None or not (percentiles[..., 2] > percentiles[..., 0]).all():
        return None
    low, middle, high = np.moveaxis(percentiles, -1, 0)
    axes = "right-left, posterior-anterior, inferior-superior" if fingerprint.dims == 3 else "the file's axes"
    return {
        "cases": Choice(fingerprint.cases, "predict says where a scan is unlike these: [lowest, median, highest]"),
        "extent": Choice(_ranges(fingerprint.shapes * fingerprint.spacings), f"{fingerprint.unit}; {axes}"),
        "spacing": Choice(_ranges(fingerprint.spacings), fingerprint.unit),
        "low": Choice(_ranges(low), "per channel, 1st percentile of a scan"),
        "middle": Choice(_ranges(middle), "median of a scan"),
        "high": Choice(_ranges(high), "99th percentile"),
        "span": Choice(_ranges(high - low), "from low to high"),
        "zero": Choice(_ranges(low / (high - low)), "low / span"),
        "centre": Choice(_ranges((middle - low) / (high - low)), "(middle - low) / span"),
        "distinct": Choice(list(fingerprint.distinct), "least number of distinct values"),
    }


def _ranges(values: np.ndarray) -> list[list[float]]:
    """Return the lowest, median and highest of each column."""
    found = np.stack([values.min(axis=0), np.median(values, axis=0), values.max(axis=0)], axis=-1)
    return [[float(f"{each:.4g}") for each in column] for column in found]
