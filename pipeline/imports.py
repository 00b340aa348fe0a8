"""Import PyTorch and MONAI faster. Imports nothing else of LightSkip, so that every room can use it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast

__all__ = ["deferred_imports", "quick_imports"]

# Their compiled parts refer to each other: as soon as another part is imported, none is deferred any more.
_COMPILED = ("scipy", "skimage")
# MONAI, Ignite and nibabel import these at once, for parts that few runs use. Together they take as long as PyTorch.
_DEFERRED = frozenset(
    {
        "itk",
        "matplotlib",
        "matplotlib.pyplot",
        "pandas",
        "pydicom",
        "scipy.ndimage",
        "scipy.optimize",
        "scipy.signal",
        "scipy.sparse",
        "scipy.sparse.csgraph",
        "scipy.sparse.linalg",
        "scipy.spatial",
        "skimage.exposure",
        "skimage.measure",
        "skimage.morphology",
        "skimage.segmentation",
        "sklearn",
        "sklearn.metrics",
        "sklearn.metrics.pairwise",
        "tifffile",
        "torch.distributed.optim",
        "torch.utils.tensorboard",
        "zarr",
    }
)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and exclude the imported objects from later collections.

    Imports make hundreds of thousands of objects that stay. Searching them for garbage takes a quarter of the time.
    """
    if not gc.isenabled():
        # Another thread is importing, or the user has switched collection off.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def deferred_imports() -> Iterator[None]:
    """Import packages that few runs need when they are first used.

    Within the block, importing one returns a stand-in. Its functions and classes import the package when they are
    called, subclassed or compared with. After the block the package imports as usual.
    """
    finder = _DeferringFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _forget_stand_ins()


class _DeferringFinder:
    """Find stand-ins for the deferred packages that are installed.

    Its base class would be importlib.abc.MetaPathFinder, whose module takes longer to import than this one.
    """

    def __init__(self) -> None:
        self._needed: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        package, _, part = fullname.rpartition(".")
        if package in _COMPILED and fullname not in _DEFERRED and not part.startswith("_") and part != "version":
            self._needed.add(package)
            _forget_stand_ins(package)
        # A real part of a stand-in would find nothing in it.
        is_deferred = fullname in _DEFERRED or _is_stand_in(package)
        if not is_deferred or fullname.partition(".")[0] in self._needed:
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            return None
        spec = ModuleSpec(fullname, cast(Any, _StandInLoader()), origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        spec.has_location = True
        return spec


class _StandInLoader:
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Execute nothing: the package is executed when it is used."""


class _StandIn(ModuleType):
    """A package that is not imported yet."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":
            return getattr(_import_package(self.__name__), name)
        if name.startswith("__"):
            # Python's import asks for its own attributes.
            raise AttributeError(name)
        return _Deferred(self.__name__, name)


class _Deferred:
    """A function, class or constant of a package that is not imported yet. It imports the package when it is used."""

    def __init__(self, package: str, name: str) -> None:
        self._place = package, name

    def _resolve(self) -> Any:
        package, name = self._place
        module = _import_package(package)
        try:
            return getattr(module, name)
        except AttributeError:
            return import_module(f"{package}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._resolve()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            # Copying and pickling ask for these.
            raise AttributeError(name)
        return getattr(self._resolve(), name)

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._resolve(),)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._resolve())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._resolve())


def _import_package(name: str) -> ModuleType:
    """Import a deferred package now, and the packages that it is in, even within the block."""
    parts = name.split(".")
    for whole in (".".join(parts[: number + 1]) for number in range(len(parts))):
        if _is_stand_in(whole):
            _forget(whole)
    finders = [finder for finder in sys.meta_path if isinstance(finder, _DeferringFinder)]
    for finder in finders:
        sys.meta_path.remove(finder)
    try:
        return import_module(name)
    finally:
        sys.meta_path[:0] = finders


def _is_stand_in(name: str) -> bool:
    return isinstance(sys.modules.get(name), _StandIn)


def _forget_stand_ins(package: str = "") -> None:
    """Remove all stand-ins, or those of one package."""
    # Of thousands of modules, so without a call for each.
    for name in [name for name, module in [*sys.modules.items()] if isinstance(module, _StandIn)]:
        if not package or name.startswith(package + "."):
            _forget(name)


def _forget(name: str) -> None:
    """Remove a stand-in, so that the next import of the package is a real one."""
    stand_in = sys.modules.pop(name)
    parent, _, child = name.rpartition(".")
    if parent and vars(sys.modules.get(parent, stand_in)).get(child) is stand_in:
        delattr(sys.modules[parent], child)
