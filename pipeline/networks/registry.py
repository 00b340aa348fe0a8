"""Registries that map the names in configs to classes."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

from monai.networks.layers.factories import LayerFactory

__all__ = ["NetworkRegistry", "Registry", "normalise_spec"]

_Class = TypeVar("_Class", bound=type)


class Registry(LayerFactory):
    """MONAI's layer registry with a decorator for classes: a new part is one class and one line.

    Args:
        name: name of the registry, for its documentation.
        description: description of the registry, for its documentation.
        noun: the kind of its entries, for error messages.
    """

    def __init__(self, name: str, description: str, *, noun: str) -> None:
        super().__init__(name, description)
        self.noun = noun

    def register(self, name: str) -> Callable[[_Class], _Class]:
        """Return a decorator that makes a class available under ``name`` (case is ignored) in code and in configs.

        Registering the same class again, for example by running a notebook cell twice, replaces it.

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

    def get_constructor(self, factory_name: str, *args: Any) -> Any:
        """Return an entry by its name; see MONAI's ``LayerFactory``.

        Raises:
            ValueError: the name is not registered. The message has all names, and the nearest.
        """
        known = sorted(name.lower() for name in self.names)
        if isinstance(factory_name, str) and factory_name.lower() not in known:
            msg = f"found the {self.noun} '{factory_name}'; expected one of {', '.join(known)}"
            raise ValueError(msg + _nearest(factory_name.lower(), known))
        return super().get_constructor(factory_name, *args)

    def build(self, name: str, options: Mapping[str, Any], *arguments: Any) -> Any:
        """Construct an entry.

        Args:
            name: registered name; case is ignored.
            options: its keywords.
            arguments: positional arguments, which every entry takes.

        Raises:
            ValueError: the name is not registered, or the entry does not take an option. The message has the nearest
                names.
        """
        cls = self[name]
        parameters = inspect.signature(cls).parameters.values()
        known = [each.name for each in parameters][len(arguments) :]
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
        for option in options:
            if option not in known and not takes_any:
                takes = f"expected one of {', '.join(known)}" if known else "it takes none"
                msg = f"the {self.noun} '{name.lower()}' does not take the option '{option}'; {takes}"
                raise ValueError(msg + _nearest(str(option), known))
        return cls(*arguments, **options)


class NetworkRegistry(Registry):
    """Registry of networks. Instances of its networks have their spec in the attribute ``spec``."""

    def register(self, name: str) -> Callable[[_Class], _Class]:
        """Return a decorator that registers a network under ``name`` and makes its instances record their arguments.

        Raises:
            ValueError: the name is taken by another class.
        """
        add = super().register(name)

        def add_recording(cls: _Class) -> _Class:
            _record_arguments(cls, name)
            return add(cls)

        return add_recording


def normalise_spec(spec: Any) -> Any:
    """Return the spec as JSON stores it, with tuples as lists, so that it equals its saved copy.

    Raises:
        TypeError: a value is not a number, text, None, or a list or mapping of these.
    """
    return json.loads(json.dumps(spec))


def _record_arguments(cls: Any, name: str) -> None:
    """Wrap the constructor to set ``spec`` to the name and all arguments, if JSON can store them."""
    construct = cls.__init__
    signature = inspect.signature(construct)

    @wraps(construct)
    def construct_and_record(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            construct(self, *args, **kwargs)
        except (TypeError, AttributeError, LookupError, RuntimeError) as error:
            # An argument of a wrong type ends somewhere inside. In a class of the user's own it may be a bug.
            if not _is_of_this_package(cls) or "unexpected keyword argument" in str(error):
                raise
            msg = f"the network {name} does not accept the type or form of an argument ({error})"
            raise ValueError(msg) from error
        # A subclass that is not registered itself has no spec.
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


def _nearest(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _is_of_this_package(cls: type) -> bool:
    return cls.__module__.rpartition(".")[0] == __name__.rpartition(".")[0]


def _is_same_class(cls: type, other: type) -> bool:
    return (cls.__module__, cls.__qualname__) == (other.__module__, other.__qualname__)
