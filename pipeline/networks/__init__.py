"""Networks with light, learnable skip connections. Needs only torch and monai.

To add a network: a file, a line here, a settings class in ``pipeline/bundle/network_schema.py``, a row in
``tests/networks/test_networks.py`` and a row in ``docs/networks.md``. To add a skip connection: a file, a line here and
a row in ``docs/skips.md``.
"""

from .contract import Network, Networks, build_network
from .encoder_decoder import EncoderDecoder
from .excitation_skips import ChannelExciteSkip, ProjectExciteSkip, SpatialChannelExciteSkip, SpatialExciteSkip
from .gates import AttentionGateSkip, ScalarSkip
from .residual_fcn import ResidualFCN
from .select_attend_transfer import selected_channels, sparsity
from .skips import Skip, SkipConnection
from .squeeze_excitation import Recalibration
from .tiramisu import Tiramisu
from .unet import UNet
from .vnet import VNet

__all__ = [
    "AttentionGateSkip",
    "ChannelExciteSkip",
    "EncoderDecoder",
    "Network",
    "Networks",
    "ProjectExciteSkip",
    "Recalibration",
    "ResidualFCN",
    "ScalarSkip",
    "Skip",
    "SkipConnection",
    "SpatialChannelExciteSkip",
    "SpatialExciteSkip",
    "Tiramisu",
    "UNet",
    "VNet",
    "build_network",
    "selected_channels",
    "sparsity",
]
