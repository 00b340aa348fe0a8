"""Datasets with known defects: copies of sound cases, each made bad in one way, and what a check has to say of them."""

from .channels import seed_channel_defects, seed_stacked_defects
from .expected import SEVERITY, Expected, Seeded, judge
from .one_channel import seed_defects
from .pictures import seed_picture_defects

__all__ = [
    "SEVERITY",
    "Expected",
    "Seeded",
    "judge",
    "seed_channel_defects",
    "seed_defects",
    "seed_picture_defects",
    "seed_stacked_defects",
]
