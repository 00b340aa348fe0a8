"""Pictures with opacity, grey ones stored in colour, and label maps with JPEG's compression."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .case import Made, Odd

_RANDOM = np.random.default_rng(18)
GREY = _RANDOM.integers(0, 250, (7, 9)).astype(np.uint8)
COLOUR = _RANDOM.integers(0, 250, (7, 9, 3)).astype(np.uint8)
PALETTE = np.random.default_rng(19).integers(0, 256, 768)
LABELS = _RANDOM.integers(0, 3, (7, 9)).astype(np.uint8)


def _save(folder: Path, pixels: np.ndarray, true: np.ndarray | None, *, name: str = "scan.png", **options: Any) -> Made:
    Image.fromarray(pixels).save(folder / name, **options)
    return Made(folder / name, None if true is None else np.swapaxes(true, 0, 1), np.eye(4))


def _with(pixels: np.ndarray, opacity: np.ndarray | int) -> np.ndarray:
    layer = np.broadcast_to(np.uint8(opacity), (7, 9))
    return np.concatenate([pixels.reshape(7, 9, -1), layer[..., None]], axis=-1)


def _with_palette(folder: Path, pixels: np.ndarray, palette: np.ndarray, name: str = "scan.png") -> Made:
    picture = Image.fromarray(pixels)
    picture.putpalette(palette.astype(np.uint8).tobytes())
    picture.save(folder / name)
    return Made(folder / name, pixels.T, np.eye(4))


def _deep_colours(folder: Path) -> Made:
    """A PNG with 16 bits per colour, which Pillow cannot write."""
    pixels = (COLOUR.astype(np.uint16) * 256 + 255).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 9, 7, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / "scan.png").write_bytes(content)
    return Made(folder / "scan.png", np.swapaxes(COLOUR, 0, 1), np.eye(4))


def _named_png(folder: Path) -> Made:
    Image.fromarray(LABELS).save(folder / "label.jpg")
    (folder / "label.jpg").rename(folder / "label.png")
    return Made(folder / "label.png")


_ALPHA = "an alpha channel, which is left out"
ODD = [
    Odd("picture-opaque", lambda f: _save(f, _with(COLOUR, 255), COLOUR), "note", "alpha-channel", _ALPHA),
    Odd("picture-half-clear", lambda f: _save(f, _with(COLOUR, GREY), COLOUR), "note", "alpha-channel", _ALPHA),
    Odd("picture-grey-alpha", lambda f: _save(f, _with(GREY, 255), GREY), "note", "alpha-channel", _ALPHA),
    Odd(
        "picture-grey-as-colour",
        lambda f: _save(f, np.stack([GREY] * 3, -1), GREY),
        "note",
        "equal-channels",
        "three equal channels, read as one",
    ),
    Odd(
        "picture-label-as-colour",
        lambda f: _save(f, np.stack([LABELS] * 3, -1), LABELS, name="label.png"),
        "note",
        "equal-channels",
        "three equal channels, read as one",
        role="label",
    ),
    Odd("picture-colours-of-16-bits", _deep_colours, "note", "colour-depth", "colours of 16 bits, read as 8"),
    Odd(
        "picture-jpeg-label",
        lambda f: _save(f, LABELS, None, name="label.jpg"),
        "refused",
        "label-lossy",
        "changes values",
        role="label",
    ),
    Odd("picture-jpeg-label-named-png", _named_png, "refused", "label-lossy", "changes values", role="label"),
    Odd(
        "picture-palette",
        lambda f: _with_palette(f, GREY, PALETTE),
        "note",
        "palette",
        "numbers of colours in a palette",
    ),
    Odd("picture-palette-of-greys", lambda f: _with_palette(f, GREY, np.repeat(np.arange(256), 3)), "right"),
    Odd(
        "picture-palette-label",
        lambda f: _with_palette(f, LABELS, PALETTE, name="label.png"),
        "right",
        role="label",
    ),
]
