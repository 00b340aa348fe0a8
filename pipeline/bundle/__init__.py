"""What a bundle is made from (``plan``, ``render``) and what its configs call while they run (``runtime``).

Only ``runtime`` is imported here: it is what a bundle's configs name, and it needs torch and MONAI alone.
``plan`` and ``render`` need pydantic and PyYAML; import them by their own names.
"""

from .runtime import check_overrides

__all__ = ["check_overrides"]
