"""TIFF with its spacing in every place where programs write it, and layouts that ITK or Pillow take for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from .case import Made, Odd

_RANDOM = np.random.default_rng(17)
# z, y, x: as tifffile has them.
STACK = _RANDOM.integers(1, 250, (5, 7, 9)).astype(np.uint8)
PLANE = STACK[0]
_COLOURS = np.random.default_rng(19).integers(0, 65536, (3, 256)).astype(np.uint16)
COLOUR = _RANDOM.integers(0, 250, (7, 9, 3)).astype(np.uint8)


def place(*spacing: float) -> np.ndarray:
    """Return ITK's affine of a TIFF with this spacing along x, y, z: x to the left, y to the back."""
    x, y, z = (*spacing, 1.0, 1.0, 1.0)[:3]
    return np.diag([-x, -y, z, 1.0])


def _made(path: Path, pages: np.ndarray, *spacing: float, colour: bool = False) -> Made:
    voxels = np.swapaxes(pages, 0, 1) if colour else pages.T
    return Made(path, voxels, place(*spacing))


def _write(folder: Path, pages: np.ndarray, *spacing: float, name: str = "scan.tif", **options: Any) -> Made:
    tifffile.imwrite(folder / name, pages, **{"photometric": "minisblack", **options})
    return _made(folder / name, pages, *spacing)


def _imagej(folder: Path, unit: str, *spacing: float, **metadata: Any) -> Made:
    # 0.25 of the unit along x and y, 2 along z.
    described = {"axes": "ZYX", "spacing": 2.0, "unit": unit, **metadata}
    return _write(folder, STACK, *spacing, imagej=True, resolution=(4, 4), metadata=described)


def _ome(folder: Path, pages: np.ndarray, axes: str, unit: str, *spacing: float) -> Made:
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (0.2, 0.3, 2.0), strict=True)}
    described = {"axes": axes, **sizes, **{f"PhysicalSize{axis}Unit": unit for axis in "XYZ"}}
    return _write(folder, pages, *spacing, name="scan.ome.tif", ome=True, metadata=described)


def _json(folder: Path, spacing: Any, *true: float, name: str = "scan", **options: Any) -> Made:
    (folder / "scan.json").write_text(json.dumps({"spacing": spacing}), encoding="utf-8")
    return _write(folder, STACK, *true, name=f"{name}.tif", **options)


def _json_text(folder: Path, text: str, *true: float) -> Made:
    (folder / "scan.json").write_text(text, encoding="utf-8")
    made = _write(folder, STACK, *true)
    return made if true else Made(made.path)


def _bits(folder: Path) -> Made:
    pages = STACK > 100
    tifffile.imwrite(folder / "scan.tif", pages, photometric="minisblack")
    return _made(folder / "scan.tif", pages.astype(np.uint8), 1, 1, 1)


def _tiles(folder: Path) -> Made:
    pages = _RANDOM.integers(1, 250, (3, 64, 64)).astype(np.uint8)
    return _write(folder, pages, 1, 1, 1, tile=(16, 16))


def _lzw(folder: Path) -> Made:
    pages = [Image.fromarray(page) for page in STACK.astype(np.uint16) * 200]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return _made(folder / "scan.tif", STACK.astype(np.uint16) * 200, 1, 1, 1)


def _colours(folder: Path, dtype: Any, **options: Any) -> Made:
    pixels = COLOUR.astype(dtype) * (200 if np.dtype(dtype).itemsize > 1 else 1)
    stored = np.moveaxis(pixels, -1, 0) if options.get("planarconfig") == "separate" else pixels
    tifffile.imwrite(folder / "scan.tif", stored, photometric="rgb", **options)
    return _made(folder / "scan.tif", pixels, 1, 1, colour=True)


def _alpha(folder: Path) -> Made:
    pixels = np.concatenate([COLOUR, np.full((7, 9, 1), 255, np.uint8)], axis=-1)
    tifffile.imwrite(folder / "scan.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    return _made(folder / "scan.tif", COLOUR, 1, 1, colour=True)


def _two_sizes(folder: Path) -> Made:
    with tifffile.TiffWriter(folder / "scan.tif") as file:
        file.write(PLANE, photometric="minisblack")
        file.write(PLANE[:4, :5], photometric="minisblack")
    return Made(folder / "scan.tif")


def _last_page_cut(folder: Path) -> Made:
    path = folder / "scan.tif"
    pages = [Image.fromarray(page) for page in STACK]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    path.write_bytes(path.read_bytes()[:-40])
    return Made(path)


def _times(folder: Path) -> Made:
    pages = np.stack([STACK, STACK])
    tifffile.imwrite(folder / "scan.tif", pages, imagej=True, metadata={"axes": "TZYX"})
    return Made(folder / "scan.tif")


def _ome_times(folder: Path) -> Made:
    tifffile.imwrite(folder / "scan.ome.tif", STACK, ome=True, metadata={"axes": "TYX"})
    return Made(folder / "scan.ome.tif")


def _jpeg(folder: Path) -> Made:
    Image.fromarray(_RANDOM.integers(0, 2, (16, 16)).astype(np.uint8)).save(folder / "label.tif", compression="jpeg")
    return Made(folder / "label.tif")


ODD = [
    Odd("tiff-imagej-um", lambda folder: _imagej(folder, "um", 0.25, 0.25, 2), "right"),
    Odd("tiff-imagej-micron", lambda folder: _imagej(folder, "micron", 0.25, 0.25, 2), "right"),
    Odd("tiff-imagej-mm", lambda folder: _imagej(folder, "mm", 0.25, 0.25, 2), "right"),
    Odd("tiff-imagej-turned-stack", lambda folder: _imagej(folder, "mm", 0.25, 0.25, 2, spacing=-2.0), "right"),
    Odd("tiff-imagej-cm", lambda folder: _imagej(folder, "cm", 2.5, 2.5, 20), "right"),
    Odd("tiff-imagej-pixels", lambda folder: _imagej(folder, "pixel", 1, 1, 1), "right"),
    Odd(
        "tiff-imagej-channels",
        lambda folder: _imagej(folder, "mm", 0.25, 0.25, 2, axes="CYX"),
        "note",
        "stack-axis",
        "5 pages that the file calls channels",
    ),
    Odd("tiff-imagej-times", _times, "refused", "dimensions", "2 points of time, 5 slices"),
    Odd("tiff-ome-um", lambda folder: _ome(folder, STACK, "ZYX", "µm", 0.2, 0.3, 2), "right"),
    Odd("tiff-ome-nm", lambda folder: _ome(folder, STACK, "ZYX", "nm", 0.2, 0.3, 2), "right"),
    Odd("tiff-ome-mm", lambda folder: _ome(folder, STACK, "ZYX", "mm", 0.2, 0.3, 2), "right"),
    Odd("tiff-ome-plane", lambda folder: _ome(folder, PLANE, "YX", "mm", 0.2, 0.3), "right"),
    Odd("tiff-ome-times", _ome_times, "refused", "dimensions", "5 points of time"),
    Odd("tiff-nnunet-json", lambda folder: _json(folder, [5.0, 0.5, 0.25], 0.25, 0.5, 5.0), "right"),
    Odd(
        "tiff-nnunet-json-of-channel",
        lambda folder: _json(folder, [5.0, 0.5, 0.25], 0.25, 0.5, 5.0, name="scan_0000"),
        "right",
    ),
    Odd("tiff-nnunet-json-two-numbers", lambda f: _json(f, [5.0, 0.5]), "refused", "spacing", "scan.json next to it"),
    Odd("tiff-nnunet-json-zero", lambda f: _json(f, [0, 1, 1]), "refused", "spacing", "scan.json next to it"),
    Odd(
        "tiff-json-against-imagej",
        lambda folder: _json(
            folder,
            [3.0, 0.25, 0.25],
            *(0.25, 0.25, 3.0),
            imagej=True,
            resolution=(4, 4),
            metadata={"axes": "ZYX", "spacing": 2.0, "unit": "mm"},
        ),
        "note",
        "spacing-conflict",
        "0.25 x 0.25 x 3 mm in the file scan.json, which is used, and of 0.25 x 0.25 x 2 mm in the ImageJ metadata",
    ),
    Odd(
        "tiff-tags-cm",
        lambda folder: _write(folder, PLANE, 0.2, 0.4, resolution=(50, 25), resolutionunit="CENTIMETER"),
        "right",
    ),
    Odd(
        "tiff-tags-inch",
        lambda folder: _write(folder, PLANE, 0.05, 0.1, resolution=(508, 254), resolutionunit="INCH"),
        "right",
    ),
    Odd(
        "tiff-tags-print",
        lambda folder: _write(folder, PLANE, 1, 1, resolution=(300, 300), resolutionunit="INCH"),
        "right",
    ),
    Odd(
        "tiff-tags-no-unit",
        lambda folder: _write(folder, PLANE, 1, 1, resolution=(50, 25), resolutionunit="NONE"),
        "right",
    ),
    Odd(
        "tiff-tags-of-a-stack",
        lambda folder: _write(folder, STACK, 1, 1, 1, resolution=(50, 25), resolutionunit="CENTIMETER"),
        "note",
        "spacing-incomplete",
        "0.2 x 0.4 mm in the plane and none between slices",
    ),
    Odd("tiff-float64", lambda folder: _write(folder, STACK / 7, 1, 1, 1), "right"),
    Odd("tiff-bits", _bits, "right", role="label"),
    Odd("tiff-tiles", _tiles, "right"),
    Odd("tiff-big", lambda folder: _write(folder, STACK, 1, 1, 1, bigtiff=True), "right"),
    Odd("tiff-white-is-zero", lambda folder: _write(folder, STACK, 1, 1, 1, photometric="miniswhite"), "right"),
    Odd("tiff-lzw", _lzw, "right"),
    Odd("tiff-colours-16-bits", lambda folder: _colours(folder, np.uint16), "right"),
    Odd("tiff-colours-in-planes", lambda folder: _colours(folder, np.uint8, planarconfig="separate"), "right"),
    Odd("tiff-alpha", _alpha, "note", "alpha-channel", "an alpha channel, which is left out"),
    Odd("tiff-two-sizes", _two_sizes, "refused", "dimensions", "2 images of different kinds (7 x 9, 4 x 5)"),
    Odd("tiff-last-page-cut", _last_page_cut, "refused", "truncated", "truncated"),
    Odd("tiff-jpeg-label", _jpeg, "refused", "label-lossy", "changes values", role="label"),
    Odd(
        "tiff-json-mistyped",
        lambda f: _json_text(f, '{"spacings": [5, 0.5, 0.25]}'),
        "refused",
        "spacing",
        'the key "spacings"',
    ),
    Odd("tiff-json-list", lambda f: _json_text(f, "[5, 0.5, 0.25]"), "refused", "spacing", "[5, 0.5, 0.25] in"),
    Odd(
        "tiff-json-byte-order-mark",
        lambda f: _json_text(f, '\ufeff{"spacing": [5, 0.5, 0.25]}', 0.25, 0.5, 5.0),
        "right",
    ),
    Odd(
        "tiff-palette",
        lambda f: _write(f, PLANE, 1, 1, photometric="palette", colormap=_COLOURS),
        "note",
        "palette",
        "numbers of colours",
    ),
]
