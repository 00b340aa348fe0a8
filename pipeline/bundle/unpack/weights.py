"""A bundle's weights, loaded as weights and nothing else; programs among them are named, and not loaded."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...data.file_start import is_lfs_pointer
from .onnx_paths import external_paths

__all__ = ["Weights", "weights_of"]

_ENDINGS = (".pt", ".pth", ".ckpt", ".ts", ".pt2", ".onnx", ".safetensors", ".engine", ".plan")
_RUNS = "a program: PyTorch runs it when it is loaded"


@dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
        file: from the bundle's folder.
        size: bytes.
        what: what is in it, in words.
        problem: why the bundle cannot be taken for it; "" when it can.
        program: whether it is a program, which was not loaded.
    """

    file: str
    size: int
    what: str
    problem: str = ""
    program: bool = False


def weights_of(folder: Path, files: Iterable[str]) -> list[Weights]:
    """Look at every file of weights: those that hold nothing else are loaded, into no network.

    Args:
        folder: the bundle's folder.
        files: all its files, from that folder.
    """
    return [_look(folder, file) for file in files if _is_weights(folder / file)]


def _is_weights(path: Path) -> bool:
    """Tell by its ending, and where that says nothing by what is in it."""
    if path.suffix.lower() in _ENDINGS:
        return True
    return any(PurePosixPath(name).name == "data.pkl" for name in _inner_names(path))


def _look(folder: Path, file: str) -> Weights:
    path, ending = folder / file, PurePosixPath(file).suffix.lower()
    size = path.stat().st_size
    if size == 0 or is_lfs_pointer(path):
        what = "an empty file" if size == 0 else "a Git LFS pointer instead of the weights"
        return Weights(file, size, what, problem=what)
    if ending == ".onnx":
        return _onnx(folder, file, size)
    if ending == ".safetensors":
        return Weights(file, size, "tensors alone (safetensors); not loaded")
    inner = _inner_names(path)
    program = _program(ending, inner)
    return Weights(file, size, program, program=True) if program else _load(path, file, size, zipped=bool(inner))


def _program(ending: str, inner: Sequence[str]) -> str:
    """Say what kind of program a file is, by what is in it rather than by what it is called; "" where it is none."""
    # As PyTorch tells them apart itself: another mark must not keep a pickle from being looked at.
    top = {PurePosixPath(name).name for name in inner if len(PurePosixPath(name).parts) == 2}
    if "constants.pkl" in top:
        return f"{_RUNS} (TorchScript); not loaded"
    if ending == ".pt2" or ("archive_format" in top and "data.pkl" not in top):
        return f"{_RUNS} (torch.export); not loaded"
    if ending in (".engine", ".plan"):
        return "a program of TensorRT; not loaded"
    return f"{_RUNS} (called TorchScript, but not written as such); not loaded" if ending == ".ts" else ""


def _inner_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _load(path: Path, file: str, size: int, *, zipped: bool) -> Weights:
    if zipped and _packed(path):
        problem = "compressed tensors, which torch.save does not write: they could fill the memory"
        return Weights(file, size, "weights", problem=problem)
    import torch  # noqa: PLC0415

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a file of a stranger can make PyTorch raise anything
        return Weights(file, size, "not weights alone", problem=_reason(path, error))
    tensors = list(_tensors(content))
    if not tensors:
        return Weights(file, size, f"a {type(content).__name__} without a tensor")
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    numbers = sum(tensor.numel() for tensor in tensors)
    return Weights(file, size, f"{len(tensors):,} tensors, {numbers:,} numbers ({', '.join(kinds)}); nothing else")


def _packed(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())


def _reason(path: Path, error: Exception) -> str:
    """Name all that a checkpoint wants to call, where PyTorch can tell without running it; else what it says."""
    from torch.serialization import get_unsafe_globals_in_checkpoint  # noqa: PLC0415

    try:
        wanted = sorted(get_unsafe_globals_in_checkpoint(path))
    except Exception:
        wanted = []
    if wanted:
        return f"a pickle that wants to call {', '.join(wanted)} when it is loaded"
    first = str(error).strip().splitlines()
    said = next((line.strip() for line in first if "GLOBAL" in line or "global" in line), first[0] if first else "")
    return f"not loaded with weights_only=True ({type(error).__name__}: {said[:300]})"


def _tensors(content: Any) -> Iterable[Any]:
    import torch  # noqa: PLC0415

    stack, seen = [content], set()
    while stack:
        one = stack.pop()
        if isinstance(one, torch.Tensor):
            yield one
        elif isinstance(one, Mapping | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            stack += list(one.values()) if isinstance(one, Mapping) else list(one)


def _onnx(folder: Path, file: str, size: int) -> Weights:
    """Say where an ONNX model keeps its tensors: a path out of the bundle would read another file of the machine."""
    try:
        places = external_paths(folder / file)
    except ValueError as error:
        return Weights(file, size, "not ONNX", problem=f"not ONNX ({error})")
    outside = sorted(place for place in places if _leaves(place))
    if outside:
        problem = f"its tensors are said to be in {', '.join(outside)}, outside of the bundle"
        return Weights(file, size, "a network as ONNX", problem=problem)
    beside = f"; tensors in {', '.join(sorted(places))}" if places else ""
    return Weights(file, size, f"a network as ONNX{beside}; not loaded")


def _leaves(place: str) -> bool:
    pure = PurePosixPath(place.replace("\\", "/"))
    return pure.is_absolute() or ":" in place or ".." in pure.parts
