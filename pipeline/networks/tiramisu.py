"""The One Hundred Layers Tiramisu (FC-DenseNet) with a choice of skip connection at every level and inside its blocks.

Jégou, Drozdzal, Vazquez, Romero, Bengio, "The One Hundred Layers Tiramisu: Fully Convolutional DenseNets for Semantic
Segmentation" (arXiv 1611.09326). Details that the paper leaves open are those of the authors' published code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.layers.factories import Pool
from torch import Tensor, nn

from .blocks import Layers, LayerSpec
from .contract import Networks
from .dense import initialise, make_dense_block, pre_activation
from .encoder_decoder import RECALIBRATED, EncoderDecoder, MakeSkip
from .levels import KernelSize, Strides, kernel_per_level, per_level, stride_per_transition
from .skips import SkipConnection

__all__ = ["Tiramisu"]


@dataclass(frozen=True)
class _Form:
    """A published network. ``layers_per_block`` is finest level first; the decoder mirrors the encoder."""

    layers_per_block: tuple[int, ...]
    growth: int


_FORMS = {
    56: _Form((4, 4, 4, 4, 4, 4), 12),
    67: _Form((5, 5, 5, 5, 5, 5), 16),
    103: _Form((4, 5, 7, 10, 12, 15), 16),
}


@Networks.register("tiramisu")
class Tiramisu(EncoderDecoder):
    """Tiramisu: a dense block per level, max-pooling down, transposed convolutions up, a skip connection per level.

    All per-level arguments are finest level first. Published, with ``spatial_dims=2`` and the defaults: the widths and
    depths of the forms; layers of batch normalisation, ReLU, 3x3 convolution and dropout 0.2; transitions down with a
    1x1 convolution of constant width and max-pooling; transitions up that take the new feature maps of a block only,
    without the block's input, by a 3x3 transposed convolution of stride 2 whose surplus last row and column are cut;
    a 1x1 convolution of the whole finest stack; initial weights by He et al.; convolutions with biases.
    LightSkip's choices: the 3D form, other kernels and strides, deep supervision, and ``dense_skip``.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: channels of the output: the classes, background included.
        form: 56, 67 or 103, the published network whose ``layers_per_block`` and ``growth`` are taken where they are
            None.
        layers_per_block: layers in the dense block of each encoder level; its length is the number of levels.
        decoder_layers_per_block: layers in each decoder block, one entry fewer. None is the encoder's, mirrored.
        growth: channels that each layer adds.
        first_channels: channels of the first convolution; 48 in the authors' code, for all forms.
        kernel_size: size of the convolutions inside blocks, odd. A number, or a list with one number per axis, applies
            to all levels. A list in which at least one entry is a list has one entry per level, each a number or a
            list with one per axis: ``[[3, 3, 1], 3, 3]``.
        strides: stride between a level and the next coarser one, one entry fewer than levels: 2, or a list with 1 or 2
            per axis, at least one of them 2. None is 2 everywhere. Transposed convolutions have size 3 along axes of
            stride 2 and size 1 along others.
        norm: MONAI normalisation name or ``(name, options)``. None for none.
        act: MONAI activation name or ``(name, options)``.
        dropout: probability of dropping a value of a layer's output, in blocks and in transitions down. There is no
            dropout on skips.
        deep_supervision: in training mode, return a list of logits, finest first, one per decoder level.
        skip: a name, ``(name, options)``, or a list with one of these per skip.
        dense_skip: what a layer gets of the earlier layers of its block. ``"concat"``, as published, is all of their
            channels. ``"sat"`` is all channels of the layer before, and one attention map of each one earlier (see
            :class:`~pipeline.networks.dense.LightDenseBlock`). ``("sat", options)`` takes ``select``, ``threshold``,
            ``maps`` and ``gate`` of the skip connection ``sat``.
        recalibrate: squeeze & excitation after stages: a name, ``(name, options)``, or None for none. See
            :class:`~pipeline.networks.EncoderDecoder`, also for ``recalibrate_at``.
        recalibrate_at: the stages that have it.

    Raises:
        ValueError: the form is unknown, per-level arguments differ in length, a number is not positive, or a skip name
            is not registered.

    Shapes: input (N, in_channels, *spatial), each spatial size divisible by its axis's entry of ``size_divisor``, the
    product of the axis's strides, 32 for the published forms; output (N, out_channels, *spatial), logits.
    """

    title = "Tiramisu"
    publication = "Jégou et al., arXiv 1611.09326"
    reference = (
        "Jégou et al., The One Hundred Layers Tiramisu: Fully Convolutional DenseNets for Semantic Segmentation, "
        "CVPR Workshops 2017, arXiv 1611.09326"
    )

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 2,
        form: int = 103,
        layers_per_block: Sequence[int] | None = None,
        decoder_layers_per_block: Sequence[int] | None = None,
        growth: int | None = None,
        first_channels: int = 48,
        kernel_size: KernelSize = 3,
        strides: Strides | None = None,
        norm: LayerSpec | None = "batch",
        act: LayerSpec = "relu",
        dropout: float = 0.2,
        deep_supervision: bool = False,
        skip: LayerSpec | Sequence[LayerSpec] = "concat",
        dense_skip: LayerSpec = "concat",
        recalibrate: LayerSpec | None = None,
        recalibrate_at: Sequence[str] = RECALIBRATED,
    ) -> None:
        if form not in _FORMS:
            msg = f"form is {form!r}; expected one of {', '.join(map(str, _FORMS))}"
            raise ValueError(msg)
        growth = _FORMS[form].growth if growth is None else growth
        if layers_per_block is None:
            layers_per_block = _FORMS[form].layers_per_block
        counts = _check_counts("layers_per_block", layers_per_block)
        levels = len(counts)
        if levels < 2:
            msg = f"layers_per_block is {counts}; expected at least two levels"
            raise ValueError(msg)
        decoder_counts = counts[:-1]
        if decoder_layers_per_block is not None:
            decoder_counts = _check_counts(
                "decoder_layers_per_block", per_level("decoder_layers_per_block", decoder_layers_per_block, levels - 1)
            )
        for name, width in (("growth", growth), ("first_channels", first_channels)):
            if not _is_count(width):
                msg = f"{name} is {width}; expected a whole number of at least 1"
                raise ValueError(msg)
        if not 0 <= dropout < 1:
            msg = f"dropout is {dropout}; expected a number from 0 to below 1"
            raise ValueError(msg)
        kernels = kernel_per_level(kernel_size, spatial_dims=spatial_dims, levels=levels)
        steps = stride_per_transition(strides, spatial_dims=spatial_dims, levels=levels)
        layers = [Layers(spatial_dims, kernel, norm, act) for kernel in kernels]

        def make_block(level: int, width: int, count: int, *, keep_input: bool) -> nn.Module:
            return make_dense_block(dense_skip, layers[level], width, growth, count, dropout, keep_input=keep_input)

        encoder: list[_DenseStage] = []
        for level, count in enumerate(counts):
            enter: nn.Module = _first_convolution(layers[0], in_channels, first_channels)
            width = first_channels
            if level > 0:
                width = encoder[-1].out_channels
                enter = _transition_down(layers[level], width, steps[level - 1], dropout)
            # What goes up from the deepest level is the new feature maps only.
            encoder.append(_DenseStage(enter, make_block(level, width, count, keep_input=level < levels - 1)))

        def make_stage(level: int, in_channels: int, make_skip: MakeSkip) -> _UpStage:
            skip = make_skip(decoder_channels=in_channels)
            block = make_block(level, skip.merged_channels, decoder_counts[level], keep_input=level == 0)
            return _UpStage(layers[level], in_channels, steps[level], skip, block)

        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            strides=steps,
            encoder=encoder,
            skip=skip,
            make_stage=make_stage,
            make_head=lambda width: initialise(layers[0].pointwise(width, out_channels)),
            deep_supervision=deep_supervision,
            recalibrate=recalibrate,
            recalibrate_at=recalibrate_at,
        )


class _DenseStage(nn.Module):
    """The first convolution or a transition down, then a dense block."""

    def __init__(self, enter: nn.Module, block: nn.Module) -> None:
        super().__init__()
        self.enter = enter
        self.block = block
        self.out_channels = int(block.out_channels)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.enter(x))


class _UpStage(nn.Module):
    """A transition up of constant width, the skip, then a dense block."""

    def __init__(
        self, layers: Layers, in_channels: int, stride: tuple[int, ...], skip: SkipConnection, block: nn.Module
    ) -> None:
        super().__init__()
        # Size 3 for stride 2, as published, and size 1 for stride 1.
        kernel = tuple(2 * step - 1 for step in stride)
        self.up = initialise(layers.up_type(in_channels, in_channels, kernel, stride))
        self.stride = list(stride)
        self.skip = skip
        self.block = block
        self.out_channels = int(block.out_channels)  # type: ignore[arg-type]

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        return self.block(self.skip.join(kept, self.upsample(x)))

    def upsample(self, x: Tensor) -> Tensor:
        """Map (N, C, *spatial) to (N, C, *(stride * spatial)), without the surplus at the end of an axis."""
        up = self.up(x)
        for axis, step in enumerate(self.stride):
            up = torch.narrow(up, axis + 2, 0, step * x.shape[axis + 2])
        return up


def _first_convolution(layers: Layers, in_channels: int, channels: int) -> nn.Module:
    padding = tuple(size // 2 for size in layers.kernel_size)
    conv: nn.Module = initialise(layers.conv_type(in_channels, channels, layers.kernel_size, padding=padding))
    return conv


def _transition_down(layers: Layers, channels: int, stride: tuple[int, ...], dropout: float) -> nn.Sequential:
    conv = initialise(layers.pointwise(channels, channels))
    return nn.Sequential(*pre_activation(layers, conv, dropout), Pool[Pool.MAX, layers.spatial_dims](stride))


def _check_counts(name: str, values: Sequence[int]) -> list[int]:
    """Return whole numbers of at least 1 as a list, or raise a ValueError that names the argument."""
    if not all(_is_count(value) for value in values):
        msg = f"{name} is {list(values)}; expected whole numbers of at least 1"
        raise ValueError(msg)
    return list(values)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0
