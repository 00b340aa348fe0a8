"""Residual FCN with a choice of long and short skip connections.

Drozdzal, Vorontsov, Chartrand, Kadoury, Pal, "The Importance of Skip Connections in Biomedical Image Segmentation"
(arXiv 1608.04117).

Published: levels, widths, depths, blocks, both kinds of skips and dropout, as in the authors' code of October 2017. Its
first version, of January 2017, has the last 3x3 convolution before the last long skip, and normalisation after it.
Bottlenecks go up after their sum, which gives the same numbers as their code: 1x1 convolutions and nearest upsampling
commute. Dropout then drops a value before it is repeated.

LightSkip's choices: 3D, strides and kernels per axis, other depths, deep supervision, other skips, recalibration, and
convolutions without bias before normalisation. What a skip concatenates enters the next stage's first normalisation.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from .blocks import LayerSpec, require_one_of
from .contract import Networks
from .encoder_decoder import RECALIBRATED, EncoderDecoder, MakeSkip
from .levels import KernelSize, Strides, kernel_per_level, per_level, stride_per_transition
from .preactivation import BLOCKS, EXPANSION, PreactivationLayers, build_block
from .skips import SkipConnection

__all__ = ["ResidualFCN"]

_EACH = "level below the finest"


@Networks.register("residual_fcn")
class ResidualFCN(EncoderDecoder):
    """Very deep FCN of pre-activated residual blocks, with long and short skips that can be switched off.

    The finest level has one convolution before the encoder and one after the decoder; its skip is the published long
    skip from the first convolution to the last. Every other level has blocks. All per-level arguments are finest level
    first. Those of blocks have no entry for the finest level.

    Each convolution in a block follows normalisation and activation:

    - ``simple``: max pooling to go down, one convolution;
    - ``basic``: two convolutions, the first with stride 2 to go down, the second after upsampling to go up;
    - ``bottleneck``: 1x1 with stride 2 to go down, a convolution of a quarter of the width, 1x1.

    The short skip adds a block's input to its output: decimated to go down, nearest upsampled to go up, through a 1x1
    convolution only where channels differ.

    Args:
        spatial_dims: 2 or 3. The paper's networks are 2D.
        in_channels: channels of the input.
        out_channels: channels of the output: the classes, background included.
        channels: width of each level.
        block: ``simple``, ``basic`` or ``bottleneck``, for all levels or one per level. None is the published rule,
            extended to other depths: simple at the two finest levels, bottleneck at the others and at the deepest.
        blocks_per_level: number of blocks in each encoder stage. None is the published rule, extended: one simple
            block; of the others 3, 8, then 10, and 3 at the deepest level.
        decoder_blocks_per_level: number of blocks in each decoder stage, without an entry for the deepest level. None
            is that of the encoder.
        short_skips: add each block's input to its output.
        kernel_size: size of the convolutions that are not 1x1, odd; as in :class:`~pipeline.networks.VNet`.
        strides: stride between a level and the next coarser one, as in :class:`~pipeline.networks.VNet`.
        norm: MONAI normalisation name or ``(name, options)``. None for none; convolutions then have a bias. The
            published convolutions always have one, which the next normalisation removes.
        act: MONAI activation name or ``(name, options)``.
        dropout: probability of dropping a single value, in each block (after the last convolution, in a basic block
            after the first), one for all levels or one per level. The finest level's has no effect. A basic block that
            goes up uses the entry of the level that it comes from.
        deep_supervision: in training mode, return a list of logits, finest first, one per decoder level.
        skip: the long skips: a name, ``(name, options)``, or a list with one of these per skip. ``sum`` is as
            published: the decoder's feature map goes through a 1x1 convolution where channels differ. ``none``
            switches them off.
        recalibrate: squeeze & excitation after stages: a name, ``(name, options)``, or None for none. See
            :class:`~pipeline.networks.EncoderDecoder`, also for ``recalibrate_at``.
        recalibrate_at: the stages that have it. Where a level has basic blocks, its last one, which goes up, comes
            after the squeeze & excitation.

    Raises:
        ValueError: per-level arguments differ in length, one has another form, a block is unknown, a bottleneck's
            width is not a multiple of 4, a level has no block, the deepest level has a single basic block, or a skip
            name is not registered.

    Shapes: input (N, in_channels, *spatial), each spatial size divisible by its axis's entry of ``size_divisor``, the
    product of the axis's strides (64 by default); output (N, out_channels, *spatial), logits.
    """

    title = "Residual FCN"
    publication = "Drozdzal et al., arXiv 1608.04117"
    reference = (
        "Drozdzal et al., The Importance of Skip Connections in Biomedical Image Segmentation, DLMIA 2016, "
        "arXiv 1608.04117"
    )

    def __init__(
        self,
        spatial_dims: int = 3,
        in_channels: int = 1,
        out_channels: int = 2,
        channels: Sequence[int] = (32, 32, 32, 128, 256, 512, 1024),
        block: str | Sequence[str] | None = None,
        blocks_per_level: Sequence[int] | None = None,
        decoder_blocks_per_level: Sequence[int] | None = None,
        short_skips: bool = True,
        kernel_size: KernelSize = 3,
        strides: Strides | None = None,
        norm: LayerSpec | None = "batch",
        act: LayerSpec = "relu",
        dropout: float | Sequence[float] = 0.1,
        deep_supervision: bool = False,
        skip: LayerSpec | Sequence[LayerSpec] = "sum",
        recalibrate: LayerSpec | None = None,
        recalibrate_at: Sequence[str] = RECALIBRATED,
    ) -> None:
        levels = len(channels)
        if levels < 2:
            msg = f"channels is {tuple(channels)}; expected at least two levels"
            raise ValueError(msg)
        steps = stride_per_transition(strides, spatial_dims=spatial_dims, levels=levels)
        kernels = kernel_per_level(kernel_size, spatial_dims=spatial_dims, levels=levels)
        if not isinstance(short_skips, bool):
            msg = f"short_skips is {short_skips!r}; expected true or false"
            raise ValueError(msg)
        drops = per_level("dropout", [dropout] * levels if isinstance(dropout, int | float) else dropout, levels)
        kinds = _kind_per_level(block, channels)
        depths = _depth_per_level("blocks_per_level", blocks_per_level, _published_depths(kinds))
        decoder_depths = _depth_per_level("decoder_blocks_per_level", decoder_blocks_per_level, depths[:-1])
        if kinds[-1] == "basic" and depths[-1] == 1:
            msg = "the deepest level has one basic block; expected at least two, of which the last goes up"
            raise ValueError(msg)
        # The finest level has no blocks. From here on, indices are levels.
        kinds, depths, decoder_depths = ["", *kinds], [0, *depths], [0, *decoder_depths]
        layers = [PreactivationLayers(spatial_dims, kernel, norm, act) for kernel in kernels]

        def make_block(level: int, in_channels: int, **change: Any) -> nn.Module:
            options = {"dropout": drops[level], "short_skip": short_skips, **change}
            return build_block(kinds[level], layers[level], in_channels, channels[level], **options)

        def make_blocks(level: int, width: int, count: int, down: tuple[int, ...] | None = None) -> _Stage:
            blocks: list[nn.Module] = []
            for _ in range(count):
                blocks.append(make_block(level, width, down=down))
                width, down = channels[level], None
            return _Stage(blocks, width)

        # The last block of a level goes up. A basic one convolves on the finer grid, so the finer level's stage has it.
        encoder = [_Stage([layers[0].spatial(in_channels, channels[0])], channels[0])]
        for level in range(1, levels):
            count = depths[level] - (level == levels - 1 and kinds[level] == "basic")
            encoder.append(make_blocks(level, channels[level - 1], count, steps[level - 1]))

        def make_stage(level: int, below: int, make_skip: MakeSkip) -> _UpStage:
            width = channels[level + 1]
            skip = make_skip(decoder_channels=width)
            project: list[nn.Module] = []
            if skip.merge == "sum" and width != channels[level]:
                project = [layers[level].project(width, channels[level])]
                skip = make_skip(decoder_channels=channels[level])
            if kinds[level + 1] == "basic":
                up = [make_block(level + 1, below, up=steps[level], finer=layers[level]), *project]
            else:
                # Projected first, which gives the same on fewer voxels.
                up = [*project, layers[level].upsample(steps[level])]
            merged = skip.merged_channels
            if level == 0:
                last = [*layers[0].activate(merged), layers[0].spatial(merged, channels[0])]
                return _UpStage(up, skip, _Stage(last, channels[0]))
            count = decoder_depths[level] - (kinds[level] == "basic")
            return _UpStage(up, skip, make_blocks(level, merged, count))

        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            strides=steps,
            encoder=encoder,
            skip=skip,
            make_stage=make_stage,
            make_head=lambda width: layers[0].pointwise(width, out_channels),
            deep_supervision=deep_supervision,
            recalibrate=recalibrate,
            recalibrate_at=recalibrate_at,
        )


class _Stage(nn.Module):
    """A level's modules, one after the other."""

    def __init__(self, modules: Sequence[nn.Module], channels: int) -> None:
        super().__init__()
        self.out_channels = channels
        self.blocks = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class _UpStage(nn.Module):
    """Go up, merge what the long skip transfers, and run the level's modules."""

    def __init__(self, up: Sequence[nn.Module], skip: SkipConnection, stage: _Stage) -> None:
        super().__init__()
        self.up = nn.Sequential(*up)
        self.skip = skip
        self.out_channels = stage.out_channels
        self.blocks = stage.blocks

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        return self.blocks(self.skip.join(kept, self.up(x)))


def _kind_per_level(block: str | Sequence[str] | None, channels: Sequence[int]) -> list[str]:
    """Return the kind of block of each level below the finest.

    Raises:
        ValueError: a kind is unknown, their number is wrong, or the width of a bottleneck is not a multiple of 4.
    """
    below = len(channels) - 1
    if block is None:
        simple = min(2, below - 1)
        block = ["simple"] * simple + ["bottleneck"] * (below - simple)
    kinds = [block] * below if isinstance(block, str) else per_level("block", block, below, each=_EACH)
    for kind, width in zip(kinds, channels[1:], strict=True):
        require_one_of("block", kind, BLOCKS)
        if kind == "bottleneck" and width % EXPANSION != 0:
            msg = (
                f"channels has {width} for a level of bottleneck blocks; expected a multiple of {EXPANSION}, since the "
                f"convolution inside has a quarter of the channels"
            )
            raise ValueError(msg)
    return kinds


def _published_depths(kinds: Sequence[str]) -> list[int]:
    """Return the number of blocks of each level below the finest: 1 simple, or 3, 8, 10, 10, ... and 3 at the end."""
    depths: list[int] = []
    deep = iter((3, 8))
    for level, kind in enumerate(kinds):
        deepest = level == len(kinds) - 1
        depths.append(3 if deepest else 1 if kind == "simple" else next(deep, 10))
    return depths


def _depth_per_level(name: str, depths: Sequence[int] | None, default: Sequence[int]) -> list[int]:
    """Return the depths, or the default for None. The default has the expected number of entries."""
    checked = per_level(name, default if depths is None else depths, len(default), each=_EACH)
    if any(depth < 1 for depth in checked):
        msg = f"{name} is {checked}; expected at least one block per level"
        raise ValueError(msg)
    return checked
