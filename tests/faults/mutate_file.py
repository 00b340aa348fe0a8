"""Small files of every format, and copies of them with seeded damage.

The same numbers give the same bytes. The damage is that of disks, networks and buggy writers: flipped bits, a copy that
stopped early, blocks that are zero or twice there, and odd numbers in a header.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

__all__ = ["FORMATS", "Sample", "make_samples", "mutate", "write_mutated"]

Sample = dict[str, bytes]
"""The files of one scan, by name; the first is the scan's path, or its folder's only kind of file."""

_SHAPE = (7, 6, 5)
_NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_REALS = (0.0, -1.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"), 0.5, 352.5, -0.0)
_WORDS = (b"0", b"-1", b"1e9", b"99999999999999999999", b"nan", b"", b"none", b"x", b"(", b"\xff\xfe", b"3 3", b"%s%n")
_HEADER = 400  # bytes, most of which mean something


def make_samples() -> dict[str, Sample]:
    """Return a small scan of every format, by the format's name."""
    draw = np.random.default_rng(0)
    voxels = draw.integers(-100, 900, _SHAPE).astype(np.int16)
    affine = np.diag([1.5, 1.0, 2.0, 1.0])
    one, two = (kind(voxels, affine).to_bytes() for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image))
    body = voxels.tobytes(order="F")
    picture = Image.fromarray(draw.integers(0, 255, (9, 8)).astype(np.uint8))
    samples: dict[str, Sample] = {
        "nii": {"a.nii": one},
        "nii-2": {"a.nii": two},
        "nii.gz": {"a.nii.gz": gzip.compress(one, mtime=0)},
        "hdr+img": _pair(voxels, affine),
        "nrrd": {"a.nrrd": _nrrd("raw") + body},
        "nrrd gzip": {"a.nrrd": _nrrd("gzip") + gzip.compress(body, mtime=0)},
        "nhdr": {"a.nhdr": _nrrd("raw", "data file: a.raw\n"), "a.raw": body},
        "mha": {"a.mha": _meta("") + body},
        "mha zlib": {"a.mha": _meta(f"CompressedData = True\nCompressedDataSize = {len(zlib.compress(body))}\n")},
        "mhd": {"a.mhd": _meta("", "a.raw"), "a.raw": body},
        "mgz": {"a.mgz": gzip.compress(nibabel.MGHImage(voxels.astype(np.int32), affine).to_bytes(), mtime=0)},
        "png": {"a.png": _picture(picture, "PNG")},
        "jpg": {"a.jpg": _picture(picture, "JPEG")},
        "bmp": {"a.bmp": _picture(picture, "BMP")},
        "tif": {"a.tif": _tiff(voxels)},
        "tif deflate": {"a.tif": _tiff(voxels, compression="zlib")},
        "dicom": _series(voxels),
        "zip": {"a.zip": _zip({"a/imagesTr/a_0000.nii.gz": gzip.compress(one), "a/dataset.json": b"{}"})},
    }
    samples["mha zlib"]["a.mha"] += zlib.compress(body)
    return samples


def mutate(content: bytes, draw: random.Random) -> bytes:
    """Return content with one to four faults."""
    packed = content[:2] == b"\x1f\x8b" and draw.random() < 0.7
    if packed:
        content = gzip.decompress(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        content = draw.choice(_FAULTS)(content, draw)
    return gzip.compress(content, mtime=0) if packed else content


def write_mutated(sample: Mapping[str, bytes], folder: Path, draw: random.Random, *, whole: bool = False) -> Path:
    """Write a scan with damage in one of its files, or none if it is to stay `whole`, and return its path."""
    folder.mkdir(parents=True)
    victim = draw.choice(list(sample))
    for name, content in sample.items():
        (folder / name).write_bytes(mutate(content, draw) if name == victim and not whole else content)
    first = next(iter(sample))
    return folder if first.endswith(".dcm") else folder / first


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 20)) if changed else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice((draw.randrange(len(content) + 1), max(len(content) - draw.randrange(1, 9), 0)))]


def _set_number(content: bytes, draw: random.Random) -> bytes:
    """Write an odd number into the header."""
    order = draw.choice("<>")
    kind = draw.choice("bhiqfd")
    size = struct.calcsize(kind)
    if len(content) < size:
        return content
    if kind in "fd":
        packed = struct.pack(order + kind, draw.choice(_REALS))
    else:
        packed = (draw.choice((1, -1)) * draw.choice(_NUMBERS) % 2 ** (8 * size)).to_bytes(
            size, "little" if order == "<" else "big"
        )
    place = draw.randrange(min(len(content), _HEADER) - size + 1)
    place -= place % size if draw.random() < 0.7 else 0
    return content[:place] + packed + content[place + size :]


def _set_word(content: bytes, draw: random.Random) -> bytes:
    """Replace a word of a header that is text."""
    head, rest = content[:_HEADER], content[_HEADER:]
    words = head.split(b" ")
    words[draw.randrange(len(words))] = draw.choice(_WORDS)
    return b" ".join(words) + rest


def _move_line(content: bytes, draw: random.Random) -> bytes:
    """Remove, double or exchange lines of a header."""
    head, rest = content[:_HEADER], content[_HEADER:]
    lines = head.split(b"\n")
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    way = draw.randrange(3)
    if way == 0:
        del lines[first]
    elif way == 1:
        lines.insert(second, lines[first])
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines) + rest


def _repeat(content: bytes, draw: random.Random) -> bytes:
    start, stop = _block(content, draw)
    return content[:stop] + content[start:stop] * draw.choice((1, 1, 10)) + content[stop:]


def _zero(content: bytes, draw: random.Random) -> bytes:
    start, stop = _block(content, draw)
    return content[:start] + bytes(stop - start) + content[stop:]


def _cut(content: bytes, draw: random.Random) -> bytes:
    start, stop = _block(content, draw)
    return content[:start] + content[stop:]


def _block(content: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(content) + 1)
    return start, min(len(content), start + draw.choice((1, 4, 16, 64, 512)))


_FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_flip, _truncate, _set_number, _set_number, _set_word, _move_line, _repeat, _zero, _cut),
)


def _pair(voxels: np.ndarray, affine: np.ndarray) -> Sample:
    image = nibabel.Nifti1Pair(voxels, affine)
    files = {name: nibabel.FileHolder(fileobj=io.BytesIO()) for name in ("header", "image")}
    image.to_file_map(files)
    return {name: files[kind].fileobj.getvalue() for name, kind in (("a.hdr", "header"), ("a.img", "image"))}


def _nrrd(encoding: str, more: str = "") -> bytes:
    sizes = " ".join(map(str, _SHAPE))
    return (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
        "space directions: (1.5,0,0) (0,1,0) (0,0,2)\nkinds: domain domain domain\nendian: little\n"
        f"encoding: {encoding}\nspace origin: (0,0,0)\n{more}\n"
    ).encode()


def _meta(more: str, data: str = "LOCAL") -> bytes:
    sizes = " ".join(map(str, _SHAPE))
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"{more}TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1.5 1 2\nDimSize = {sizes}\n"
        f"ElementType = MET_SHORT\nElementDataFile = {data}\n"
    ).encode()


def _picture(picture: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form)
    return stream.getvalue()


def _tiff(voxels: np.ndarray, **options: Any) -> bytes:
    import tifffile  # noqa: PLC0415 - slow

    stream = io.BytesIO()
    tifffile.imwrite(stream, np.moveaxis(voxels, -1, 0), **options)
    return stream.getvalue()


def _zip(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _series(voxels: np.ndarray) -> Sample:
    import pydicom  # noqa: PLC0415 - slow
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian  # noqa: PLC0415

    files = {}
    for number in range(voxels.shape[2]):
        slice_ = pydicom.Dataset()
        slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, f"1.2.3.4.{number + 1}"
        slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = "1.2.1", "1.2.2", "1.2.3"
        slice_.Modality, slice_.PatientName, slice_.PatientID, slice_.InstanceNumber = "CT", "a", "a", number + 1
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 2 * number], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness = [1, 1.5], 2
        slice_.Rows, slice_.Columns, slice_.SamplesPerPixel = voxels.shape[1], voxels.shape[0], 1
        slice_.PhotometricInterpretation, slice_.PixelRepresentation = "MONOCHROME2", 1
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelData = 15, voxels[:, :, number].tobytes(order="F")
        slice_.file_meta = pydicom.dataset.FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        stream = io.BytesIO()
        slice_.save_as(stream, enforce_file_format=True)
        files[f"{number}.dcm"] = stream.getvalue()
    return files


FORMATS = tuple(make_samples())
