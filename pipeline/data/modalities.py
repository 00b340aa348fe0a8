"""The modality that a channel's name says, such as CT, and the marks of Hounsfield units in a scan's values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MODALITY_WORDS", "find_modality", "lacks_hounsfield_units", "looks_like_ct"]

MODALITY_WORDS = {
    "CT": r"ct|cta|cect|hu|computed tomography",
    "MRI": r"mri?|t1\w*|t2\w*|pd\w*|flair|adc|dwi|dti|swi|bold|mra|magnetic resonance\w*",
    "US": r"us|ultrasound|sonography",
    "EM": r"em|sem|tem|fib|electron microscopy",
    "synthetic": r"synthetic",
}
# Hounsfield units (HU): air has -1000, fat about -100, water 0. Values below the first occur in air only, and padding
# outside the scanner's circle has -1024, -2000 or -3024. A scan of a body has fat: some of it is below the third, also
# where noise takes the place of fat (air, plus 1024) to the fourth.
MAX_AIR = -800.0
MIN_PADDING = -4096.0
MAX_LOW = -20.0
MAX_LOWEST = -60.0
# HU of a body span some hundred units, from fat to bone.
MIN_SPAN = 100.0


def find_modality(name: str) -> str | None:
    """Return the modality that a channel's name says; None if it says none."""
    for kind, words in MODALITY_WORDS.items():
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9])", name.lower()):
            return kind
    return None


def lacks_hounsfield_units(values: Mapping[str, Any]) -> bool:
    """Return whether a scan's values cannot be HU: nothing is as dark as fat, or they span less than 100.

    Args:
        values: "min", and "quantiles", the 1st, 50th and 99th percentile.
    """
    low, _, high = values["quantiles"]
    return bool((low > MAX_LOW and values["min"] > MAX_LOWEST) or high - low < MIN_SPAN)


def looks_like_ct(values: Mapping[str, Any]) -> bool:
    """Return whether a scan's values are those of a CT with air: whole numbers, the lowest ones those of air.

    Args:
        values: "min"; "whole"; and "quantiles", the 1st, 50th and 99th percentile.
    """
    low, _, high = values["quantiles"]
    return bool(values["whole"] and values["min"] >= MIN_PADDING and low <= MAX_AIR and high > MAX_AIR)
