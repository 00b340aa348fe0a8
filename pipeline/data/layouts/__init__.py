"""Layouts of datasets, one module each; each module's `find_…` returns a `Found`."""

from .bids import find_bids
from .find import Layout, find, layout_of
from .found import Found, Item, Unlabelled
from .globs import find_globs
from .msd import find_msd
from .nnunet import find_nnunet
from .table import find_table

__all__ = [
    "Found",
    "Item",
    "Layout",
    "Unlabelled",
    "find",
    "find_bids",
    "find_globs",
    "find_msd",
    "find_nnunet",
    "find_table",
    "layout_of",
]
