"""NRRD and MetaImage."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .case import Made, Odd

SHAPE = (18, 16, 14)
PLACE = np.array([[1.0, 0, 0, -9], [0, 1.25, 0, 12], [0, 0, 1.5, -13], [0, 0, 0, 1]])  # mm, RAS
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
VECTORS = "space directions: (1,0,0) (0,1.25,0) (0,0,1.5)\nspace origin: (-9,12,-13)\n"
RAS = f"space: right-anterior-superior\n{VECTORS}"
LIST = "space: RAS\nspace directions: {}\nspace origin: (-9,12,-13)\nkinds: {}\n"
VECTOR = "(1,0,0) (0,1.25,0) (0,0,1.5)"
META_PLACE = "TransformMatrix = -1 0 0 0 -1 0 0 0 1\nOffset = 9 -12 -13"
META_SPACING = "ElementSpacing = 1 1.25 1.5"
DOMAINS = "domain domain domain"
PACK = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "hex": lambda content: content.hex().encode()}


def some_voxels(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return voxels of an image, int16."""
    return np.random.default_rng(0).normal(100, 20, shape).astype(np.int16)


def some_labels() -> np.ndarray:
    """Return a label map with the values 0, 1 and 2, int16, (18, 16, 14)."""
    voxels = np.zeros(SHAPE, np.int16)
    voxels[4:9, 4:12, 3:10], voxels[9:14, 4:12, 3:10] = 1, 2
    return voxels


def damage(content: bytes) -> bytes:
    """Return compressed content with one bit changed, at two thirds of it."""
    place = len(content) * 2 // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def spoil_checksum(packed: bytes) -> bytes:
    """Return a gzip file with a wrong checksum; its content stays the same."""
    return packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]


def nrrd(
    fields: str = RAS,
    *,
    encoding: str = "raw",
    sizes: str = "18 16 14",
    affine: np.ndarray | None = PLACE,
    tail: bytes = b"",
    cut: int = 0,
    damaged: bool = False,
    label: bool = False,
    detached: bool = False,
    big: bool = False,
    more: bytes = b"",
) -> Callable[[Path], Made]:
    """Return the maker of an NRRD file.

    Args:
        fields: lines of the header for its place.
        encoding: of the voxels.
        sizes: of the axes.
        affine: the truth; None if the file is refused.
        tail: bytes after the encoded voxels.
        cut: bytes missing at the end.
        damaged: whether a bit of the encoded voxels is wrong.
        label: whether it is a label map.
        detached: whether the voxels are in another file, after two lines of text.
        big: whether numbers are big-endian.
        more: further voxels, encoded with the others.
    """

    def make(folder: Path) -> Made:
        voxels = some_labels() if label else some_voxels()
        header = f"NRRD0004\ntype: int16\ndimension: {len(sizes.split())}\nsizes: {sizes}\n"
        header += f"endian: {'big' if big else 'little'}\nencoding: {encoding}\n{fields}"
        content = PACK[encoding](voxels.astype(">i2" if big else "<i2").tobytes(order="F") + more)
        content = (damage(content) if damaged else content)[: len(content) - cut] + tail
        file = folder / ("scan.nhdr" if detached else "scan.nrrd")
        if detached:
            file.write_text(f"{header}line skip: 2\ndata file: scan.dat\n")
            (folder / "scan.dat").write_bytes(b"two lines\nof text\n" + content)
        else:
            file.write_bytes(header.encode() + b"\n" + content)
        return Made(file) if affine is None else Made(file, voxels, affine)

    return make


def vectors_of_two(folder: Path) -> Made:
    """Two numbers per voxel, int16."""
    file = folder / "scan.nrrd"
    fields = LIST.format(f"none {VECTOR}", f"vector {DOMAINS}")
    header = f"NRRD0004\ntype: int16\ndimension: 4\nsizes: 2 18 16 14\nendian: little\nencoding: raw\n{fields}\n"
    file.write_bytes(header.encode() + some_voxels((2, *SHAPE)).tobytes(order="F"))
    return Made(file)


def meta(
    *,
    compressed: bool = True,
    stated: bool = True,
    tail: bytes = b"",
    cut: int = 0,
    damaged: bool = False,
    label: bool = False,
    detached: bool = False,
    big: bool = False,
    refused: bool = False,
    more: bytes = b"",
    place: str = f"{META_PLACE}\n{META_SPACING}",
    affine: np.ndarray | None = None,
) -> Callable[[Path], Made]:
    """Return the maker of a MetaImage.

    Args:
        compressed: whether its voxels are a zlib stream.
        stated: whether the header has the length of that stream.
        refused: whether the file cannot be read.
        tail, cut, damaged, label, detached, big, more: see `nrrd`.
        place: lines of the header for its place.
        affine: the truth, if it is not the usual one.
    """

    def make(folder: Path) -> Made:
        voxels = some_labels() if label else some_voxels()
        stored = voxels.astype(">i2" if big else "<i2").tobytes(order="F") + more
        content = zlib.compress(stored) if compressed else stored
        length = len(content)
        content = (damage(content) if damaged else content)[: length - cut] + tail
        lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", f"BinaryDataByteOrderMSB = {big}"]
        lines += [f"CompressedData = {compressed}"]
        lines += [f"CompressedDataSize = {length}"] if compressed and stated else []
        lines += place.splitlines()
        lines += ["DimSize = 18 16 14", "ElementType = MET_SHORT"]
        file = folder / ("scan.mhd" if detached else "scan.mha")
        header = "\n".join([*lines, f"ElementDataFile = {'scan.bin' if detached else 'LOCAL'}"]) + "\n"
        file.write_bytes(header.encode() + (b"" if detached else content))
        if detached:
            (folder / "scan.bin").write_bytes(content)
        return Made(file) if refused else Made(file, voxels, PLACE if affine is None else affine)

    return make


def in_unit(unit: str) -> Callable[[Path], Made]:
    return nrrd(f'{RAS}space units: "{unit}" "{unit}" "{unit}"\n', affine=None)


META_1_MM = [[-1.0, 0, 0, -9], [0, -1, 0, 12], [0, 0, 1, -13], [0, 0, 0, 1]]
SHORT = some_voxels((18, 16, 1)).tobytes(order="F")  # one more slice
LAS_PLACE = np.diag([-1.0, 1, 1, 1]) @ PLACE
AS_LPS = LPS @ PLACE
ENDS = "axis mins: 0 0 0\naxis maxs: 18 20 21\n"
ODD = [
    Odd("nrrd-gzip", nrrd(encoding="gzip"), "right"),
    Odd("nrrd-label", nrrd(label=True, encoding="gzip"), "right", role="label"),
    Odd("nrrd-big-endian", nrrd(big=True), "right"),
    Odd("nrrd-hex", nrrd(encoding="hex"), "right"),
    Odd("nrrd-bzip2", nrrd(encoding="bzip2"), "right"),
    Odd("nrrd-bzip2-big-endian", nrrd(encoding="bzip2", big=True), "right"),
    Odd("nrrd-bzip2-label", nrrd(encoding="bzip2", label=True), "right", role="label"),
    Odd("nrrd-bzip2-damaged", nrrd(encoding="bzip2", damaged=True, affine=None), "refused", "truncated", "corrupt"),
    Odd("nrrd-detached-line-skip", nrrd(detached=True), "right"),
    Odd("nrrd-detached-bzip2", nrrd(detached=True, encoding="bzip2"), "right"),
    Odd("nrrd-gzip-damaged", nrrd(encoding="gzip", damaged=True, affine=None), "refused", "truncated", "corrupt"),
    Odd("nrrd-gzip-cut", nrrd(encoding="gzip", cut=6, affine=None), "refused", "truncated", "truncated"),
    Odd("nrrd-raw-cut", nrrd(cut=5, affine=None), "refused", "truncated", "Expected 8064 bytes of voxels, got 8059"),
    Odd("nrrd-raw-tail", nrrd(tail=bytes(12)), "note", "trailing-data", "12 bytes after the end"),
    Odd("nrrd-gzip-another-slice", nrrd(encoding="gzip", more=SHORT), "note", "trailing-data", "576 bytes after"),
    Odd("nrrd-detached-tail", nrrd(detached=True, tail=b"end"), "note", "trailing-data", "3 bytes after the end"),
    Odd("nrrd-label-another-slice", nrrd(more=SHORT, label=True), "note", "trailing-data", "576 bytes after", "label"),
    Odd("nrrd-gzip-rubbish", nrrd(encoding="gzip", tail=b"end", affine=None), "refused", "truncated", "gzip"),
    Odd("nrrd-space-units-mm", nrrd(f'{RAS}space units: "mm" "mm" "mm"\n'), "right"),
    Odd("nrrd-space-units-cm", in_unit("cm"), "refused", "unit", "in centimetres"),
    Odd("nrrd-space-units-um", in_unit("um"), "refused", "unit", "in micrometres"),
    Odd("nrrd-space-units-µm", in_unit("µm"), "refused", "unit", "in micrometres"),
    Odd("nrrd-space-units-unknown", in_unit("parsec"), "refused", "unit", "in the unit parsec"),
    Odd("nrrd-space-units-m", in_unit("m"), "refused", "unit", "in metres"),
    Odd(
        "nrrd-units-of-axes-um",
        nrrd('spacings: 1 1.25 1.5\nunits: "um" "um" "um"\n', affine=None),
        "refused",
        "unit",
        "in micrometres",
    ),
    Odd("nrrd-axis-mins-maxs", nrrd(ENDS, affine=None), "refused", "spacing", "axis maxs 18 20 21 without spacings"),
    Odd(
        "nrrd-axis-mins-maxs-of-nodes",
        nrrd(f"{ENDS}centers: node node node\n", affine=None),
        "refused",
        "spacing",
        "without spacings",
    ),
    Odd(
        "nrrd-left-anterior",
        nrrd(f"space: left-anterior-superior\n{VECTORS}", affine=LAS_PLACE),
        "right",
    ),
    Odd(
        "nrrd-scanner-xyz", nrrd(f"space: scanner-xyz\n{VECTORS}", affine=AS_LPS), "note", "form-missing", "scanner-xyz"
    ),
    Odd(
        "nrrd-3d-right-handed",
        nrrd(f"space: 3D-right-handed\n{VECTORS}", affine=AS_LPS),
        "note",
        "form-missing",
        "3D-right-handed",
    ),
    Odd(
        "nrrd-spacings-alone",
        nrrd("spacings: 1 1.25 1.5\n", affine=np.diag([-1.0, -1.25, 1.5, 1])),
        "note",
        "form-missing",
        "left and right are a guess",
    ),
    Odd("nrrd-no-spacing", nrrd("", affine=LPS), "note", "form-missing", "taken as 1 mm"),
    Odd("nrrd-list-of-1-first", nrrd(LIST.format(f"none {VECTOR}", f"list {DOMAINS}"), sizes="1 18 16 14"), "right"),
    Odd("nrrd-list-of-1-last", nrrd(LIST.format(f"{VECTOR} none", f"{DOMAINS} list"), sizes="18 16 14 1"), "right"),
    Odd(
        "nrrd-list-of-1-label",
        nrrd(LIST.format(f"{VECTOR} none", f"{DOMAINS} list"), sizes="18 16 14 1", label=True),
        "right",
        role="label",
    ),
    Odd(
        "nrrd-time-of-1",
        nrrd(LIST.format(f"{VECTOR} none", f"{DOMAINS} time"), sizes="18 16 14 1", affine=None),
        "refused",
        "dimensions",
        "4 axes (sizes 18 16 14 1)",
    ),
    Odd(
        "nrrd-space-units-without-marks",
        nrrd(f"{RAS}space units: mm mm mm\n", affine=None),
        "refused",
        "unit",
        "without quotation marks",
    ),
    Odd(
        "nrrd-axis-without-direction",
        nrrd("space: RAS\nspace directions: (1,0,0) (0,1.25,0) none\nspace origin: (-9,12,-13)\n", affine=None),
        "refused",
        "affine",
        "no direction (none) of the axis of 14 voxels",
    ),
    Odd(
        "nrrd-direction-0",
        nrrd("space: RAS\nspace directions: (1,0,0) (0,1.25,0) (0,0,0)\nspace origin: (-9,12,-13)\n", affine=None),
        "refused",
        "spacing",
        "a spacing of 0 along an axis",
    ),
    Odd(
        "nrrd-spacing-not-a-number",
        nrrd("spacings: 1 1.25 nan\n", affine=None),
        "refused",
        "spacing",
        "a spacing of nan along the axis of 14 voxels",
    ),
    Odd("nrrd-spacing-below-0", nrrd("spacings: 1 1.25 -1.5\n", affine=None), "refused", "spacing", "-1.5 along"),
    Odd(
        "nrrd-space-without-spacing",
        nrrd("space: LPS\nspace origin: (9,-12,-13)\n", affine=np.array(META_1_MM)),
        "note",
        "form-missing",
        "no spacing, which is taken as 1 mm",
    ),
    Odd("nrrd-two-numbers-int16", vectors_of_two, "refused", "voxel-type", "2 numbers per voxel"),
    Odd("meta-zlib", meta(), "right"),
    Odd("meta-zlib-label", meta(label=True), "right", role="label"),
    Odd("meta-zlib-big-endian", meta(big=True), "right"),
    Odd("meta-zlib-without-its-length", meta(stated=False), "right"),
    Odd("meta-zlib-without-its-length-big-endian", meta(stated=False, big=True), "right"),
    Odd("meta-zlib-detached", meta(detached=True), "right"),
    Odd("meta-zlib-damaged", meta(damaged=True, refused=True), "refused", "truncated", "corrupt"),
    Odd(
        "meta-zlib-damaged-label",
        meta(damaged=True, refused=True, label=True),
        "refused",
        "truncated",
        "corrupt",
        "label",
    ),
    Odd(
        "meta-zlib-detached-damaged", meta(damaged=True, detached=True, refused=True), "refused", "truncated", "corrupt"
    ),
    Odd("meta-zlib-cut", meta(cut=4, refused=True), "refused", "truncated", "end-of-stream"),
    Odd("meta-zlib-another-slice", meta(more=SHORT), "note", "trailing-data", "576 bytes after the end"),
    Odd("meta-raw-tail", meta(compressed=False, tail=b"end"), "note", "trailing-data", "3 bytes after the end"),
    Odd(
        "meta-raw-detached-tail",
        meta(compressed=False, detached=True, more=SHORT),
        "note",
        "trailing-data",
        "576 bytes",
    ),
    Odd("meta-raw-cut", meta(compressed=False, cut=5, refused=True), "refused", "truncated", "got 8059"),
    Odd(
        "meta-unit-um",
        meta(place=f"{META_PLACE}\n{META_SPACING}\nDistanceUnits = um", refused=True),
        "refused",
        "unit",
        "in micrometres",
    ),
    Odd(
        "meta-unit-cm",
        meta(place=f"{META_PLACE}\n{META_SPACING}\nDistanceUnits = cm", refused=True, label=True),
        "refused",
        "unit",
        "in centimetres",
        role="label",
    ),
    Odd("meta-unit-mm", meta(place=f"{META_PLACE}\n{META_SPACING}\nDistanceUnits = mm"), "right"),
    Odd(
        "meta-no-spacing",
        meta(place="TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 9 -12 -13", affine=np.array(META_1_MM)),
        "note",
        "form-missing",
        "no spacing, which is taken as 1 mm",
    ),
    Odd(
        "meta-no-place",
        meta(place=META_SPACING, affine=np.diag([-1.0, -1.25, 1.5, 1])),
        "note",
        "form-missing",
        "left and right are a guess",
    ),
    Odd(
        "meta-spacing-below-0",
        meta(place=f"{META_PLACE}\nElementSpacing = 1 1.25 -1.5", refused=True),
        "refused",
        "spacing",
        "1 x 1.25 x -1.5 mm",
    ),
    Odd(
        "meta-directions-in-a-plane",
        meta(place=f"TransformMatrix = 1 0 0 1 0 0 0 0 1\nOffset = 0 0 0\n{META_SPACING}", refused=True),
        "refused",
        "affine",
        "in one plane",
    ),
    Odd(
        "meta-scaled",
        meta(place=f"{META_PLACE}\n{META_SPACING}\nElementToIntensityFunctionSlope = 2"),
        "note",
        "scaling-ignored",
        "ElementToIntensityFunctionSlope 2",
    ),
]
