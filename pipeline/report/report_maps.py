"""Show what the skips of a network pass, from the folder of ``lightskip probe --maps``: pictures and channels."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.check_memory import estimate_file
from ..data.errors import InputError
from ..data.images.claimed_size import human_bytes
from ..data.images.door import read_volume
from .html.parts import Picture, Row, Table, embed_picture
from .report_read_files import read_json_file
from .report_slices import MAX_SIDE, choose_slices
from .report_volumes import CaseVolumes
from .text import amount

__all__ = ["MapPicture", "Probe", "draw_case_maps", "make_level_table", "read_probe"]

MAX_MAPS = 8  # of one level
_FILE = re.compile(r"(.+)_level([0-9]+)\.nii\.gz")
_PERCENTILES = (0.5, 99.5)
_QUALITY = 70  # of WebP
# Dark to light and blue to red, with no pair that the colour-blind cannot tell apart by lightness.
_POSITIVE = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_SIGNED = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))


@dataclass(frozen=True)
class Probe:
    """The output of a probe: the files of each case by level, and the levels of its summary."""

    files: dict[str, dict[int, Path]] = field(default_factory=dict)
    levels: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class MapPicture:
    """A map of one level: its caption and the picture."""

    caption: str
    picture: Picture


def read_probe(folder: Path) -> Probe:
    """Return the maps of a folder of ``lightskip probe``.

    Raises:
        InputError: it has neither maps nor a summary of levels.
    """
    files: dict[str, dict[int, Path]] = {}
    for file in sorted((folder / "maps").glob("*.nii.gz")):
        if match := _FILE.fullmatch(file.name):
            files.setdefault(match[1], {})[int(match[2])] = file
    summary_file = folder / "summary.json"
    levels = read_json_file(summary_file).get("levels") or () if summary_file.is_file() else ()
    if not (files or levels):
        raise InputError(
            folder,
            found="no maps/CASE_levelN.nii.gz and no summary.json with levels",
            expected="the output of lightskip probe --maps",
            remedy="run lightskip probe BUNDLE -o OUT --maps, and name OUT with --probe",
        )
    return Probe(files, levels)


def make_level_table(probe: Probe) -> Table | None:
    """Return a row per level: skip, channels kept and passed, selected channels, gates; None without a summary."""
    rows = []
    for level in probe.levels:
        selection = level.get("selection") or {}
        selected, weights = selection.get("selected") or [], selection.get("weights") or []
        gates = {"alpha": level["alpha"]} if "alpha" in level else level.get("gates") or {}
        rows.append(
            Row(
                f"level {level.get('level')}",
                [
                    str(level.get("skip", "-")),
                    str(level.get("kept_channels", "-")),
                    str(level.get("transferred_channels", "-")),
                    f"{len(selected)} of {len(weights)}: {', '.join(map(str, selected))}" if weights else "-",
                    ", ".join(f"{name} {mean:.3f}" for name, mean in gates.items()) or "-",
                ],
            )
        )
    heads = ["level, 0 is the finest", "skip", "channels kept", "channels passed", "channels selected", "mean of gates"]
    return Table("Skip connections by level", heads, rows) if rows else None


def draw_case_maps(probe: Probe, case: str, found: CaseVolumes) -> tuple[list[MapPicture], list[str]]:
    """Return the pictures of a case's maps in its first slice, and sentences about files that cannot be shown."""
    pictures: list[MapPicture] = []
    notes: list[str] = []
    for level, file in sorted(probe.files.get(case, {}).items()):
        stored = estimate_file(file)[0]
        if stored > found.memory:
            notes.append(f"The maps of level {level} are not shown: they take about {human_bytes(stored)} of memory.")
            continue
        try:
            volume = read_volume(str(file))
        except InputError as error:
            notes.append(f"The maps of level {level} are not shown: found {error.found}.")
            continue
        voxels = _split(volume.voxels, len(found.shape))
        if voxels.shape[:-1] != found.shape:
            notes.append(f"The maps of level {level} are not shown: their grid differs from the first label map's.")
            continue
        pictures += _draw_level(level, voxels, found)
    return pictures, notes


def _split(voxels: NDArray[Any], axes: int) -> NDArray[Any]:
    """Return maps as (*spatial, M); in 2D files have a third axis of one voxel."""
    if axes == 2 and voxels.ndim > 2:
        voxels = voxels[:, :, 0]
    return voxels if voxels.ndim > axes else voxels[..., None]


def _draw_level(level: int, voxels: NDArray[Any], found: CaseVolumes) -> list[MapPicture]:
    box = tuple(slice(start, start + size) for start, size in zip(found.start, _cut_shape(found), strict=True))
    cut = voxels[box]
    title, index, plane = choose_slices(found, cut.shape[:-1])[0]
    slices = [
        cut[..., number].T if index is None else plane.cut(cut[..., number], index)
        for number in range(min(cut.shape[-1], MAX_MAPS))
    ]
    low, high = (float(end) for end in np.percentile(np.stack(slices), _PERCENTILES))
    signed = low < 0 < high
    low, high = (-max(-low, high), max(-low, high)) if signed else (low, high)
    spacing = found.spacing
    mm = (spacing[1], spacing[0]) if index is None else (spacing[plane.down], spacing[plane.across])
    several = len(slices) > 1
    pictures = []
    for number, values in enumerate(slices):
        name = f"level {level}, map {number + 1}" if several else f"level {level}"
        caption = f"{name}: {amount(low)} to {amount(high)}"
        picture = embed_picture(_paint(values, low, high, mm, signed=signed), f"{title}, {caption}")
        assert picture is not None
        pictures.append(MapPicture(caption, picture))
    return pictures


def _cut_shape(found: CaseVolumes) -> tuple[int, ...]:
    first = next((one for one in (found.scan, *found.maps.values()) if one is not None), None)
    return found.shape if first is None else first.shape


def _paint(values: NDArray[Any], low: float, high: float, mm: tuple[float, float], *, signed: bool) -> bytes:
    share = np.nan_to_num((values - low) / (high - low) if high > low else np.full(values.shape, 0.5)).clip(0, 1)
    stops = np.array(_SIGNED if signed else _POSITIVE, dtype=np.float64)
    at = np.linspace(0, 1, len(stops))
    pixels = np.stack([np.interp(share, at, stops[:, channel]) for channel in range(3)], axis=-1)
    tall, wide = mm[0] * values.shape[0], mm[1] * values.shape[1]
    scale = min(MAX_SIDE // 2, max(values.shape)) / max(tall, wide)
    size = (max(1, round(scale * wide)), max(1, round(scale * tall)))
    stream = io.BytesIO()
    Image.fromarray(np.rint(pixels).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR).save(
        stream, format="WEBP", quality=_QUALITY, method=4
    )
    return stream.getvalue()
