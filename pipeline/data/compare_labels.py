"""Label maps that do not fit their image as the other cases' do: another case's, mirrored, or a channel of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .findings import Finding

__all__ = ["find_misplaced_labels", "find_misplaced_structures"]

Record = Mapping[str, Any]

# With fewer cases nothing is unusual: the spread of few cases is itself uncertain.
MIN_CASES = 16
# A label map fits unusually if its numbers are, in the root mean square, this many spreads from the others' median, and
# with n cases (1 + 8 / n) times as many. Measured: 208 hippocampi 2.3 (limit 3.1), draws of 16 of them 3.4 (4.5), 25
# slices of membranes 1.4 (4.0), both samples 1.6 (3.6).
MAX_FIT_SPREADS = 3.0
# A structure is in an unusual place among the others if it is this many spreads away, and with n cases (1 + 8 / n)
# times as many.
MAX_PLACE_SPREADS = 6.0
FEW_CASES = 8
# If one channel fits unusually, and all others are above this share of the limit, it is the label map that does not
# fit.
MIN_DOUBT = 0.6
# The least spreads: of differences across the outline, of the logarithm of the edges, of the darker share, of the
# logarithm of a label's deviation; and of places, as a share of the usual distance between structures.
MIN_SIDE, MIN_EDGE, MIN_RANK, MIN_DEVIATION, MIN_PLACE = 0.1, 0.05, 0.02, 0.1, 0.2
# A number that fewer cases have, such as that of a rare label, is not compared; places need nearly all cases.
MIN_SHARE = 0.5
MIN_SHARE_OF_PLACES = 0.9


def find_misplaced_labels(records: Sequence[Record]) -> Iterator[Finding]:
    """Yield label maps that do not fit any channel of their image, and channels that do not fit a label map.

    Args:
        records: the cases' entries in the report, with the classes by their value.
    """
    by_channel: dict[int, list[tuple[Record, Mapping[str, Any]]]] = defaultdict(list)
    for record in records:
        for fit in record["fit"]:
            by_channel[fit["channel"]].append((record, fit))
    odd: dict[str, dict[int, str]] = defaultdict(dict)
    doubts: dict[str, int] = defaultdict(int)
    for channel, own in by_channel.items():
        for record, share, words in _compare_fits(own) if len(own) >= MIN_CASES else ():
            doubts[str(record["name"])] += share > MIN_DOUBT
            if share > 1:
                odd[str(record["name"])][channel] = words
    for record in records:
        name = str(record["name"])
        if name in odd and doubts[name] == len(record["fit"]):
            yield Finding(
                "label-misplaced",
                found=f"a label map that does not fit its image: {next(iter(odd[name].values()))}",
                expected="edges and intensities at the labels as in the other cases",
                remedy="look at the label map on the image: it may be another case's, mirrored or shifted",
                case=name,
                file=record["label"],
            )
        else:
            yield from _find_odd_channels(record, odd.get(name, {}))


def _find_odd_channels(record: Record, odd: Mapping[int, str]) -> Iterator[Finding]:
    for channel, words in odd.items():
        yield Finding(
            "channel-misplaced",
            found=f"channel {channel} does not fit the label map, which fits another channel: {words}",
            expected="all channels of one scan, in one place",
            remedy="look at the channels next to each other: this one may be another case's, or mirrored",
            case=str(record["name"]),
            file=str(record["images"][channel if len(record["images"]) > 1 else 0]),
        )


def _compare_fits(own: Sequence[tuple[Record, Mapping[str, Any]]]) -> Iterator[tuple[Record, float, str]]:
    """Yield the cases with their distance from the others in one channel, as a share of the limit, and the evidence."""
    names, table, least = _tabulate([fit for _, fit in own])
    median, spread = _center(table, least)
    away = (table - median) / spread
    known = np.isfinite(away)
    distances = np.sqrt((np.where(known, away, 0) ** 2).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    edges, limit = names.index("edges"), MAX_FIT_SPREADS * (1 + FEW_CASES / len(own))
    for (record, fit), distance, row in zip(own, distances, away, strict=True):
        # A label map in another place has weaker edges. Stronger ones are a better scan.
        if row[edges] >= 0:
            continue
        worst = int(np.argmax(np.where(np.isfinite(row), np.abs(row), 0)))
        more = f"; {_describe(names[worst], fit, median[worst])}" if worst != edges else ""
        words = (
            f"differences across its outline are {fit['edges']:.2f} times those around it, "
            f"{np.exp(median[edges]):.2f} times in the other cases{more} ({distance:.1f} spreads from the median of "
            f"{len(own)} cases in all; up to {limit:.1f} is usual)"
        )
        yield record, float(distance / limit), words


def _tabulate(fits: Sequence[Mapping[str, Any]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names of the numbers, the numbers (cases, names; NaN if a case lacks one), and the least spreads."""
    columns: dict[str, dict[int, float]] = defaultdict(dict)
    least: dict[str, float] = {}
    for case, fit in enumerate(fits):
        for number, value in enumerate(fit["sides"]):
            if value is not None:
                columns[f"side {number}"][case], least[f"side {number}"] = value, MIN_SIDE
        columns["edges"][case], least["edges"] = float(np.log(max(fit["edges"], 1e-6))), MIN_EDGE
        for label, (rank, deviation) in fit["labels"].items():
            columns[f"rank {label}"][case], least[f"rank {label}"] = rank, MIN_RANK
            name = f"deviation {label}"
            columns[name][case], least[name] = float(np.log(max(deviation, 1e-3))), MIN_DEVIATION
    names = [name for name, cells in columns.items() if len(cells) >= MIN_SHARE * len(fits)]
    table = np.full((len(fits), len(names)), np.nan)
    for column, name in enumerate(names):
        for case, value in columns[name].items():
            table[case, column] = value
    return names, table, np.array([least[name] for name in names])


def _center(table: np.ndarray, least: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return the median of each column and its spread, the median absolute deviation scaled to a standard deviation."""
    median = np.nanmedian(table, axis=0)
    return median, np.maximum(1.4826 * np.nanmedian(np.abs(table - median), axis=0), least)


def _describe(name: str, fit: Mapping[str, Any], median: float) -> str:
    kind, _, which = name.partition(" ")
    if kind == "side":
        value = fit["sides"][int(which)]
        pairs = ("right", "left", "anterior", "posterior", "superior", "inferior")
        side = pairs[int(which)] if len(fit["sides"]) == 6 else f"{'second' if int(which) % 2 == 0 else 'first'}"
        return f"outside minus inside on the {side} side {value:+.2f}, {median:+.2f} in the others"
    rank, deviation = fit["labels"][which]
    if kind == "rank":
        return f"{rank:.0%} of the scan is darker than label {which}, {median:.0%} in the others"
    return f"label {which} varies {deviation:.2f} times as much as its surroundings, {np.exp(median):.2f} in the others"


def find_misplaced_structures(records: Sequence[Record], labels: Mapping[str, int]) -> Iterator[Finding]:
    """Yield label maps whose structures are in other places, relative to one another, than in the other cases.

    Args:
        records: the cases' entries in the report, with the classes by their value.
        labels: value in the files by name.
    """
    own = [record for record in records if len(record["classes"]) > 1]
    if len(own) < MIN_CASES:
        return
    known = {str(value): name for name, value in labels.items()}
    usual = [
        value for value in known if sum(value in record["classes"] for record in own) >= MIN_SHARE_OF_PLACES * len(own)
    ]
    own = [record for record in own if all(value in record["classes"] for value in usual)]
    if len(usual) < 2 or len(own) < MIN_CASES:
        return
    places = np.array([[record["classes"][value]["centroid"] for value in usual] for record in own], dtype=float)
    # From the middle of the structures of the case.
    places -= places.mean(axis=1, keepdims=True)
    distance = float(np.median(np.linalg.norm(places, axis=2)))
    if not np.isfinite(distance) or distance == 0:
        return
    table = places.reshape(len(own), -1)
    median, spread = _center(table, MIN_PLACE * distance)
    away = (table - median) / spread
    limit = MAX_PLACE_SPREADS * (1 + FEW_CASES / len(own))
    for record, row, place in zip(own, away, table, strict=True):
        worst = int(np.argmax(np.abs(row)))
        if abs(row[worst]) > limit:
            which = slice(worst // 3 * 3, worst // 3 * 3 + 3)
            yield Finding(
                "label-place",
                found=f"{known[usual[worst // 3]]} {_point(place[which])} mm from the middle of the labels",
                expected=f"about {_point(median[which])} mm (to the right, front and top), the median of the other "
                f"{len(own) - 1} cases; this is {abs(row[worst]):.1f} spreads away, up to {limit:.1f} is usual",
                remedy="look at the label map: labels may be exchanged, it may be mirrored, or the header turned",
                case=record["name"],
                file=record["label"],
            )


def _point(place: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:+.0f}" for value in place) + ")"
