"""V-Net with a choice of skip connection at every level.

Milletari, Navab, Ahmadi, "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation"
(arXiv 1606.04797), with normalisation as in MONAI. The defaults equal MONAI's ``VNet`` with ``act="prelu"``, without
its hidden dropout on the two finest skips.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from .blocks import Layers, LayerSpec, Repeat, TwoInputConv, add, require_one_of
from .contract import Networks
from .encoder_decoder import RECALIBRATED, EncoderDecoder, MakeSkip
from .levels import KernelSize, Strides, kernel_per_level, per_level, stride_per_transition
from .skips import SkipConnection

__all__ = ["VNet"]


@Networks.register("vnet")
class VNet(EncoderDecoder):
    """V-Net: residual stages, strided convolutions down, transposed convolutions up, a skip connection per level.

    All per-level arguments are finest level first. There are ``len(channels) - 1`` skips.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output: the classes, background included.
        channels: width of each encoder level. For the decoder's see ``residual``.
        convs_per_level: convolutions in each encoder stage. None is the published rule, extended to other depths: the
            level's number (0 is the finest), at least one, at most three, at the deepest level at most two. Five
            levels have 1, 1, 2, 3, 2.
        decoder_convs_per_level: convolutions in each decoder stage, one entry fewer than levels. None is the same rule
            with at most two. Five levels have 1, 1, 2, 2.
        kernel_size: size of the convolutions inside stages, odd. A number, or a list with one number per axis, applies
            to all levels. A list in which at least one entry is a list has one entry per level, each a number or a
            list with one per axis: ``[[3, 3, 1], 3, 3]``. ``[3, 3, 1]`` is per axis, also with three levels.
        strides: stride between a level and the next coarser one, one entry fewer than levels: 2, or a list with 1 or 2
            per axis, at least one of them 2. None is 2 everywhere. For thick slices use kernels of size 1 and strides
            of 1 along the thick axis until voxels are about as wide as thick: ``[[2, 2, 1], 2]``.
        norm: MONAI normalisation name or ``(name, options)``. None for none; convolutions then have a bias.
        act: MONAI activation name or ``(name, options)``; ``"prelu"`` has one slope per channel, as published.
        dropout: probability of dropping whole channels at the input of a stage, one for all levels or one per level.
            A decoder stage uses the entry of the next coarser level, where its input comes from. The input stage drops
            nothing, so the first entry has no effect. There is no dropout on skips.
        deep_supervision: in training mode, return a list of logits, finest first, one per decoder level.
        skip: a name, ``(name, options)``, or a list with one of these per skip. A skip connection that overrides
            ``join`` needs ``residual="merged"``.
        residual: ``"merged"`` is the published rule: a decoder stage is as wide as its skip's merged feature map, which
            is its residual. With ``"decoder"`` a stage has the width in ``channels`` and its residual is the decoder's
            own feature map; the skip's transferred channels enter the stage's first convolution. This avoids odd
            channel counts with an attention map (16 + 1), for which convolution kernels are slow.
        head: ``"conv"`` is the published output stage (convolution, normalisation, activation, 1x1 convolution).
            ``"pointwise"`` is one 1x1 convolution, so the logits of a patch are not normalised by the patch itself.
        recalibrate: squeeze & excitation after stages: a name, ``(name, options)``, or None for none. See
            :class:`~pipeline.networks.EncoderDecoder`, also for ``recalibrate_at``.
        recalibrate_at: the stages that have it.

    Raises:
        ValueError: per-level arguments differ in length, one has another form, a skip name is not registered, or a skip
            overrides ``join`` while ``residual`` is ``"decoder"``.

    Shapes: input (N, in_channels, *spatial), each spatial size divisible by its axis's entry of ``size_divisor``, the
    product of the axis's strides; output (N, out_channels, *spatial), logits.
    """

    title = "V-Net"
    publication = "Milletari et al., arXiv 1606.04797"
    reference = (
        "Milletari et al., V-Net - Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation, "
        "3DV 2016, arXiv 1606.04797"
    )

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        convs_per_level: Sequence[int] | None = None,
        decoder_convs_per_level: Sequence[int] | None = None,
        kernel_size: KernelSize = 5,
        strides: Strides | None = None,
        norm: LayerSpec | None = "batch",
        act: LayerSpec = "prelu",
        dropout: float | Sequence[float] = 0.0,
        deep_supervision: bool = False,
        skip: LayerSpec | Sequence[LayerSpec] = "concat",
        residual: str = "merged",
        head: str = "conv",
        recalibrate: LayerSpec | None = None,
        recalibrate_at: Sequence[str] = RECALIBRATED,
    ) -> None:
        levels = len(channels)
        if levels < 2:
            msg = f"channels is {tuple(channels)}; expected at least two levels"
            raise ValueError(msg)
        require_one_of("head", head, ("conv", "pointwise"))
        require_one_of("residual", residual, ("merged", "decoder"))
        if convs_per_level is None:
            convs_per_level = _encoder_convs(levels)
        if decoder_convs_per_level is None:
            decoder_convs_per_level = _decoder_convs(levels)
        convs = per_level("convs_per_level", convs_per_level, levels)
        decoder_convs = per_level("decoder_convs_per_level", decoder_convs_per_level, levels - 1)
        drops = per_level("dropout", [dropout] * levels if isinstance(dropout, int | float) else dropout, levels)
        kernels = kernel_per_level(kernel_size, spatial_dims=spatial_dims, levels=levels)
        steps = stride_per_transition(strides, spatial_dims=spatial_dims, levels=levels)
        layers = [Layers(spatial_dims, kernel, norm, act) for kernel in kernels]

        encoder: list[_InputStage | _DownStage] = [_InputStage(layers[0], in_channels, channels[0], convs[0])]
        for level, (finer, width) in enumerate(pairwise(channels), start=1):
            encoder.append(_DownStage(layers[level], finer, width, steps[level - 1], convs[level], drops[level]))

        def make_stage(level: int, in_channels: int, make_skip: MakeSkip) -> _MergedUpStage | _TwoInputUpStage:
            skip = make_skip(decoder_channels=channels[level])
            stage_type = _choose_up_stage(skip, residual)
            return stage_type(layers[level], in_channels, steps[level], decoder_convs[level], drops[level + 1], skip)

        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            strides=steps,
            encoder=encoder,
            skip=skip,
            make_stage=make_stage,
            make_head=lambda width: _make_head(layers[0], width, out_channels, head),
            deep_supervision=deep_supervision,
            recalibrate=recalibrate,
            recalibrate_at=recalibrate_at,
        )


class _InputStage(nn.Module):
    """Convolutions plus the input, repeated to their width or brought to it by a 1x1 convolution."""

    def __init__(self, layers: Layers, in_channels: int, channels: int, convs: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.lift: nn.Module = Repeat(channels // in_channels)
        if channels % in_channels != 0:
            self.lift = layers.pointwise(in_channels, channels)
        # The last convolution's activation follows the sum.
        stage: list[nn.Module] = [layers.conv(in_channels, channels)]
        for _ in range(convs - 1):
            stage += [layers.act(channels), layers.conv(channels, channels)]
        self.convs = nn.Sequential(*stage)
        self.act = layers.act_in_place(channels)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.convs(x)
        # Under autocast the input is still float32. Adding it unchanged would make the finest features, the largest,
        # float32 too.
        return self.act(add(convolved, self.lift(x.to(convolved.dtype))))


class _DownStage(nn.Module):
    def __init__(
        self, layers: Layers, in_channels: int, channels: int, stride: tuple[int, ...], convs: int, dropout: float
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.down = layers.down(in_channels, channels, stride)
        self.dropout = layers.dropout(dropout)
        self.convs = layers.stage(channels, convs)
        self.act = layers.act_in_place(channels)

    def forward(self, x: Tensor) -> Tensor:
        down = self.down(x)
        return self.act(add(self.convs(self.dropout(down)), down))


class _MergedUpStage(nn.Module):
    """The published decoder stage: as wide as its skip's merged feature map, which is also its residual."""

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        stride: tuple[int, ...],
        convs: int,
        dropout: float,
        skip: SkipConnection,
    ) -> None:
        super().__init__()
        self.dropout = layers.dropout(dropout)
        self.up = layers.up(in_channels, skip.decoder_channels, stride)
        self.skip = skip
        self.out_channels = skip.merged_channels
        self.convs = layers.stage(self.out_channels, convs)
        self.act = layers.act_in_place(self.out_channels)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        merged = self.skip.join(kept, self.up(self.dropout(x)))
        return self.act(add(self.convs(merged), merged))


class _TwoInputUpStage(nn.Module):
    """A decoder stage as wide as the decoder, whose first convolution has the transferred channels as second input."""

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        stride: tuple[int, ...],
        convs: int,
        dropout: float,
        skip: SkipConnection,
    ) -> None:
        super().__init__()
        self.dropout = layers.dropout(dropout)
        self.out_channels = skip.decoder_channels
        self.up = layers.up(in_channels, self.out_channels, stride)
        self.skip = skip
        self.enter = TwoInputConv(layers, self.out_channels, skip.transferred_channels)
        self.convs = layers.stage(self.out_channels, convs - 1)
        self.act = layers.act_in_place(self.out_channels)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        x = self.up(self.dropout(x))
        return self.act(add(self.convs(self.enter(x, self.skip.transfer(kept, x))), x))


def _choose_up_stage(skip: SkipConnection, residual: str) -> type[_MergedUpStage | _TwoInputUpStage]:
    """Return the stage class for a skip. A sum, or no skip, adds no channels and needs no second input.

    Raises:
        ValueError: the skip overrides ``join``, which the stage for it would not call.
    """
    if residual == "merged" or skip.merged_channels == skip.decoder_channels:
        return _MergedUpStage
    if type(skip).join is not SkipConnection.join:
        msg = (
            f"the skip connection {type(skip).__name__} overrides join, which residual 'decoder' does not call; "
            "use residual 'merged', or override only transfer"
        )
        raise ValueError(msg)
    return _TwoInputUpStage


def _make_head(layers: Layers, in_channels: int, out_channels: int, head: str) -> nn.Module:
    pointwise = layers.pointwise(in_channels if head == "pointwise" else out_channels, out_channels)
    if head == "pointwise":
        return pointwise
    return nn.Sequential(layers.conv_act(in_channels, out_channels), pointwise)


def _encoder_convs(levels: int) -> list[int]:
    deepest = levels - 1
    return [min(max(level, 1), 2 if level == deepest else 3) for level in range(levels)]


def _decoder_convs(levels: int) -> list[int]:
    return [min(max(level, 1), 2) for level in range(levels - 1)]
