"""Scans in other units than the other cases': a shift, a factor, z-scores, percent beside fractions, no HU in a CT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .findings import Finding
from .modalities import MAX_LOWEST, find_modality, lacks_hounsfield_units

__all__ = ["find_few_values", "find_odd_units", "has_few_values", "name_units"]

Record = Mapping[str, Any]
Values = Mapping[str, Any]

# With fewer cases only the marks of certain units count: HU, z-scores, fractions.
MIN_CASES = 8
# The place of 0 in a scan's range (the 1st percentile over the range from there to the 99th) is unusual if it differs
# from the median by more than this, and by more than this number of spreads. Measured: 208 hippocampi .076 and 5.6
# spreads, 25 slices of membranes .141 and 2.2, both samples .003 and 3.1.
MAX_SHIFT = 0.25
MAX_SHIFT_SPREADS = 8.0
# The range is unusual if it differs from the median by more than this factor, and by more than this number of spreads
# of its logarithm; only where units are absolute, or where the others agree to this spread: in MRI they are arbitrary
# (208 hippocampi: spread .32, and a factor of 550; membranes .09, and 1.2).
MAX_FACTOR = 8.0
MAX_FACTOR_SPREADS = 10.0
MAX_AGREEMENT = 0.15
# An image has few values, as a label map has, if they are whole and at most this many, where others have at least so
# many. Measured, in 50 000 voxels: 208 hippocampi 98 or more, slices of membranes 147, both samples 169.
MAX_FEW = 16
MIN_MANY = 64
# Values count as z-scores if mean and standard deviation are this close to 0 and 1.
MAX_ZSCORE = 0.02


def find_odd_units(
    records: Sequence[Record], channels: Sequence[str], *, modalities: Sequence[str | None] | None = None
) -> Iterator[Finding]:
    """Yield the scans whose values are in other units than those of the other cases.

    Args:
        records: the cases' entries in the report.
        channels: names of the channels.
        modalities: of the channels; by default what their names say.
    """
    for number, name in enumerate(channels):
        own = [
            (record, each)
            for record in records
            for each in record["intensity"]
            # A constant image has its own finding.
            if each["channel"] == number and each["min"] < each["max"]
        ]
        modality = find_modality(name) if modalities is None else modalities[number]
        odd = _find_marks(own, modality)
        yield from _finding_of_all(own, name) if modality == "CT" and _all_lack_units(own) else ()
        if len(own) >= MIN_CASES:
            for case, words in _find_unusual(own, modality).items():
                odd.setdefault(case, words)
        for case, expected in odd.items():
            record, values = own[case]
            files = record["images"]
            yield Finding(
                "intensity-units",
                found=f"{_channel(channels, name)}values of {_range(values)}{_guess(values, modality)}",
                expected=expected,
                remedy="write the scan in the units of the others, or leave it out",
                case=str(record["name"]),
                file=str(files[number if len(files) > 1 else 0]),
            )


def find_few_values(records: Sequence[Record]) -> Iterator[Finding]:
    """Yield the images that have few whole values, as a label map has, where most have many."""
    own = [(record, each) for record in records for each in record["intensity"]]
    usual = float(np.median([values["distinct"] for _, values in own])) if own else 0.0
    for record, values in own:
        if has_few_values(values, usual):
            files = record["images"]
            yield Finding(
                "image-few-values",
                found=f"an image with {values['distinct']} distinct values, all of them whole numbers",
                expected=f"about {usual:.0f} distinct values, as in the other cases",
                remedy="look at the image: it may be a label map or a mask",
                case=str(record["name"]),
                file=str(files[values["channel"] if len(files) > 1 else 0]),
            )


def has_few_values(values: Values, usual: float) -> bool:
    """Return whether an image has few whole values, as a label map has, where others have many.

    Args:
        values: "distinct" and "whole" of the image.
        usual: number of distinct values in other images.
    """
    return bool(values["whole"] and 2 <= values["distinct"] <= MAX_FEW and usual >= MIN_MANY)


def _find_marks(own: Sequence[tuple[Record, Values]], modality: str | None) -> dict[int, str]:
    """Return the cases that have the marks of one unit where most have another's, with the expectation."""
    if modality == "CT":
        lacking = [case for case, (_, values) in enumerate(own) if lacks_hounsfield_units(values)]
        words = "Hounsfield units: air -1000, fat about -100, water 0"
        return dict.fromkeys(lacking, words) if len(lacking) < len(own) else {}
    for is_one, is_other in ((_is_zscore, _is_no_zscore), (_is_fraction, _is_percent)):
        ones = [case for case, (_, values) in enumerate(own) if is_one(values)]
        others = [case for case, (_, values) in enumerate(own) if is_other(values)]
        if ones and others and len(ones) + len(others) == len(own):
            few, many = (ones, others) if len(ones) <= len(others) else (others, ones)
            median = np.median([own[case][1]["quantiles"] for case in many], axis=0)
            words = f"values of about {_span(median)}, as in {len(many)} of {len(own)} cases"
            return dict.fromkeys(few, words)
    return {}


def _find_unusual(own: Sequence[tuple[Record, Values]], modality: str | None) -> dict[int, str]:
    quantiles = np.array([values["quantiles"] for _, values in own])
    ranges = quantiles[:, 2] - quantiles[:, 0]
    wide = ranges > 0
    if wide.sum() < MIN_CASES:
        return {}
    widths = np.log(np.where(wide, ranges, np.median(ranges[wide])))
    shifts = quantiles[:, 0] / np.exp(widths)
    shift, shift_spread = _center(shifts)
    width, width_spread = _center(widths)
    moved = np.abs(shifts - shift) > max(MAX_SHIFT, MAX_SHIFT_SPREADS * shift_spread)
    if modality == "CT" or (modality != "MRI" and width_spread <= MAX_AGREEMENT):
        moved |= np.abs(widths - width) > max(np.log(MAX_FACTOR), MAX_FACTOR_SPREADS * width_spread)
    median = np.median(quantiles[~moved], axis=0) if (~moved).any() else np.median(quantiles, axis=0)
    words = f"values of about {_span(median)}, as in {int((~moved).sum())} of {len(own)} cases"
    return {int(case): words for case in np.flatnonzero(moved)}


def _center(values: np.ndarray) -> tuple[float, float]:
    median = float(np.median(values))
    return median, 1.4826 * float(np.median(np.abs(values - median)))


def _all_lack_units(own: Sequence[tuple[Record, Values]]) -> bool:
    return bool(own) and all(lacks_hounsfield_units(values) for _, values in own)


def _finding_of_all(own: Sequence[tuple[Record, Values]], name: str) -> Iterator[Finding]:
    values = own[0][1]
    yield Finding(
        "ct-units",
        found=f"channel {name} without Hounsfield units in all {len(own)} cases: values of {_range(values)} in the "
        f"first{_guess(values, 'CT')}",
        expected="Hounsfield units: air -1000, fat about -100, water 0",
        remedy="do nothing if every scan to be segmented comes in these units; otherwise write the scans in HU",
    )


def name_units(values: Values, modality: str | None) -> str:
    """Return the units that a scan's values resemble, in words; empty if they resemble none.

    Args:
        values: "min" and "max"; "quantiles", the 1st, 50th and 99th percentile; "mean" and "std".
        modality: of the scans that are expected.
    """
    if _is_zscore(values):
        return "z-scores (mean 0, standard deviation 1)"
    if values["min"] >= 0 and values["max"] <= 1.001:
        return "values scaled to 0 to 1"
    if values["min"] >= 0 and values["max"] <= 255.5:
        return "values scaled to 0 to 255"
    if modality == "CT" and values["min"] > MAX_LOWEST and 700 <= values["max"] <= 5200:
        return "Hounsfield units plus 1024"
    return ""


def _guess(values: Values, modality: str | None) -> str:
    named = name_units(values, modality)
    return f", as of {named}" if named else ""


def _is_zscore(values: Values) -> bool:
    return bool(abs(values["mean"]) <= MAX_ZSCORE and abs(values["std"] - 1) <= MAX_ZSCORE)


def _is_no_zscore(values: Values) -> bool:
    return not _is_zscore(values)


def _is_fraction(values: Values) -> bool:
    return bool(values["min"] >= 0 and values["max"] <= 1.001)


def _is_percent(values: Values) -> bool:
    return bool(values["min"] >= 0 and 5 < values["max"] <= 100.1)


def _channel(channels: Sequence[str], name: str) -> str:
    return f"channel {name}: " if len(channels) > 1 else ""


def _range(values: Values) -> str:
    return f"{_span(values['quantiles'])} (lowest {values['min']:.4g}, highest {values['max']:.4g})"


def _span(quantiles: Any) -> str:
    return f"{quantiles[0]:.4g} to {quantiles[2]:.4g} (1 % to 99 %), median {quantiles[1]:.4g}"
