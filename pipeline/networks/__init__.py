"""Networks with light, learnable skip connections. Needs torch and monai only."""

from .skips import Skip, SkipConnection, selected_channels, sparsity
from .vnet import VNet

__all__ = ["Skip", "SkipConnection", "VNet", "selected_channels", "sparsity"]
