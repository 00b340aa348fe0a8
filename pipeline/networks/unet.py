"""U-Net in 2D and 3D with a choice of skip connection at every level, and with a plain or a residual encoder.

Sources:

- Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation" (arXiv 1505.04597): two
  3x3 convolutions per level, ReLU, max pooling, up-convolutions that halve the width, concatenation, a 1x1 convolution
  at the end; widths 64 to 1024; weights drawn with variance 2/N. It has no normalisation, and its convolutions are not
  padded.
- Cicek et al., "3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation" (arXiv 1606.06650): the same
  in 3D, four levels, batch normalisation, the width doubled before each pooling (32, 64; 64, 128; ...).
- Isensee et al., nnU-Net (arXiv 1809.10486, 2404.09556): padded convolutions, instance normalisation, leaky ReLU,
  strided convolutions instead of pooling, one width per level that starts at 32 and doubles (up to 320 in 3D); the
  residual encoder, which is in :mod:`~pipeline.networks.residual_encoder`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from monai.networks.layers.factories import Pool
from torch import Tensor, nn

from .blocks import Layers, LayerSpec, draw_he, require_one_of
from .contract import Networks
from .encoder_decoder import RECALIBRATED, EncoderDecoder, EncoderStage, MakeSkip
from .levels import KernelSize, Strides, kernel_per_level, per_level, stride_per_transition
from .residual_encoder import ResidualStage, default_blocks
from .skips import SkipConnection

__all__ = ["UNet"]


@Networks.register("unet")
class UNet(EncoderDecoder):
    """U-Net: two convolutions per level, max pooling down, transposed convolutions up, a skip connection per level.

    All per-level arguments are finest level first. There are ``len(channels) - 1`` skips. Convolutions are padded, so
    that the output is on the input's grid; the published ones are not.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output: the classes, background included.
        channels: width of each level. None is (64, 128, 256, 512, 1024) in 2D, as published, and
            (32, 64, 128, 256, 512) in 3D: half of that, which is nnU-Net's rule without its maximum of 320. The
            published 3D network has four levels and doubles the width within each.
        convs_per_level: convolutions in each stage of the plain encoder. None is 2 everywhere, as published.
        decoder_convs_per_level: convolutions in each decoder stage, one entry fewer than levels. None is 2 everywhere
            with a plain encoder, as published, and 1 with a residual one, as in nnU-Net.
        kernel_size: size of the convolutions inside stages, odd. A number, or a list with one number per axis, applies
            to all levels. A list in which at least one entry is a list has one entry per level, each a number or a
            list with one per axis: ``[[3, 3, 1], 3, 3]``. ``[3, 3, 1]`` is per axis, also with three levels.
        strides: stride between a level and the next coarser one, one entry fewer than levels: 2, or a list with 1 or 2
            per axis, at least one of them 2. None is 2 everywhere. Pooling windows and the kernels of the transposed
            convolutions are as large as the stride.
        encoder: ``"plain"`` as published. ``"residual"`` is nnU-Net's residual encoder: a convolution at the start,
            then residual blocks; see :class:`~pipeline.networks.residual_encoder.ResidualBlock`.
        blocks_per_level: blocks in each stage of the residual encoder. None is nnU-Net's 1, 3, 4, 6, 6, ...
        down: ``"pool"`` is max pooling, as published. ``"conv"`` gives the stride to the first convolution of the
            coarser stage, as nnU-Net does. None is ``"pool"`` with a plain encoder. A residual one has ``"conv"`` only.
        norm: MONAI normalisation name or ``(name, options)``. The default, instance normalisation without learned
            scale, is LightSkip's choice. The published 2D network has None, the published 3D network ``"batch"``,
            nnU-Net ``("instance", {"affine": True})``. Without normalisation convolutions have a bias. The transposed
            convolutions always have one, and no normalisation.
        act: MONAI activation name or ``(name, options)``; ReLU as published.
        dropout: probability of dropping whole channels at the input of a stage, one for all levels or one per level.
            A decoder stage uses the entry of the next coarser level, where its input comes from. The first entry has
            no effect. There is no dropout on skips.
        deep_supervision: in training mode, return a list of logits, finest first, one per decoder level.
        skip: a name, ``(name, options)``, or a list with one of these per skip.
        recalibrate: squeeze & excitation after stages: a name, ``(name, options)``, or None for none. See
            :class:`~pipeline.networks.EncoderDecoder`, also for ``recalibrate_at``.
        recalibrate_at: the stages that have it.

    Raises:
        ValueError: per-level arguments differ in length, one has another form, an option is of the other encoder, or a
            skip name is not registered.

    Shapes: input (N, in_channels, *spatial), each spatial size divisible by its axis's entry of ``size_divisor``, the
    product of the axis's strides; output (N, out_channels, *spatial), logits.
    """

    title = "U-Net"
    publication = "Ronneberger et al., arXiv 1505.04597"
    reference = (
        "Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015, "
        "arXiv 1505.04597"
    )

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: Sequence[int] | None = None,
        convs_per_level: Sequence[int] | None = None,
        decoder_convs_per_level: Sequence[int] | None = None,
        kernel_size: KernelSize = 3,
        strides: Strides | None = None,
        encoder: str = "plain",
        blocks_per_level: Sequence[int] | None = None,
        down: str | None = None,
        norm: LayerSpec | None = "instance",
        act: LayerSpec = "relu",
        dropout: float | Sequence[float] = 0.0,
        deep_supervision: bool = False,
        skip: LayerSpec | Sequence[LayerSpec] = "concat",
        recalibrate: LayerSpec | None = None,
        recalibrate_at: Sequence[str] = RECALIBRATED,
    ) -> None:
        if channels is None:
            channels = _default_channels(spatial_dims)
        levels = len(channels)
        if levels < 2:
            msg = f"channels is {tuple(channels)}; expected at least two levels"
            raise ValueError(msg)
        convs, make_encoder_stage = _choose_encoder(encoder, down, convs_per_level, blocks_per_level, levels)
        if decoder_convs_per_level is None:
            decoder_convs_per_level = [2 if encoder == "plain" else 1] * (levels - 1)
        decoder_convs = per_level("decoder_convs_per_level", decoder_convs_per_level, levels - 1)
        _require_positive("decoder_convs_per_level", decoder_convs)
        drops = per_level("dropout", [dropout] * levels if isinstance(dropout, int | float) else dropout, levels)
        kernels = kernel_per_level(kernel_size, spatial_dims=spatial_dims, levels=levels)
        steps = stride_per_transition(strides, spatial_dims=spatial_dims, levels=levels)
        layers = [Layers(spatial_dims, kernel, norm, act) for kernel in kernels]

        stages = [make_encoder_stage(layers[0], in_channels, channels[0], (1,) * spatial_dims, convs[0], 0.0)]
        for level, (finer, width) in enumerate(pairwise(channels), start=1):
            step, count, drop = steps[level - 1], convs[level], drops[level]
            stages.append(make_encoder_stage(layers[level], finer, width, step, count, drop))

        def make_stage(level: int, in_channels: int, make_skip: MakeSkip) -> _UpStage:
            skip = make_skip(decoder_channels=channels[level])
            return _UpStage(layers[level], in_channels, steps[level], decoder_convs[level], drops[level + 1], skip)

        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            strides=steps,
            encoder=stages,
            skip=skip,
            make_stage=make_stage,
            make_head=lambda width: draw_he(layers[0].pointwise(width, out_channels)),
            deep_supervision=deep_supervision,
            recalibrate=recalibrate,
            recalibrate_at=recalibrate_at,
        )


# Builds an encoder stage: layers, in_channels, channels, stride, convolutions or blocks, dropout.
_MakeEncoderStage = Callable[[Layers, int, int, tuple[int, ...], int, float], EncoderStage]


def _default_channels(spatial_dims: int) -> tuple[int, ...]:
    return (64, 128, 256, 512, 1024) if spatial_dims == 2 else (32, 64, 128, 256, 512)


def _choose_encoder(
    encoder: str, down: str | None, convs: Sequence[int] | None, blocks: Sequence[int] | None, levels: int
) -> tuple[list[int], _MakeEncoderStage]:
    """Return the number of convolutions or blocks per level, and what builds a stage from it.

    Raises:
        ValueError: an unknown encoder, an option of the other encoder, or numbers that do not fit.
    """
    require_one_of("encoder", encoder, ("plain", "residual"))
    if down is not None:
        require_one_of("down", down, ("pool", "conv"))
    if encoder == "plain":
        if blocks is not None:
            msg = f"blocks_per_level is {list(blocks)}; the plain encoder has none, set convs_per_level"
            raise ValueError(msg)
        name, counts = "convs_per_level", [2] * levels if convs is None else convs
        make: _MakeEncoderStage = partial(_PlainStage, down=down or "pool")
    else:
        if convs is not None:
            msg = f"convs_per_level is {list(convs)}; the residual encoder has blocks, set blocks_per_level"
            raise ValueError(msg)
        if down == "pool":
            msg = "down is 'pool'; the residual encoder has strided convolutions, expected 'conv' or None"
            raise ValueError(msg)
        name, counts = "blocks_per_level", default_blocks(levels) if blocks is None else blocks
        make = ResidualStage
    counts = per_level(name, counts, levels)
    _require_positive(name, counts)
    return counts, make


def _require_positive(name: str, counts: Sequence[int]) -> None:
    if min(counts) < 1:
        msg = f"{name} is {list(counts)}; expected at least 1 at every level"
        raise ValueError(msg)


class _PlainStage(nn.Module):
    """Convolutions, after a pooling or with a first convolution of the level's stride. The finest has a stride of 1."""

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        channels: int,
        stride: tuple[int, ...],
        convs: int,
        dropout: float,
        *,
        down: str,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.down: nn.Module = nn.Identity()
        if down == "pool" and max(stride) > 1:
            self.down = Pool[Pool.MAX, layers.spatial_dims](kernel_size=stride, stride=stride)
        self.dropout = layers.dropout(dropout)
        first = layers.conv_act(in_channels, channels, stride if down == "conv" else 1)
        self.convs = draw_he(nn.Sequential(first, *layers.stage(channels, convs - 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(self.dropout(self.down(x)))


class _UpStage(nn.Module):
    """Upsample to the level's width, merge with what the skip transfers, convolve."""

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
        channels = skip.decoder_channels
        self.out_channels = channels
        self.dropout = layers.dropout(dropout)
        self.up = draw_he(layers.up_type(in_channels, channels, kernel_size=stride, stride=stride))
        self.skip = skip
        # One convolution, also for 64 + 1 channels: two of them (TwoInputConv) took longer at the published widths.
        first = layers.conv_act(skip.merged_channels, channels)
        self.convs = draw_he(nn.Sequential(first, *layers.stage(channels, convs - 1)))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        return self.convs(self.skip.join(kept, self.up(self.dropout(x))))
