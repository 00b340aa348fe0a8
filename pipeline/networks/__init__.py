"""Networks with light, learnable skip connections. Needs torch and monai only."""

from .select_attend_transfer import selected_channels, sparsity
from .skips import Skip, SkipConnection
from .vnet import VNet

__all__ = ["Skip", "SkipConnection", "VNet", "selected_channels", "sparsity"]
