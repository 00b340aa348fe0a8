"""The list of bundles at hand, as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..unpack.terminal import printable
from ..words import shorten_path
from .about import About, read_about
from .find import Found

__all__ = ["bundles_json", "bundles_text"]

_UNKNOWN = "unknown"


def bundles_json(found: Sequence[Found]) -> str:
    """Return a list of bundles as JSON: one object per bundle, with null for what its files do not say."""
    return json.dumps({"bundles": [_as_record(one, read_about(one.folder)) for one in found]}, indent=1)


def bundles_text(found: Sequence[Found]) -> str:
    """Return a list of bundles for a terminal, a paragraph per bundle."""
    if not found:
        return "no bundles: none is shipped with this installation, in the working directory, or imported\n"
    twice = {one.name for one in found if not one.taken}
    return "\n".join(_describe(one, read_about(one.folder), has_rival=one.name in twice) for one in found)


def _as_record(one: Found, about: About) -> dict[str, Any]:
    dice = about.dice
    return {
        "name": one.name,
        "source": one.source,
        "folder": str(one.folder.absolute()),
        "taken": one.taken,
        "title": about.title or None,
        "version": about.version or None,
        "task": about.task or None,
        "labels": dict(about.labels),
        "regions": {name: list(labels) for name, labels in about.regions.items()},
        "modality": about.modality or None,
        "channels": list(about.channels),
        "spacing_mm": None if about.spacing is None or about.unit != "mm" else list(about.spacing),
        "spacing": None if about.spacing is None else list(about.spacing),
        "unit": about.unit,
        "dice": None
        if dice is None
        else {"mean": dice.mean, "labels": dict(dice.labels), "cases": dice.cases, "file": dice.file},
        "licence": about.licence or None,
        "weights": None if about.weights is None else str(about.weights.absolute()),
        "trainings": list(about.trainings),
        "not_validated": list(about.unvalidated),
        "problem": about.problem or None,
    }


def _describe(one: Found, about: About, *, has_rival: bool) -> str:
    choice = ""
    if has_rival:
        choice = "; the name means this one" if one.taken else "; the name means another one: use the path"
    rows = {
        "task": about.task or about.title or _UNKNOWN,
        "labels": ", ".join(name for name, value in about.labels.items() if value) or _UNKNOWN,
        **_region_row(about),
        "scans": _describe_scans(about),
        "Dice": _describe_dice(about),
        "weights": _describe_weights(about),
        "licence": f"{about.licence} (training data)" if about.licence else _UNKNOWN,
        "folder": str(shorten_path(one.folder.absolute())),
        **({"problem": about.problem} if about.problem else {}),
    }
    version = f" {about.version}" if about.version else ""
    lines = [printable(f"{one.name}{version} ({one.source}{choice})")]
    return "\n".join([*lines, *(f"  {key:8} {printable(value)}" for key, value in rows.items())]) + "\n"


def _region_row(about: About) -> dict[str, str]:
    """Return the row with the regions that the network predicts, if it predicts regions."""
    words = ", ".join(f"{name} ({', '.join(labels)})" for name, labels in about.regions.items())
    return {"regions": words} if words else {}


def _describe_scans(about: About) -> str:
    spacing = "in their own spacing"
    if about.spacing is not None:
        spacing = f"at {' x '.join(f'{size:g}' for size in about.spacing)} {about.unit}"
    count = len(about.channels)
    channels = f", {count} channels ({', '.join(about.channels)})" if count > 1 else ""
    return f"{about.modality or 'any modality'}{channels}, {spacing}"


def _describe_dice(about: About) -> str:
    dice = about.dice
    if dice is None:
        return "not measured"
    parts = [f"{name} {value:.3f}" for name, value in dice.labels.items()] if len(dice.labels) > 1 else []
    parts += [] if dice.cases is None else [f"{dice.cases} cases"]
    # Results may come with a bundle whose weights do not.
    of = [] if about.weights or about.trainings else ["of weights that are not in the bundle"]
    return f"{dice.mean:.3f} ({'; '.join([*filter(None, [', '.join(parts)]), dice.file, *of])})"


def _describe_weights(about: About) -> str:
    if about.weights is not None:
        return "its own" + (f", and {_describe_trainings(about)}" if about.trainings else "")
    return _describe_trainings(about) if about.trainings else "none: train it first"


def _describe_trainings(about: About) -> str:
    unvalidated = "; ".join(f"{name}: {text}" for name, text in about.unvalidated.items())
    return _count(len(about.trainings)) + (f" ({unvalidated})" if unvalidated else "")


def _count(trainings: int) -> str:
    return f"{trainings} training{'s' * (trainings > 1)}"
