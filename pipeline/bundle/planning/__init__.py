"""Make a plan from the dataset check's measurements, with a reason for every choice."""

from .plan_bundle import plan_bundle

__all__ = ["plan_bundle"]
