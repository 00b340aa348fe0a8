"""How to normalise intensities, by what the images are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .choice import Choice
from .fingerprint import Fingerprint

__all__ = ["choose_modality", "choose_normalisation"]

_WORDS = {
    "CT": r"ct|cta|cect|hu|computed tomography",
    "MRI": r"mri?|t1\w*|t2\w*|pd\w*|flair|adc|dwi|dti|swi|bold|mra|magnetic resonance\w*",
    "US": r"us|ultrasound|sonography",
    "EM": r"em|sem|tem|fib|electron microscopy",
    "synthetic": r"synthetic",
}
# Air, which only a CT has at so low a number.
_AIR = -800.0
_MOSTLY_ZERO = 0.25


def choose_modality(channels: Sequence[str], fingerprint: Fingerprint) -> Choice:
    """Choose the plan's word for what the images are, from the channels' names, else from air in Hounsfield units."""
    kinds = [_kind(name) for name in channels]
    known = {kind for kind in kinds if kind is not None}
    names = ", ".join(channels)
    if len(known) == 1 and None not in kinds:
        return Choice(known.pop(), f"by the channels' names: {names}")
    if not known and fingerprint.whole and all(low <= _AIR for low in fingerprint.lowest):
        return Choice(
            "CT", f"no channel says so, but the lowest values (median {fingerprint.lowest[0]:g}) are air's in HU"
        )
    if known:
        return Choice("other", f"the channels ({names}) are of different kinds, or some are unknown")
    return Choice("other", f"the channels' names ({names}) tell nothing; --modality CT or MRI says it")


def choose_normalisation(modality: str, fingerprint: Fingerprint) -> dict[str, Choice]:
    """Choose normalisation and, for a CT, the range, mean and standard deviation that go with it."""
    if modality == "CT" and fingerprint.quantiles is not None:
        # One range for all channels: in a CT they all are Hounsfield units.
        low, high = float(fingerprint.quantiles[:, 1].min()), float(fingerprint.quantiles[:, -2].max())
        mean, std = float(sum(fingerprint.mean) / len(fingerprint.mean)), max(fingerprint.std)
        if low < high and std > 0:
            return {
                "intensity_range": Choice(
                    [round(low, 2), round(high, 2)],
                    "HU; clipped to the 0.5th and 99.5th percentile of what is labelled, over all cases",
                ),
                "intensity_mean": Choice(
                    round(mean, 2), "HU; of what is labelled: the same number means the same tissue"
                ),
                "intensity_std": Choice(round(std, 2), "HU; likewise"),
                "normalisation": Choice("ct", "Hounsfield units are absolute: every scan is scaled alike"),
            }
    zeros = min(fingerprint.zeros)
    if zeros >= _MOSTLY_ZERO:
        return {
            "normalisation": Choice(
                "zscore_nonzero",
                f"{zeros:.0%} of a scan is exactly 0, cut out or masked: mean and deviation are those of the rest",
            )
        }
    return {"normalisation": Choice("zscore", "each scan by its own mean and deviation: its units are arbitrary")}


def _kind(name: str) -> str | None:
    for kind, words in _WORDS.items():
        if re.search(rf"(?<![a-z0-9])({words})(?![a-z0-9])", name.lower()):
            return kind
    return None
