"""Zarr stores and MGZ: damage in compressed chunks and streams, wherever a length or a checksum shows it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from .case import Made, Odd
from .volumes import PLACE, damage, some_voxels, spoil_checksum

# Each axis with its anatomical direction; without it a store is taken as LPS.
AXES = [
    {"name": name, "type": "space", "unit": "millimeter", "orientation": {"type": "anatomical", "value": value}}
    for name, value in (("z", "inferior-to-superior"), ("y", "posterior-to-anterior"), ("x", "left-to-right"))
]
STEPS = [{"type": "scale", "scale": [1.5, 1.25, 1.0]}, {"type": "translation", "translation": [-13.0, 12.0, -9.0]}]


def codec(name: str, **options: Any) -> Any:
    """Return a compressor: numcodecs' for Zarr 2, zarr's for Zarr 3."""
    zarr = pytest.importorskip("zarr")
    numcodecs = pytest.importorskip("numcodecs")
    return getattr(zarr.codecs if name.endswith("Codec") else numcodecs, name)(**options)


def store(name: str, *, harm: Callable[[bytes], bytes] | None = None, **options: Any) -> Callable[[Path], Made]:
    """Return the maker of an OME-Zarr store with chunks of 8 voxels.

    Args:
        name: class of the compressor.
        harm: returns other bytes for the middle chunk.
        options: of the compressor.
    """

    def make(folder: Path) -> Made:
        zarr = pytest.importorskip("zarr")
        voxels = some_voxels()
        path = folder / "scan.ome.zarr"
        group = zarr.open_group(str(path), mode="w", zarr_format=3 if name.endswith("Codec") else 2)
        data = np.ascontiguousarray(voxels.T)
        group.create_array("0", data=data, chunks=(8, 8, 8), compressors=[codec(name, **options)])
        described = {"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": STEPS}]}
        if name.endswith("Codec"):
            group.attrs["ome"] = {"version": "0.5", "multiscales": [described]}
        else:
            group.attrs["multiscales"] = [{"version": "0.4", **described}]
        if harm is None:
            return Made(path, voxels, PLACE)
        chunks = [file for file in sorted((path / "0").rglob("*")) if file.is_file() and "z" not in file.name]
        chunk = chunks[len(chunks) // 2]
        chunk.write_bytes(harm(chunk.read_bytes()))
        return Made(path)

    return make


def cut(content: bytes) -> bytes:
    return content[:-5]


def mgz(harm: Callable[[bytes], bytes] | None = None) -> Callable[[Path], Made]:
    """Return the maker of an MGZ file; `harm` returns other bytes."""

    def make(folder: Path) -> Made:
        file = folder / "scan.mgz"
        content = gzip.compress(nib.MGHImage(some_voxels(), PLACE).to_bytes())
        file.write_bytes(content if harm is None else harm(content))
        return Made(file, some_voxels(), PLACE) if harm is None else Made(file)

    return make


def broken(name: str, compressor: str, harm: Callable[[bytes], bytes], words: str = "corrupt", **options: Any) -> Odd:
    return Odd(name, store(compressor, harm=harm, **options), "refused", "truncated", words)


ODD = [
    Odd("zarr-blosc", store("Blosc"), "right"),
    Odd("zarr-3-zstd", store("ZstdCodec", checksum=True), "right"),
    broken("zarr-zlib-damaged", "Zlib", damage),
    broken("zarr-gzip-damaged", "GZip", damage),
    broken("zarr-zstd-checksum-damaged", "Zstd", damage, checksum=True),
    broken("zarr-zstd-cut", "Zstd", cut),
    broken("zarr-blosc-cut", "Blosc", cut, "bytes of the chunk"),
    broken("zarr-3-gzip-damaged", "GzipCodec", damage),
    broken("zarr-3-crc32c-damaged", "Crc32cCodec", damage, "checksum"),
    broken("zarr-3-zstd-checksum-damaged", "ZstdCodec", damage, checksum=True),
    broken("zarr-3-blosc-cut", "BloscCodec", cut, "bytes of the chunk"),
    Odd("mgz", mgz(), "right"),
    Odd("mgz-damaged", mgz(damage), "refused", "truncated", "corrupt"),
    Odd("mgz-checksum", mgz(spoil_checksum), "refused", "truncated", "checksum"),
    Odd("mgz-cut", mgz(cut), "refused", "truncated", "end-of-stream"),
]
