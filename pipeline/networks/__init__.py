"""Networks with light, learnable skip connections. Needs torch and monai only.

A network joins with a file, a line here, a settings class in ``pipeline/bundle/network_schema.py``, a row of
``tests/networks/test_networks.py`` and a row of ``docs/networks.md``; a skip connection with a file, a line here and a
row of ``docs/skips.md``.
"""

from .contract import Network, Networks, build_network
from .encoder_decoder import EncoderDecoder
from .select_attend_transfer import selected_channels, sparsity
from .skips import Skip, SkipConnection
from .vnet import VNet

__all__ = [
    "EncoderDecoder",
    "Network",
    "Networks",
    "Skip",
    "SkipConnection",
    "VNet",
    "build_network",
    "selected_channels",
    "sparsity",
]
