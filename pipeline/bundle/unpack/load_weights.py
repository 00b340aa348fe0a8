"""Load someone else's weights as data only, in a process of its own where this one has not imported PyTorch.

That process may run out of memory, even inside PyTorch, which then ends it. The import goes on, and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...data.errors import InputError
from ...memory_errors import EXPECTED, REMEDY, address_space, describe_shortage, mentions_memory
from .memory import limit_memory
from .starts import is_zip

__all__ = ["Content", "answer", "load_weights"]

_FAR_MORE = "takes far more memory than the file has bytes"
_PROGRAM = (
    "import sys; sys.path.append({folder!r}); from pipeline.bundle.unpack.load_weights import answer; answer(sys.stdin)"
)
_READY = "ready"
_MANY = 1 << 28  # numbers
_KILLED = -9  # by a signal, as Python's subprocess says it


class _NoMemoryError(Exception):
    """Too little memory for a file that may be all right."""


NOT_FINITE = "weights that are not finite (NaN): of a training that diverged, or damaged"


class Content(NamedTuple):
    """The content of a file of weights.

    Attributes:
        what: in words.
        problem: why the bundle is refused because of it; "" if it is not.
        loaded: whether it was loaded.
    """

    what: str
    problem: str = ""
    loaded: bool = False


def load_weights(paths: Sequence[Path]) -> list[Content]:
    """Load files of weights with PyTorch's ``weights_only=True``, and return what each has.

    Raises:
        InputError: there is too little memory for PyTorch, or for the tensors.
    """
    if not paths:
        return []
    if "torch" in sys.modules:
        return list(_load_here(paths))
    return list(_load_apart(paths))


def _load_here(paths: Sequence[Path]) -> Iterator[Content]:
    for path in paths:
        try:
            yield _load(path)
        except _NoMemoryError as error:
            raise _shortage(path.name, str(error)) from error


def _load_apart(paths: Sequence[Path]) -> Iterator[Content]:
    program = _PROGRAM.format(folder=str(Path(__file__).resolve().parents[3]))
    asked = json.dumps([str(path.absolute()) for path in paths])
    # Python's -P: no module of the working directory, which may be a bundle's.
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], input=asked, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    if _READY not in lines:
        raise _shortage("PyTorch", done.stderr) if _ran_out(done) else _broken(done.stderr)
    answers = [json.loads(line) for line in lines[lines.index(_READY) + 1 :]]
    for answered, path in zip(answers, paths, strict=False):
        if isinstance(answered, str):
            raise _shortage(path.name, answered)
        yield Content(*answered)
    for path in paths[len(answers) :]:
        if _ran_out(done):
            raise _shortage(path.name, done.stderr)
        yield Content("not loaded", f"ended PyTorch's process (status {done.returncode})")


def _ran_out(done: subprocess.CompletedProcess[str]) -> bool:
    # Linux kills the process that takes the machine's last memory.
    return mentions_memory(done.stderr) or address_space() is not None or done.returncode == _KILLED


def _shortage(name: str, said: str) -> InputError:
    return InputError(f"loading {name}", found=describe_shortage(said), expected=EXPECTED, remedy=REMEDY)


def _broken(said: str) -> InputError:
    last = (said.strip().splitlines() or ["no message"])[-1]
    return InputError(
        "loading PyTorch",
        found=f"a process that ends ({last})",
        expected="PyTorch as it was installed",
        remedy="try python -c 'import torch', and make the environment again",
    )


def answer(requests: Any) -> None:
    """Write the content of the files that a JSON list names, one line each: in the process of its own."""
    import torch  # noqa: F401, PLC0415

    answers = sys.stdout
    answers.write(f"{_READY}\n")
    for path in json.load(requests):
        try:
            found: Any = _load(Path(path))
        except _NoMemoryError as error:
            found = str(error)
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _load(path: Path) -> Content:
    zipped = is_zip(path)
    if zipped and _is_compressed(path):
        problem = "compressed tensors, which torch.save does not write and which could fill the memory"
        return Content("weights", problem)
    import torch  # noqa: PLC0415

    own = False
    try:
        with limit_memory(path.stat().st_size) as own:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # someone else's file can make PyTorch raise anything
        if not (isinstance(error, MemoryError) or mentions_memory(str(error))):
            return Content("not only weights", _explain_refusal(path, error))
        if not own:
            # The limit was the user's, or the machine's: the file may be all right.
            raise _NoMemoryError(f"{type(error).__name__}: {error}") from error
        return Content("not only weights", _FAR_MORE)
    tensors = list(_iterate_tensors(content))
    if not tensors:
        return Content(f"a {type(content).__name__} without a tensor", loaded=True)
    kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    numbers = sum(tensor.numel() for tensor in tensors)
    what = f"{len(tensors):,} tensors, {numbers:,} numbers ({', '.join(kinds)}); nothing else"
    if any(map(_repeats_numbers, tensors)):
        return Content(what, _FAR_MORE, loaded=True)
    return Content(what, NOT_FINITE if any(map(_has_nan, tensors)) else "", loaded=True)


def _has_nan(tensor: Any) -> bool:
    """Return whether a value is NaN. Infinity may be meant, such as in a mask of attention.

    Only plain tensors are looked at: no network takes another one.
    """
    if not _is_plain(tensor) or not (tensor.is_floating_point() or tensor.is_complex()):
        return False
    # PyTorch compares few numbers of 8 bits.
    return bool((tensor if tensor.element_size() > 1 else tensor.float()).isnan().any())


def _is_plain(tensor: Any) -> bool:
    return str(tensor.layout) == "torch.strided" and not tensor.is_meta and not tensor.is_quantized


def _repeats_numbers(tensor: Any) -> bool:
    """Return whether a tensor says that it has far more numbers than there are, by strides of 0."""
    return (
        _is_plain(tensor)
        and tensor.numel() > _MANY
        and tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
    )


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
