"""Rules of a plan's keys about labels: regions, ignored values, partial labels."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from ..data.region_names import find_bad_name
from ..data.region_table import MAX_REGIONS
from .schema_rules import require

__all__ = ["check_ignored_values", "check_region_order", "check_regions", "require_labels"]


def require_labels(names: Sequence[str], labels: Mapping[str, int], *, subkey: str = "") -> None:
    """Raise pydantic's error with the first name that is no label besides the background."""
    known = [name for name, value in labels.items() if value != 0]
    for name in names:
        close = get_close_matches(name, known, n=1)
        nearest = f"; did you mean {close[0]}?" if close else ""
        require(
            name in known, f"names {name}, which is not one of the labels {', '.join(known)}{nearest}", subkey=subkey
        )


def check_regions(regions: Mapping[str, Sequence[str]] | None, labels: Mapping[str, int]) -> None:
    """Raise pydantic's error unless the regions are different unions of labels that together have every label.

    The same rules hold for regions of a datalist, see `read_label_keys`.
    """
    if regions is None:
        return
    require(1 <= len(regions) <= MAX_REGIONS, f"has {len(regions)} regions; expected 1 to {MAX_REGIONS}")
    for region, names in regions.items():
        require(len(names) > 0, "needs at least one label", subkey=region)
        require(len(set(names)) == len(names), "must name each label once", subkey=region)
        require(region != "background", "is the name of what is in no region; choose another name", subkey=region)
        require_labels(names, labels, subkey=region)
        require(bool(region.strip()), "needs a name that is not empty", subkey=region)
        bad_name = find_bad_name(region)
        require(bad_name is None, f"is a name {bad_name}; masks are saved under it: rename it", subkey=region[:40])
        require(
            region not in labels or region in names,
            f"is the name of a label that is not in this region ({', '.join(names)}); rename one of the two",
            subkey=region,
        )
    by_labels: dict[frozenset[str], str] = {}
    for region, names in regions.items():
        other = by_labels.setdefault(frozenset(names), region)
        require(other == region, f"has the same labels as {other}; leave one of them out", subkey=region)
    within = {name for names in regions.values() for name in names}
    outside = [name for name, value in labels.items() if value and name not in within]
    require(not outside, f"leave out {', '.join(outside)}; expected each label in at least one region")


def check_region_order(
    order: Mapping[str, str] | None, regions: Mapping[str, Sequence[str]] | None, labels: Mapping[str, int]
) -> None:
    """Raise pydantic's error unless each region is in the order, with one of its own labels, which it writes."""
    if regions is None:
        require(order is None, "is for regions, and the plan has none")
        return
    missing = sorted(set(regions) - set(order or ()))
    unknown = sorted(set(order or ()) - set(regions))
    require(
        order is not None and not missing and not unknown,
        f"must map each region ({', '.join(regions)}) to the label that it writes, in the order of writing: "
        "later regions are written over earlier ones",
    )
    for region, name in (order or {}).items():
        require_labels([name], labels, subkey=region)
        own = regions[region]
        require(
            name in own, f"writes {name}, which is not in this region; expected one of {', '.join(own)}", subkey=region
        )


def check_ignored_values(ignored: Sequence[int], values: Mapping[str, int]) -> None:
    """Raise pydantic's error if a value is ignored twice, or is a label's value too."""
    require(len(set(ignored)) == len(ignored), "must have each value once")
    for name, value in values.items():
        require(value not in ignored, f"has {value}, which is also the value of {name}: choose one of the two")
