"""Find the files that an ONNX model reads tensors from, without the package onnx.

A model is a message of Protocol Buffers. The field numbers are those of onnx.proto (ONNX 1.17, IR version 10).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_external_paths"]

_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_WIDTHS = {1: 8, 5: 4}
_BYTES = 2


def find_external_paths(file: Path) -> set[str]:
    """Return the ``location`` paths of a model's tensors in other files, unchanged.

    Raises:
        ValueError: the file is not a message of Protocol Buffers.
    """
    paths: set[str] = set()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        messages = [("model", 0, len(data))]
        while messages:
            kind, start, end = messages.pop()
            for number, first, last in _read_fields(data, start, end):
                child = _CHILDREN[kind].get(number)
                if child == "entry":
                    entry = {key: data[a:b].decode(errors="replace") for key, a, b in _read_fields(data, first, last)}
                    paths |= {entry.get(2, "")} if entry.get(1) == "location" else set()
                elif child is not None:
                    messages.append((child, first, last))
    return paths


def _read_fields(data: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, first byte and last byte + 1 of each field of a message that has a length."""
    while place < end:
        tag, place = _read_number(data, place, end)
        kind = tag & 7
        if kind == _BYTES:
            length, place = _read_number(data, place, end)
            if place + length > end:
                raise ValueError("it is cut off")
            yield tag >> 3, place, place + length
            place += length
        elif kind == 0:
            _, place = _read_number(data, place, end)
        elif kind in _WIDTHS:
            place += _WIDTHS[kind]
        else:
            raise ValueError("not a message of Protocol Buffers")


def _read_number(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise ValueError("it is cut off")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise ValueError("not a message of Protocol Buffers")
