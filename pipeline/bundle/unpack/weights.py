"""Examine a bundle's weights. They are loaded as data only; programs among them are named and not loaded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...data.images.file_start import is_lfs_pointer
from .load_weights import NOT_FINITE, load_weights
from .onnx_paths import find_external_paths
from .starts import inner_names, read_start, starts_pickle

__all__ = ["NOT_FINITE", "Weights", "examine_weights", "is_weights"]

_ENDINGS = (".pt", ".pth", ".ckpt", ".ts", ".pt2", ".onnx", ".safetensors", ".engine", ".plan")
_ENGINES = (b"ftrt", b"ptrt")
_START = 2**16
_MAX_HEADER = 100 * 2**20  # as safetensors itself allows
_PROGRAMS = {
    ".ts": "TorchScript",
    ".pt2": "an exported program (torch.export)",
    ".engine": "an engine of TensorRT",
    ".plan": "an engine of TensorRT",
}
# A problem of weights that could be loaded.
_RUNS = "a program: PyTorch runs it when it is loaded"


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        file: path relative to the bundle's folder.
        size: bytes.
        what: its content, in words.
        problem: why the bundle is refused because of it; "" if it is not.
        program: whether it is a program, which is not loaded.
        loaded: whether it was loaded, as data only.
    """

    file: str
    size: int
    what: str
    problem: str = ""
    program: bool = False
    loaded: bool = False


def examine_weights(folder: Path, files: Iterable[str]) -> list[Weights]:
    """Examine every file of weights; files without code are loaded, but not into a network.

    Args:
        folder: the bundle's folder.
        files: all its files, relative to that folder.

    Raises:
        InputError: there is too little memory to load them.
    """
    named = [file for file in files if is_weights(folder / file)]
    found = [_examine(folder, file) for file in named]
    unloaded = [file for file, one in zip(named, found, strict=True) if one is None]
    contents = dict(zip(unloaded, load_weights([folder / file for file in unloaded]), strict=True))
    return [
        one or Weights(file, (folder / file).stat().st_size, **contents[file]._asdict())
        for file, one in zip(named, found, strict=True)
    ]


def is_weights(path: Path) -> bool:
    """Return whether a file has weights, by its ending, otherwise by its content."""
    if path.suffix.lower() in _ENDINGS:
        return True
    return any(PurePosixPath(name).name == "data.pkl" for name in inner_names(path))


def _examine(folder: Path, file: str) -> Weights | None:
    """Return what a file is by its first bytes; None if it has to be loaded."""
    path, ending = folder / file, PurePosixPath(file).suffix.lower()
    size = path.stat().st_size
    if size == 0 or is_lfs_pointer(path):
        what = "an empty file" if size == 0 else "a Git LFS pointer instead of the weights"
        return Weights(file, size, what, problem=what)
    if ending == ".onnx":
        return _examine_onnx(folder, file, size)
    if ending == ".safetensors":
        problem = _find_safetensors_fault(path, size)
        return Weights(file, size, "tensors only (safetensors); not loaded", problem=problem)
    return _examine_program(path, file, size)


def _examine_program(path: Path, file: str, size: int) -> Weights | None:
    """Return the kind of program that a file is or is named as; None if neither."""
    ending = path.suffix.lower()
    if ending in (".engine", ".plan") and read_start(path, 4) in _ENGINES:
        return Weights(file, size, "a program of TensorRT; not loaded", program=True)
    if kind := _program_kind(inner_names(path)):
        return Weights(file, size, f"{_RUNS} ({kind}); not loaded", program=True)
    if ending in _PROGRAMS:
        return Weights(file, size, "not a program", problem=f"not {_PROGRAMS[ending]}, in spite of its name")
    return None


def _program_kind(inner: Sequence[str]) -> str:
    """Return the kind of PyTorch's program by its content, not its name; "" if it is none."""
    # As PyTorch does, in the folder of the first file: a mark elsewhere must not keep a pickle from being examined.
    root = inner[0].partition("/")[0] if inner else ""
    top = {name.removeprefix(f"{root}/") for name in inner if name.startswith(f"{root}/")}
    if "constants.pkl" in top:
        return "TorchScript"
    exported = "archive_format" in top or {"version", "serialized_exported_program.json"} <= set(inner)
    return "torch.export" if exported and "data.pkl" not in top else ""


def _find_safetensors_fault(path: Path, size: int) -> str:
    """Return what is wrong with the header's length or its list of tensors; "" if nothing is."""
    length = int.from_bytes(read_start(path, 8), "little")
    if size < 10 or length > min(size - 8, _MAX_HEADER):
        return "not safetensors: its header is longer than the file"
    try:
        header = json.loads(read_start(path, 8 + length)[8:])
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        whole = max(ends, default=0) == size - 8 - length
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return "not safetensors: its header is not valid"
    return "" if whole else "not safetensors: its tensors do not end where the file does"


def _examine_onnx(folder: Path, file: str, size: int) -> Weights:
    """Examine an ONNX model; refuse tensors outside the bundle, which would read another file of the machine."""
    if starts_pickle(read_start(folder / file, _START)):
        return Weights(file, size, "not ONNX", problem="a pickle with the name of an ONNX model")
    try:
        places = find_external_paths(folder / file)
    except ValueError as error:
        return Weights(file, size, "not ONNX", problem=f"not ONNX ({error})")
    outside = sorted(place for place in places if _is_outside(place))
    if outside:
        problem = f"its tensors are in {', '.join(outside)}, outside the bundle"
        return Weights(file, size, "a network as ONNX", problem=problem)
    external = f"; tensors in {', '.join(sorted(places))}" if places else ""
    return Weights(file, size, f"a network as ONNX{external}; not loaded")


def _is_outside(place: str) -> bool:
    pure = PurePosixPath(place.replace("\\", "/"))
    return pure.is_absolute() or ":" in place or ".." in pure.parts
