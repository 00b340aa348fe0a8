"""What a bundle is made from (``plan``, ``render``), and what its configs call (``runtime``, ``settings``).

Only the latter are imported here: they need torch and MONAI alone.
``plan`` and ``render`` need pydantic and PyYAML; import them by their own names.
"""

from .runtime import check_overrides
from .settings import check_settings

__all__ = ["check_overrides", "check_settings"]
