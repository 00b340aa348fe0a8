"""Choose the colour of each arm: the baseline is black or white, others have a class of ``study_page.css``."""

from __future__ import annotations

from .arms import Group

__all__ = ["COLOURS", "style_arms"]

COLOURS = 8
"""Number of colours in ``study_page.css``; further arms have them again, with dashed lines."""


def style_arms(group: Group, baseline: str) -> dict[str, str]:
    """Return the class of each arm by its skip."""
    others = [skip for skip in group.arms if skip != baseline]
    styles = {
        skip: f"a{place % COLOURS}" + (f" dash{place // COLOURS}" if place >= COLOURS else "")
        for place, skip in enumerate(others)
    }
    return {skip: styles.get(skip, "ink") for skip in group.arms}
