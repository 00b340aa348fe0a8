r"""The format of a prepared case on disk: JSON for the structure, raw numbers for the arrays, one checksum. No pickle.

Whatever a file has, reading it calls nothing but the few types below. A file is::

    LIGHTSKIP CASE 1\n           17 bytes
    length of the JSON          8 bytes, little-endian
    CRC-32 of all that follows  4 bytes, little-endian
    JSON, padded with spaces    {"arrays": [[type, shape, place], …], "content": …}
    the arrays                  each at a multiple of 64 bytes after the JSON

In the JSON's ``content`` null, booleans, numbers and texts are themselves. Anything else is a list whose first entry
names its type: ``["tuple", 1, 2]``, ``["dict", [key, value], …]``, ``["array", 0]``, ``["tensor", 1]``.
"""

from __future__ import annotations

import base64
import enum
import json
import math
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import enums

__all__ = ["read_case_file", "write_case_file"]

_MAGIC = b"LIGHTSKIP CASE 1\n"
_ALIGNMENT = 64
_KINDS = "biufc"  # booleans, integers, floating point and complex numbers: no objects, which would be pickles
_BFLOAT16 = "bfloat16"  # not a type of NumPy's
_PLAIN = (type(None), bool, int, float, str)
_ENUMS = {name: kind for name, kind in vars(enums).items() if isinstance(kind, type) and issubclass(kind, enum.Enum)}
_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "set": set, "size": torch.Size}
_MAPPINGS: dict[str, Callable[[Any], Any]] = {"dict": dict, "ordered": OrderedDict}
_SEQUENCE_NAMES: dict[Any, str] = {list: "list", tuple: "tuple", set: "set", torch.Size: "size"}
_MAPPING_NAMES: dict[Any, str] = {dict: "dict", OrderedDict: "ordered"}


def write_case_file(content: Any, path: Path) -> None:
    """Write a value.

    Args:
        content: None, booleans, numbers, texts, bytes, MONAI's enums, NumPy's arrays and numbers, tensors and
            MetaTensors, in lists, tuples, sets and mappings.
        path: the file.

    Raises:
        TypeError: the value has something else.
        OSError: the file cannot be written.
    """
    writer = _Writer()
    encoded = writer.encode(content)
    described: list[list[Any]] = []
    buffers: list[Any] = []
    end = 0
    for array, kind in writer.arrays:
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        described.append([kind, list(array.shape), start])
        buffers += [bytes(start - end), np.ascontiguousarray(array).reshape(-1).view(np.uint8).data]
        end = start + array.nbytes
    head = json.dumps({"arrays": described, "content": encoded}).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    checksum = 0
    for part in (head, *buffers):
        checksum = zlib.crc32(part, checksum)
    with path.open("wb") as file:
        file.write(_MAGIC + len(head).to_bytes(8, "little") + checksum.to_bytes(4, "little"))
        file.write(head)
        for part in buffers:
            file.write(part)


def read_case_file(path: Path) -> Any:
    """Return the value in a file; arrays and tensors share one block of memory.

    Raises:
        ValueError: the file is damaged or another program's. A file that was made to deceive can raise other errors.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("not a prepared case")
        length, checksum = (int.from_bytes(file.read(size), "little") for size in (8, 4))
        block = np.empty(path.stat().st_size - file.tell(), dtype=np.uint8)
        read = file.readinto(block.data)
    if read != block.size or length > block.size or zlib.crc32(block.data) != checksum:
        raise ValueError("wrong checksum")
    head = json.loads(block[:length].tobytes())
    arrays = [_take(block[length:], *described) for described in head["arrays"]]
    return _decode(head["content"], arrays)


class _Writer:
    """Turn a value into JSON types, and collect its arrays. An array that is there twice is written once.

    Attributes:
        arrays: contiguous or not, each with the name of its type.
    """

    def __init__(self) -> None:
        self.arrays: list[tuple[np.ndarray, str]] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no other object gets the same id

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in _SEQUENCE_NAMES:
            return [_SEQUENCE_NAMES[kind], *map(self.encode, value)]
        if kind in _MAPPING_NAMES:
            return [_MAPPING_NAMES[kind], *([self.encode(key), self.encode(entry)] for key, entry in value.items())]
        if isinstance(value, torch.Tensor | np.ndarray | np.generic):
            return self._encode_array(value)
        if kind is bytes:
            return ["bytes", base64.b64encode(value).decode()]
        if _ENUMS.get(kind.__name__) is kind:
            return ["enum", kind.__name__, self.encode(value.value)]
        raise _refusal(value)

    def _encode_array(self, value: Any) -> list[Any]:
        kind = type(value)
        if kind is MetaTensor:
            return ["meta_tensor", self._add(value, value.as_tensor()), self.encode(vars(value))]
        if isinstance(value, np.generic):
            return ["number", self._add(value, np.asarray(value))]
        if kind not in (torch.Tensor, np.ndarray):
            raise _refusal(value)
        return ["tensor" if kind is torch.Tensor else "array", self._add(value, value)]

    def _add(self, value: Any, numbers: Any) -> int:
        if id(value) not in self._places:
            self._kept.append(value)
            self._places[id(value)] = len(self.arrays)
            self.arrays.append(_to_array(numbers))
        return self._places[id(value)]


def _refusal(value: Any) -> TypeError:
    return TypeError(f"a {type(value).__module__}.{type(value).__qualname__}, which no prepared case can have")


def _to_array(numbers: np.ndarray | torch.Tensor) -> tuple[np.ndarray, str]:
    """Return an array, and the name of its type."""
    if isinstance(numbers, torch.Tensor):
        if numbers.requires_grad or numbers.layout is not torch.strided or numbers.is_quantized:
            raise TypeError("a tensor with gradients, sparse or quantized")
        numbers = numbers.cpu()
        if numbers.dtype is torch.bfloat16:
            return numbers.view(torch.int16).numpy(), _BFLOAT16
        numbers = numbers.numpy()
    if numbers.dtype.kind not in _KINDS:
        raise TypeError(f"an array of {numbers.dtype}")
    return numbers, numbers.dtype.str


def _take(block: np.ndarray, kind: str, shape: list[int], start: int) -> np.ndarray | torch.Tensor:
    """Return an array in the block of all arrays."""
    dtype = np.dtype(np.int16 if kind == _BFLOAT16 else kind)
    if dtype.kind not in _KINDS or min(shape, default=0) < 0 or start < 0:
        raise ValueError(f"an array of {kind!r:.20}, {shape!r:.40}")
    end = start + math.prod(shape) * dtype.itemsize
    # The block begins anywhere in memory, and PyTorch needs each number at a multiple of its size.
    part = block[start:end]
    aligned = part if part.ctypes.data % dtype.itemsize == 0 else part.copy()
    array = aligned.view(dtype).reshape(shape)
    return torch.from_numpy(array).view(torch.bfloat16) if kind == _BFLOAT16 else array


def _decode(value: Any, arrays: list[Any]) -> Any:
    if type(value) in _PLAIN:
        return value
    kind, *entries = value
    if kind in _SEQUENCES:
        return _SEQUENCES[kind]([_decode(entry, arrays) for entry in entries])
    if kind in _MAPPINGS:
        return _MAPPINGS[kind]((_decode(key, arrays), _decode(entry, arrays)) for key, entry in entries)
    if kind == "bytes":
        return base64.b64decode(entries[0])
    if kind == "enum":
        return _ENUMS[entries[0]](_decode(entries[1], arrays))
    return _decode_array(kind, arrays[entries[0]], *entries[1:], arrays=arrays)


def _decode_array(kind: str, array: Any, state: Any = None, *, arrays: list[Any]) -> Any:
    match kind:
        case "meta_tensor":
            tensor = MetaTensor(torch.as_tensor(array))
            vars(tensor).update(_decode(state, arrays))
            return tensor
        case "tensor":
            return torch.as_tensor(array)
        case "array":
            return array
        case "number":
            return array[()]
    raise ValueError(f"{kind!r:.20}, which is no type of a prepared case")
