"""Choose the modality and the normalisation of intensities."""

from __future__ import annotations

from collections.abc import Sequence

from ...data.modalities import MAX_AIR, find_modality
from .choice import Choice
from .fingerprint import Fingerprint

__all__ = ["choose_modality", "choose_normalisation"]

_MOSTLY_ZERO = 0.25


def choose_modality(channels: Sequence[str], fingerprint: Fingerprint) -> Choice:
    """Choose the modality from the channels' names, else from air in Hounsfield units."""
    kinds = [find_modality(name) for name in channels]
    known = {kind for kind in kinds if kind is not None}
    names = ", ".join(channels)
    if len(known) == 1 and None not in kinds:
        return Choice(known.pop(), f"from the channel names: {names}")
    if not known and fingerprint.whole and all(low <= MAX_AIR for low in fingerprint.lowest):
        return Choice(
            "CT",
            f"{fingerprint.lowest[0]:g} HU, the median lowest value, is air; no channel name says what the images are",
        )
    if known:
        return Choice("other", f"the channel names ({names}) do not all name one modality")
    return Choice("other", f"the channel names ({names}) do not name one; set it with --modality CT or MRI")


def choose_normalisation(modality: str, fingerprint: Fingerprint) -> dict[str, Choice]:
    """Choose the normalisation and, for a CT, its range, mean and standard deviation."""
    if modality == "CT" and fingerprint.quantiles is not None:
        # One range for all channels, since all are in Hounsfield units.
        low, high = float(fingerprint.quantiles[:, 1].min()), float(fingerprint.quantiles[:, -2].max())
        mean, std = float(sum(fingerprint.mean) / len(fingerprint.mean)), max(fingerprint.std)
        if low < high and std > 0:
            return {
                "intensity_range": Choice(
                    [round(low, 2), round(high, 2)],
                    "HU; intensities are clipped to the 0.5th and 99.5th percentile of all labelled voxels",
                ),
                "intensity_mean": Choice(round(mean, 2), "HU; mean of all labelled voxels"),
                "intensity_std": Choice(round(std, 2), "HU; standard deviation of all labelled voxels"),
                "normalisation": Choice("ct", "Hounsfield units are absolute, so all scans are scaled the same way"),
            }
    zeros = min(fingerprint.zeros)
    if zeros >= _MOSTLY_ZERO:
        return {
            "normalisation": Choice(
                "zscore_nonzero",
                f"{zeros:.0%} of a scan is exactly 0 (cropped or masked): mean and deviation are those of the rest",
            )
        }
    return {"normalisation": Choice("zscore", "each scan by its own mean and deviation, as its units are arbitrary")}
