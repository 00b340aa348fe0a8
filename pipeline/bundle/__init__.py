"""What a bundle is made from (``plan``, ``render``), what starts it (``launch``), and what its configs call.

The latter, ``runtime``, ``settings`` and ``trained_network``, need torch and MONAI alone, and are imported when a
config asks for them: a mistyped command must not wait for PyTorch. ``plan`` and ``render`` need pydantic and PyYAML;
import them by their own names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runtime import check_overrides
    from .settings import check_settings
    from .trained_network import network_of_weights, network_to_resume

__all__ = ["check_overrides", "check_settings", "network_of_weights", "network_to_resume"]

_HOME = {
    "check_overrides": ".runtime",
    "check_settings": ".settings",
    "network_of_weights": ".trained_network",
    "network_to_resume": ".trained_network",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
