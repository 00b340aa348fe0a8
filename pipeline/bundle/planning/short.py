"""What a short training does differently: it mirrors no scans."""

from __future__ import annotations

from .choice import Choice
from .fingerprint import Fingerprint
from .resources import Resources
from .size import Size

__all__ = ["count_patches_per_case", "mirror_if_long"]

# A training that has fewer patches of each case is short. The validations of a long training with mirroring and of one
# without it cross between 50 and 70: docs/speed.md.
_MANY_PATCHES = 60


def count_patches_per_case(fingerprint: Fingerprint, size: Size, resources: Resources) -> float:
    """Return about how many patches of each case there is time for."""
    return resources.hours * 3600 / resources.seconds_of(size) / fingerprint.cases


def mirror_if_long(mirror: Choice, fingerprint: Fingerprint, patches: float) -> Choice:
    """Leave mirroring out of a short training on scans, which has no time for anatomy that no scan shows.

    Pictures keep it: nothing says how they lie.

    Args:
        mirror: the axes that may be mirrored.
        fingerprint: of the dataset.
        patches: of each case.
    """
    if fingerprint.dims == 2 or patches >= _MANY_PATCHES or not mirror.value:
        return mirror
    return Choice(
        [],
        "none: all scans are turned to one orientation, and mirroring costs a short training Dice (docs/speed.md of "
        f"LightSkip); this one has about {patches:.2g} patches of each case",
    )
