"""Registries: the names that configs use, and the classes that they stand for."""

import inspect
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from monai.networks.layers.factories import LayerFactory

__all__ = ["NetworkRegistry", "Registry", "normalise_spec"]

_Class = TypeVar("_Class", bound=type)


class Registry(LayerFactory):
    """MONAI's layer registry with a decorator for classes: a new part is one class and one line.

    Args:
        name: of the registry, for its documentation.
        description: likewise.
        noun: what one entry is, for error messages.
    """

    def __init__(self, name: str, description: str, *, noun: str) -> None:
        super().__init__(name, description)
        self.noun = noun

    def register(self, name: str) -> Callable[[_Class], _Class]:
        """Return a decorator that makes a class available under ``name`` (case is ignored) in code and in configs.

        The same class again, as when a notebook's cell is run twice, replaces its former self.

        Raises:
            ValueError: the name is taken by another class.
        """

        def add(cls: _Class) -> _Class:
            if name.upper() in self.names and not _is_same_class(cls, self[name]):
                msg = f"the {self.noun} name '{name}' is taken by {self[name].__name__}; choose another"
                raise ValueError(msg)
            self.add_factory_class(name, cls, desc=(cls.__doc__ or "").partition("\n")[0])
            return cls

        return add


class NetworkRegistry(Registry):
    """Registry of networks. A network that it builds knows its spec: the attribute ``spec``."""

    def register(self, name: str) -> Callable[[_Class], _Class]:
        """Return a decorator that registers a network under ``name``, and makes its instances record their arguments.

        Raises:
            ValueError: the name is taken by another class.
        """
        add = super().register(name)

        def add_recording(cls: _Class) -> _Class:
            _record_arguments(cls, name)
            return add(cls)

        return add_recording


def normalise_spec(spec: Any) -> Any:
    """Return the spec as JSON has it, tuples as lists, so that it equals itself after it was saved.

    Raises:
        TypeError: a value is neither a number, text, None, nor a list or mapping of these.
    """
    return json.loads(json.dumps(spec))


def _record_arguments(cls: Any, name: str) -> None:
    """Wrap the constructor: it sets ``spec`` to the name and all arguments, or leaves it where JSON cannot hold one."""
    construct = cls.__init__
    signature = inspect.signature(construct)

    @wraps(construct)
    def construct_and_record(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        # A subclass that is not registered itself is another network.
        if type(self) is not cls:
            return
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        _, *arguments = bound.arguments.items()
        try:
            self.spec = {"name": name, **normalise_spec(dict(arguments))}
        except TypeError:
            return

    cls.__init__ = construct_and_record


def _is_same_class(cls: type, other: type) -> bool:
    return (cls.__module__, cls.__qualname__) == (other.__module__, other.__qualname__)
