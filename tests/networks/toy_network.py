"""A network that is not part of LightSkip, in one file, as a user writes it next to plan.yaml.

Its stages are dense: each adds to the channels that it gets, so that widths are what comes out and no argument says
them. What it transfers is recalibrated after each stage.
"""

from collections.abc import Sequence

import torch
from monai.networks.blocks import Convolution
from monai.networks.blocks.squeeze_and_excitation import ChannelSELayer
from torch import Tensor, nn

from pipeline.networks import EncoderDecoder, Networks, SkipConnection


class DenseStage(nn.Module):
    """Append ``growth`` channels, after a convolution of stride 2 in all but the finest stage."""

    def __init__(self, spatial_dims: int, in_channels: int, growth: int, stride: int, **layers: object) -> None:
        super().__init__()
        self.down: nn.Module = nn.Identity()
        if stride > 1:
            self.down = Convolution(
                spatial_dims, in_channels, in_channels, strides=stride, kernel_size=stride, padding=0,
                norm=layers["norm"],
            )  # fmt: skip
        self.grow = Convolution(spatial_dims, in_channels, growth, **layers)
        self.out_channels = in_channels + growth
        self.recalibrate = ChannelSELayer(spatial_dims, self.out_channels, r=1, acti_type_1=("prelu", {}))

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return self.recalibrate(torch.cat((x, self.grow(x)), dim=1))


class UpStage(nn.Module):
    """Upsample, merge, and convolve to a width other than the merged one."""

    def __init__(self, spatial_dims: int, in_channels: int, skip: SkipConnection, **layers: object) -> None:
        super().__init__()
        self.up = Convolution(
            spatial_dims, in_channels, skip.decoder_channels, strides=2, kernel_size=2, padding=0, output_padding=0,
            is_transposed=True, norm=layers["norm"],
        )  # fmt: skip
        self.skip = skip
        self.out_channels = skip.merged_channels + 1
        self.out = Convolution(spatial_dims, skip.merged_channels, self.out_channels, **layers)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        return self.out(self.skip.join(kept, self.up(x)))


@Networks.register("dense_toy")
class DenseToy(EncoderDecoder):
    """Dense stages that grow by as many channels as ``growths`` says, finest level first."""

    title = "dense toy"

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        growths: Sequence[int] = (2, 3, 4),
        norm: str | None = "instance",
        dropout: float = 0.0,
        deep_supervision: bool = False,
        skip: object = "concat",
    ) -> None:
        layers = {"norm": norm, "dropout": dropout}
        encoder: list[DenseStage] = []
        for growth in growths:
            below = encoder[-1].out_channels if encoder else in_channels
            encoder.append(DenseStage(spatial_dims, below, growth, 2 if encoder else 1, **layers))
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            strides=[(2,) * spatial_dims] * (len(growths) - 1),
            encoder=encoder,
            skip=skip,
            # Another width than the encoder's: what a skip by sum has to project.
            make_stage=lambda level, below, make_skip: UpStage(
                spatial_dims, below, make_skip(decoder_channels=2 + level), **layers
            ),
            make_head=lambda width: Convolution(spatial_dims, width, out_channels, kernel_size=1, conv_only=True),
            deep_supervision=deep_supervision,
        )
