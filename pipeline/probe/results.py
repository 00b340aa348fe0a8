"""The numbers of a run of probes: per case, summarised with intervals, as files and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from numpy.typing import NDArray

from ..evaluation.bootstrap import CONFIDENCE, RESAMPLES, bootstrap_interval
from ..evaluation.paired_test import paired_differences
from ..evaluation.rows import OVERALL, name_overall
from ..files import whole_file, write_text
from ..report.differences import draw_differences
from ..spreadsheet import format_table
from .gates import GateMeans, describe_weights
from .levels import Level
from .observe import Observation

__all__ = ["OVERALL", "Measured", "Results"]
_COLUMNS = ("case", "level", "skip", "probe", "label", "dice")
_UNTOUCHED = "untouched"
_SHOWN_MAPS = 4  # in the table


@dataclass(frozen=True)
class Measured:
    """The Dice of one case under one probe.

    Attributes:
        case: name of the case.
        level: the probed level; None for the untouched network.
        probe: name of the probe; empty for the untouched network.
        dice: Dice by label; NaN for a label that neither side has.
    """

    case: str
    level: int | None
    probe: str
    dice: dict[str, float]


@dataclass(frozen=True)
class Results:
    """The numbers of a run.

    Attributes:
        cases: names of the cases.
        levels: the levels that were observed.
        planned: level and name of each probe, in the order of the tables.
        measured: the Dice of every case, untouched and under every probe.
        observed: the observation of each level's skip.
        gates: means of the network's gates.
        inside: what the network has outside of its skips: ``recalibration`` (means of gates) and
            ``inner_selections``.
        donors: for each case, the case whose encoder it gets in ``shuffle``; empty without that probe.
        seed: seed of the donors and of the intervals.
        provenance: what produced the numbers.
        regions: names of the regions, if the rows are of regions.
    """

    cases: tuple[str, ...]
    levels: tuple[Level, ...]
    planned: tuple[tuple[int, str], ...]
    measured: tuple[Measured, ...]
    observed: dict[int, Observation]
    gates: GateMeans
    inside: dict[str, Any]
    donors: dict[str, str]
    seed: int
    provenance: dict[str, Any]
    regions: tuple[str, ...] = ()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        labels = list(self.measured[0].dice)
        untouched = self._collect(None, "")
        probes = []
        for level, name in self.planned:
            probed = self._collect(level, name)
            changes = np.stack(
                [paired_differences(before, after) for before, after in zip(untouched.T, probed.T, strict=True)], axis=1
            )
            entries = {
                label: self._summarise(probed[:, [column]], changes[:, [column]]) for column, label in enumerate(labels)
            }
            entries[OVERALL] = self._summarise(probed, changes)
            probes.append({"level": level, "skip": self._kind(level), "probe": name, "labels": entries})
        return {
            "cases": len(self.cases),
            "untouched": {
                **{label: _describe(untouched[:, [column]]) for column, label in enumerate(labels)},
                OVERALL: _describe(untouched),
            },
            "probes": probes,
            "levels": [self._describe_level(level) for level in self.levels],
            **self.inside,
            "donors": self.donors,
            "interval": {"method": "percentile bootstrap over cases", "confidence": CONFIDENCE, "resamples": RESAMPLES},
            "seed": self.seed,
            **({"regions": list(self.regions)} if self.regions else {}),
            "provenance": self.provenance,
            "versions": {"monai": monai.__version__, "torch": torch.__version__},
        }

    def write(self, folder: Path) -> list[Path]:
        """Write ``cases.csv``, ``summary.json`` and ``differences.png``, and return their paths."""
        files = [folder / name for name in ("cases.csv", "summary.json", "differences.png")]
        write_text(files[0], self._format_rows())
        write_text(files[1], json.dumps(self.summary, indent=2, allow_nan=False) + "\n")
        with whole_file(files[2]) as temporary:
            temporary.write_bytes(draw_differences(self.summary))
        return files

    def format_table(self) -> str:
        """Return the summary as aligned columns: a line per level and probe, a column per label."""
        summary = self.summary
        labels = list(summary["untouched"])
        heads = [name_overall(self.regions) if label == OVERALL else label for label in labels]
        lines = [["level", "skip", "probe", *heads]]
        lines.append(["", "", _UNTOUCHED, *(_format(summary["untouched"][label]["dice"]) for label in labels)])
        for entry in summary["probes"]:
            cells = [_format_change(entry["labels"][label]) for label in labels]
            lines.append([str(entry["level"]), entry["skip"], entry["probe"], *cells])
        note = f"Dice untouched, and its mean change with the {CONFIDENCE:.0%} interval over {len(self.cases)} cases"
        return f"{note}\n{_align(lines, left=3)}"

    def format_levels(self) -> str:
        """Return a line per level: what its skip keeps and passes, its selection and its gates."""
        lines = [["level", "skip", "merge", "keeps", "passes", "strongest maps", "selected", "gates"]]
        for level in self.summary["levels"]:
            order, selection = level["maps"]["strongest_first"], level.get("selection")
            gates = {"alpha": level["alpha"]} if "alpha" in level else level["gates"]
            lines.append(
                [
                    *(str(level[key]) for key in ("level", "skip", "merge", "kept_channels", "transferred_channels")),
                    " ".join(map(str, order[:_SHOWN_MAPS])) + (" ..." if len(order) > _SHOWN_MAPS else ""),
                    f"{len(selection['selected'])} of {len(selection['weights'])}" if selection else "-",
                    ", ".join(f"{name} {mean:.3f}" for name, mean in gates.items()) or "-",
                ]
            )
        return _align(lines, left=len(lines[0]))

    def _collect(self, level: int | None, probe: str) -> NDArray[np.float64]:
        """Return the Dice under one probe, (cases, labels), in the order of `cases`."""
        found = {one.case: one.dice for one in self.measured if (one.level, one.probe) == (level, probe)}
        return np.array([list(found[case].values()) for case in self.cases], dtype=np.float64)

    def _summarise(self, dice: NDArray[np.float64], changes: NDArray[np.float64]) -> dict[str, Any]:
        interval = bootstrap_interval(changes, seed=self.seed)
        return {
            **_describe(dice),
            "difference": _mean_of_means(changes),
            "interval": None if interval is None else [round(end, 6) for end in interval],
            "n": int((~np.isnan(changes).all(axis=1)).sum()),
        }

    def _kind(self, level: int) -> str:
        return next(one.kind for one in self.levels if one.number == level)

    def _describe_level(self, level: Level) -> dict[str, Any]:
        seen = self.observed[level.number]
        return {
            "level": level.number,
            "skip": level.kind,
            "merge": level.skip.merge,
            "kept_channels": seen.kept_channels,
            "transferred_channels": seen.transferred_channels,
            "maps": {
                "of": "kept" if seen.kept_maps else "transferred",
                "strength": [round(float(value), 6) for value in seen.strength],
                "strongest_first": seen.order,
            },
            "gates": self.gates.means(level.name),
            **describe_weights(level),
        }

    def _format_rows(self) -> str:
        lines = []
        order = {case: place for place, case in enumerate(sorted(self.cases))}
        for one in sorted(self.measured, key=lambda one: order[one.case]):
            skip = "" if one.level is None else self._kind(one.level)
            level = "" if one.level is None else one.level
            for label, dice in one.dice.items():
                lines.append([one.case, level, skip, one.probe or _UNTOUCHED, label, f"{dice:.6f}"])
        return format_table(_COLUMNS, lines)


def _align(lines: Sequence[Sequence[str]], *, left: int) -> str:
    """Return lines of cells as aligned columns, the first `left` of them to the left and the others to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _describe(dice: NDArray[np.float64]) -> dict[str, Any]:
    return {"dice": _mean_of_means(dice)}


def _mean_of_means(values: NDArray[np.float64]) -> float | None:
    """Return the mean over labels of their means over cases, of (cases, labels); None if nothing counts."""
    counted = ~np.isnan(values)
    labels = counted.any(axis=0)
    if not labels.any():
        return None
    return round(float(np.nanmean(values[:, labels], axis=0).mean()), 6)


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _format_change(entry: Mapping[str, Any]) -> str:
    if entry["difference"] is None:
        return "-"
    text = _signed(entry["difference"])
    ends: Sequence[float] | None = entry["interval"]
    return text if ends is None else f"{text} [{_signed(ends[0])}, {_signed(ends[1])}]"


def _signed(value: float) -> str:
    # `z` writes what rounds to zero as +0.0000.
    return f"{value:+z.4f}"
