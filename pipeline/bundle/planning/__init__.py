"""From what the dataset check measured to a plan: every choice with its reason."""

from .plan_bundle import plan_bundle

__all__ = ["plan_bundle"]
