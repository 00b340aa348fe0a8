"""Changes to the bytes of a file, and to the type of its voxels."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image

from .files import Change, File, pack

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 2873401\n"
HTML = b"<!DOCTYPE html><html><body><h1>403 Forbidden</h1></body></html>\n" * 40


def content_is(content: bytes) -> Change:
    return lambda _file, _rng: content


def as_stored(change: Callable[[bytes], bytes], *, suffix: str = ".nii.gz") -> Change:
    def changed(file: File, rng: Generator) -> bytes:
        file.suffix = suffix
        return change(file.stored())

    return changed


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 0x5A
    return bytes(changed)


def a_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(stream, "JPEG")
    return stream.getvalue()


def renamed(suffix: str) -> Change:
    def changed(file: File, rng: Generator) -> bytes:
        content = file.stored()
        file.suffix = suffix
        return content

    return changed


def unknown_type(file: File, rng: Generator) -> bytes:
    raw = bytearray(file.raw())
    raw[70:72] = (77).to_bytes(2, "little")
    return pack(bytes(raw))


def rgb(file: File, rng: Generator) -> File:
    dtype = np.dtype([(channel, "u1") for channel in "RGB"])
    return file.with_voxels(rng.integers(0, 255, (*file.voxels.shape, 3), np.uint8).view(dtype)[..., 0])
