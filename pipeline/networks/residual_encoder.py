"""The residual encoder of nnU-Net: Isensee et al., "nnU-Net Revisited" (arXiv 2404.09556).

The facts are those of its library ``dynamic_network_architectures`` (``ResidualEncoderUNet`` with ``BasicBlockD``) and
of nnU-Net's planner for it. The block is that of He et al., "Bag of Tricks for Image Classification with Convolutional
Neural Networks" (arXiv 1812.01187), form D: the shortcut of a strided block is average pooling and a 1x1 convolution.
"""

from monai.networks.layers.factories import Pool
from torch import Tensor, nn

from .blocks import Layers, add, draw_he

__all__ = ["ResidualBlock", "ResidualStage", "default_blocks"]


def default_blocks(levels: int) -> list[int]:
    """Return nnU-Net's number of blocks per level, finest first: 1, 3, 4, and 6 at all others."""
    return [1, 3, 4, *[6] * levels][:levels]


class ResidualBlock(nn.Module):
    """Two convolutions plus a shortcut: ``act(norm(conv(act(norm(conv(x))))) + shortcut(x))``.

    The first convolution has the stride. The shortcut is x, after average pooling where the block has a stride, and
    after a 1x1 convolution without a bias and a normalisation where the width changes.

    A learned scale of the second normalisation starts at 0, as in nnU-Net: the block then starts as its shortcut.

    Args:
        layers: factory of the layers.
        in_channels: channels of x.
        channels: channels of the output.
        stride: stride of the block, one number per axis.

    Shapes: (N, in_channels, *spatial) to (N, channels, *spatial / stride).
    """

    def __init__(self, layers: Layers, in_channels: int, channels: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        last = layers.conv(channels, channels)
        self.convs = draw_he(nn.Sequential(layers.conv_act(in_channels, channels, stride), *last))
        scale = getattr(last[1], "weight", None)
        if scale is not None:
            nn.init.zeros_(scale)
        shortcut: list[nn.Module] = []
        if max(stride) > 1:
            shortcut.append(Pool[Pool.AVG, layers.spatial_dims](kernel_size=stride, stride=stride))
        if in_channels != channels:
            project = layers.conv_type(in_channels, channels, kernel_size=1, bias=False)
            shortcut += [draw_he(project), layers.norm(channels)]
        self.shortcut = nn.Sequential(*shortcut)
        self.act = layers.act_in_place(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, *spatial) to (N, channels, *spatial / stride)."""
        return self.act(add(self.convs(x), self.shortcut(x)))


class ResidualStage(nn.Module):
    """The encoder stage of a level: residual blocks, of which the first has the stride.

    The finest stage, the one with a stride of 1, begins with a convolution, normalisation and activation.

    Args:
        layers: factory of the layers.
        in_channels: channels of the next finer level, or of the input.
        channels: channels of the level.
        stride: stride from the next finer level, one number per axis.
        blocks: number of blocks.
        dropout: probability of dropping whole channels of the input.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        channels: int,
        stride: tuple[int, ...],
        blocks: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.dropout = layers.dropout(dropout)
        self.stem: nn.Module = nn.Identity()
        if max(stride) == 1:
            self.stem = draw_he(layers.conv_act(in_channels, channels))
            in_channels = channels
        flat = (1,) * layers.spatial_dims
        more = [ResidualBlock(layers, channels, channels, flat) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(ResidualBlock(layers, in_channels, channels, stride), *more)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, *spatial) to (N, channels, *spatial / stride)."""
        return self.blocks(self.stem(self.dropout(x)))
