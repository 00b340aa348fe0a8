"""Make a bundle (``plan``, ``render``), start it (``launch``), and the functions that its configs call.

Configs call ``evaluation_results``, ``runtime``, ``settings``, ``start_weights``, ``tracking`` and ``trained_network``.
These need only torch and MONAI, and are imported on demand: an error in a command must not wait for PyTorch. ``plan``
and ``render`` need pydantic and PyYAML; import them by their own names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .evaluation_results import check_evaluation_folder, evaluation_folder
    from .runtime import check_overrides
    from .settings import check_settings
    from .start_weights import network_to_start
    from .tracking import choose_tracking
    from .trained_network import network_of_weights, network_to_resume

__all__ = [
    "check_evaluation_folder",
    "check_overrides",
    "check_settings",
    "choose_tracking",
    "evaluation_folder",
    "network_of_weights",
    "network_to_resume",
    "network_to_start",
]

_HOME = {
    "check_evaluation_folder": ".evaluation_results",
    "check_overrides": ".runtime",
    "check_settings": ".settings",
    "choose_tracking": ".tracking",
    "evaluation_folder": ".evaluation_results",
    "network_of_weights": ".trained_network",
    "network_to_resume": ".trained_network",
    "network_to_start": ".start_weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
