"""Describe a transform by its class and settings: equal texts give equal results, in every process and on every day."""

from __future__ import annotations

import copyreg
import functools
import hashlib
import platform
import sys
import types
from collections.abc import Iterator
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from monai.data import ImageReader, MetaTensor, get_track_meta

from ..version import __version__

__all__ = ["IndescribableError", "describe", "describe_environment", "digest"]

# Libraries that read scans and resample them without being named by any transform.
_LIBRARIES = ("monai", "torch", "numpy", "nibabel", "itk", "SimpleITK", "pydicom", "scipy", "scikit-image")
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
_NAMED = (np.dtype, torch.dtype, torch.device, torch.layout, torch.memory_format, PurePath, range)
_RANDOM = (np.random.RandomState, np.random.Generator, torch.Generator)
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    np.ufunc,
    type(np.round),
)
_CACHED = type(functools.cache(len))
_NO_SETTING = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"}
_READ_LAST = {"filenames", "has_series"}  # what a reader remembers of the scan that it read last
_CONFIG_REFERENCES = "__local_refs"  # where MONAI's bundle parser puts what an expression's @names stand for


class IndescribableError(TypeError):
    """There is something in a transform (an open file, a lock, a compiled object) whose state cannot be seen."""


def describe(value: Any) -> str:
    """Describe a transform, or any setting of one, by its structure.

    An object counts by its class and its attributes, a tensor or array by its content, a function or class of a
    library by its name and the library's version, any other function or class by its bytecode too, with the values of
    the enclosing scopes and globals that it uses. The state of random number generators does not count. A file counts
    by its name alone: what a transform reads by itself later is not seen.

    Args:
        value: a transform, a sequence of transforms, numbers, text, arrays, functions, ...

    Returns:
        A text that does not depend on the process, memory addresses or PYTHONHASHSEED.

    Raises:
        IndescribableError: when some part has no state that can be seen.
    """
    try:
        return _Describer().text(value)
    except Exception as error:
        # Objects say in many ways that they cannot be pickled, and a nesting can be too deep.
        raise IndescribableError(f"{type(value).__name__}: {type(error).__name__}: {error}") from error


def describe_environment() -> str:
    """Name what else the result of a transform depends on: versions, and whether MONAI tracks metadata."""
    versions = [f"python {platform.python_version()}", f"lightskip {__version__}"]
    for library in _LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join([*versions, f"track_meta {get_track_meta()}"])


def digest(text: str) -> str:
    """Shorten a text to 32 hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


class _Describer:
    """One walk through an object; it knows what it has met, so that a cycle ends."""

    def __init__(self) -> None:
        self._inside: list[int] = []
        self._code_met: dict[int, tuple[int, object]] = {}

    def text(self, value: Any) -> str:  # noqa: PLR0911, PLR0912  one return per kind of value
        kind = type(value)
        if kind in _PLAIN:
            return repr(value)
        if isinstance(value, Enum):
            return f"{_name(kind)}({self.text(value.value)})"
        if isinstance(value, _RANDOM):
            return "random state"
        if isinstance(value, _NAMED):
            return f"{_name(kind)} {value}"
        if isinstance(value, np.ndarray | np.generic | torch.Tensor):
            return self._array(value)
        if isinstance(value, ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, MethodType):
            return f"method {self.text(value.__func__)} of {self.text(value.__self__)}"
        if isinstance(value, FunctionType | type):
            return self._code_or_name(value)
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, _BUILT_IN):
            return self._built_in(value)
        if isinstance(value, set | frozenset):
            return f"{_name(kind)}{{{', '.join(sorted(map(self.text, value)))}}}"
        if id(value) in self._inside:
            return f"the object {len(self._inside) - self._inside.index(id(value))} levels up"
        self._inside.append(id(value))
        try:
            return self._compound(value)
        finally:
            self._inside.pop()

    def _compound(self, value: Any) -> str:  # noqa: PLR0911
        kind = type(value)
        if kind in (list, tuple):
            return f"{kind.__name__}({', '.join(map(self.text, value))})"
        if kind is dict:
            # In the order it has: a mapping may be applied one entry after the other.
            return f"{{{', '.join(f'{self.text(key)}: {self.text(entry)}' for key, entry in value.items())}}}"
        if isinstance(value, staticmethod | classmethod):
            return f"{kind.__name__} {self.text(value.__func__)}"
        if isinstance(value, property):
            return f"property {self.text([value.fget, value.fset, value.fdel])}"
        if isinstance(value, functools.cached_property):
            return f"property {self.text(value.func)}"
        if isinstance(value, _CACHED):
            return f"{_name(kind)} of {self.text(value.__wrapped__)}"
        return self._object(value)

    def _object(self, value: Any) -> str:
        """What pickle would rebuild it from; the classes and functions among it need not be importable."""
        reduce = copyreg.dispatch_table.get(type(value))
        reduced: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
        if isinstance(reduced, str):
            return f"{_name(type(value))} {reduced}"
        maker, arguments, state, entries, pairs = (*reduced, None, None, None)[:5]
        if isinstance(value, ImageReader) and isinstance(state, dict):
            state = {key: setting for key, setting in state.items() if key not in _READ_LAST}
        # What most objects have: an empty instance of the class, and its attributes.
        parts = [state] if reduced[:2] == (copyreg.__newobj__, (type(value),)) else [maker, arguments, state]  # type: ignore[attr-defined]
        parts += [list(more) for more in (entries, pairs) if more is not None]
        return f"{self.text(type(value))}({', '.join(map(self.text, parts))})"

    def _array(self, value: Any) -> str:
        kind = _name(type(value))
        if isinstance(value, torch.Tensor):
            plain = value.detach().as_subclass(torch.Tensor).cpu().contiguous()
            content = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
            told = [str(value.dtype), str(value.device), self.text(tuple(value.shape))]
            if isinstance(value, MetaTensor):
                told += [self.text(value.meta), self.text(value.applied_operations)]
        elif value.dtype.hasobject:
            return f"{kind}({self.text(value.tolist())}, {value.shape})"
        else:
            content, told = np.ascontiguousarray(value).tobytes(), [str(value.dtype), str(value.shape)]
        return f"{kind}({', '.join([*told, hashlib.sha256(content).hexdigest()])})"

    def _built_in(self, value: Any) -> str:
        owner = getattr(value, "__self__", None)
        of = "" if owner is None or isinstance(owner, ModuleType) else f" of {self.text(owner)}"
        return f"{_name(value)}{of}"

    def _code_or_name(self, value: Any) -> str:
        if _has_version(value) and "<" not in value.__qualname__:
            return _name(value)
        if id(value) in self._code_met:
            return f"{value.__qualname__} (number {self._code_met[id(value)][0]})"
        # Kept with the number: the id of an object that is gone would be given to another.
        self._code_met[id(value)] = (len(self._code_met), value)
        # Without its module, which is another for a script and for the processes that it starts.
        content = self._class(value) if isinstance(value, type) else self._function(value)
        return f"{value.__qualname__}({content})"

    def _class(self, value: type) -> str:
        members = {key: member for key, member in vars(value).items() if key not in _NO_SETTING}
        return f"{self.text(value.__bases__)}, {self.text(members)}"

    def _function(self, value: FunctionType) -> str:
        cells = [_content(cell) for cell in value.__closure__ or ()]
        used = dict(_used_globals(value))
        return ", ".join(map(self.text, (value.__code__, value.__defaults__, value.__kwdefaults__, cells, used)))

    def _code(self, code: CodeType) -> str:
        named = (code.co_names, code.co_freevars, code.co_cellvars, code.co_argcount, code.co_kwonlyargcount)
        parts = [code.co_code.hex(), *map(self.text, (*named, code.co_flags, code.co_consts))]
        return f"code({', '.join(parts)})"


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None  # a variable of the enclosing scope that has no value


def _used_globals(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that a function may use, with their values; of modules without a version, what it takes from them."""
    names, constants = _names_in(function.__code__)
    for name in names:
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        if name == _CONFIG_REFERENCES and isinstance(value, dict):
            # It holds all that the config has built so far; the function takes its own by their names.
            value = {key: entry for key, entry in value.items() if key in constants}
        yield name, value
        if isinstance(value, ModuleType) and not _has_version(value):
            yield from ((f"{name}.{part}", getattr(value, part)) for part in names if hasattr(value, part))


def _names_in(code: CodeType) -> tuple[list[str], set[str]]:
    names, constants = list(code.co_names), {constant for constant in code.co_consts if isinstance(constant, str)}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            more_names, more_constants = _names_in(constant)
            names += more_names
            constants |= more_constants
    return list(dict.fromkeys(names)), constants


def _root(value: Any) -> str:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return str(module or "builtins").partition(".")[0]


def _has_version(value: Any) -> bool:
    """Whether a version stands for this code: that of Python or of an installed library, not of code in the making."""
    root = _root(value)
    if root in sys.stdlib_module_names or root in _LIBRARIES:
        return True
    module = sys.modules.get(root)
    installed = {"site-packages", "dist-packages"}.intersection(Path(getattr(module, "__file__", None) or "").parts)
    return bool(installed) and hasattr(module, "__version__")


def _name(value: Any) -> str:
    qualified = f"{getattr(value, '__module__', None) or 'builtins'}.{getattr(value, '__qualname__', value.__name__)}"
    version = getattr(sys.modules.get(_root(value)), "__version__", None)
    return qualified if version is None else f"{qualified} {version}"
