"""Examine a bundle's weights. They are loaded as data only; programs among them are named and not loaded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...data.images.file_start import is_lfs_pointer
from .memory import limit_memory
from .onnx_paths import find_external_paths
from .starts import inner_names, is_zip, read_start, starts_pickle

__all__ = ["Weights", "examine_weights", "is_weights"]

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
NOT_FINITE = "weights that are not finite (NaN): of a training that diverged, or damaged"
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
    """
    return [_examine(folder, file) for file in files if is_weights(folder / file)]


def is_weights(path: Path) -> bool:
    """Return whether a file has weights, by its ending, otherwise by its content."""
    if path.suffix.lower() in _ENDINGS:
        return True
    return any(PurePosixPath(name).name == "data.pkl" for name in inner_names(path))


def _examine(folder: Path, file: str) -> Weights:
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
    return _examine_program(path, file, size) or _load(path, file, size, zipped=is_zip(path))


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


def _load(path: Path, file: str, size: int, *, zipped: bool) -> Weights:
    if zipped and _is_compressed(path):
        problem = "compressed tensors, which torch.save does not write and which could fill the memory"
        return Weights(file, size, "weights", problem=problem)
    import torch  # noqa: PLC0415

    try:
        with limit_memory(size):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        return Weights(file, size, "not only weights", problem="takes far more memory than the file has bytes")
    except Exception as error:  # someone else's file can make PyTorch raise anything
        return Weights(file, size, "not only weights", problem=_explain_refusal(path, error))
    tensors = list(_iterate_tensors(content))
    if not tensors:
        return Weights(file, size, f"a {type(content).__name__} without a tensor", loaded=True)
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    numbers = sum(tensor.numel() for tensor in tensors)
    what = f"{len(tensors):,} tensors, {numbers:,} numbers ({', '.join(kinds)}); nothing else"
    # Infinity may be meant, such as in a mask of attention.
    if any(tensor.is_floating_point() and bool(tensor.isnan().any()) for tensor in tensors):
        return Weights(file, size, what, problem=NOT_FINITE, loaded=True)
    return Weights(file, size, what, loaded=True)


def _is_compressed(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False  # PyTorch reports what is wrong


def _explain_refusal(path: Path, error: Exception) -> str:
    """Return the functions that a checkpoint calls, if PyTorch can list them without running it; else its error."""
    from torch.serialization import get_unsafe_globals_in_checkpoint  # noqa: PLC0415

    try:
        wanted = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:
        wanted = []
    if wanted:
        return f"a pickle that calls {', '.join(wanted)} when it is loaded"
    first = str(error).strip().splitlines()
    said = next((line.strip() for line in first if "GLOBAL" in line or "global" in line), first[0] if first else "")
    return f"not loaded with weights_only=True ({type(error).__name__}: {said[:300]})"


def _iterate_tensors(content: Any) -> Iterable[Any]:
    import torch  # noqa: PLC0415

    stack, seen = [content], set()
    while stack:
        one = stack.pop()
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, Mapping | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            stack += list(one.values()) if isinstance(one, Mapping) else list(one)


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
