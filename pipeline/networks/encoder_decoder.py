"""The base of every encoder-decoder with skip connections: levels, skips, deep supervision, check of sizes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from monai.networks.layers.factories import Conv
from torch import Tensor, nn

from .blocks import LayerSpec, require_one_of
from .levels import size_divisor
from .skips import SkipConnection, build_skip, skip_per_level
from .squeeze_excitation import build_recalibration

__all__ = ["RECALIBRATED", "DecoderStage", "EncoderDecoder", "EncoderStage", "MakeSkip"]

# Where squeeze & excitation blocks can be: after the encoder's stages, its deepest stage, and the decoder's stages.
RECALIBRATED = ("encoder", "bottleneck", "decoder")


class EncoderStage(Protocol):
    """A level's encoder stage. It maps the feature map of the next finer level (or the input) to its own.

    Attributes:
        out_channels: channels of its feature map, which the level's skip connection receives.
    """

    out_channels: int


class DecoderStage(Protocol):
    """A level's decoder stage, called with the next coarser feature map and what its skip kept of the encoder's.

    Attributes:
        skip: the level's skip connection. The network calls its ``keep``, the stage its ``join`` or ``transfer``.
        out_channels: channels of the stage's feature map.
    """

    skip: SkipConnection
    out_channels: int


# Builds a level's skip connection for the decoder's channels at that level: make_skip(decoder_channels=64).
MakeSkip = Callable[..., SkipConnection]


class EncoderDecoder(nn.Module):
    """An encoder-decoder: stages down, stages up, a skip connection per level between them.

    A network is a subclass whose constructor builds the stages and passes them to this one. A stage can be any module:
    dense blocks of growing width, several residual blocks, a stage followed by channel recalibration. The only width
    that matters is a stage's ``out_channels``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output: the classes, background included.
        strides: stride between each level and the next coarser one, one number per axis.
        encoder: the :class:`EncoderStage` of each level, finest first.
        skip: a name, ``(name, options)``, or a list with one of these per skip, finest level first.
        make_stage: builds the :class:`DecoderStage` of a level. Its arguments are the level (0 is the finest), the
            channels of the next coarser feature map, and a :data:`MakeSkip`. It is called for the deepest level first.
        make_head: builds the module that maps the finest feature map to logits, from the number of its channels.
        deep_supervision: in training mode, return a list of logits, finest first, one per decoder level.
        recalibrate: squeeze & excitation after stages: ``"cse"``, ``"sse"``, ``"scse"``, ``"project_excite"``, or a
            pair of a name and its options. None for none. See :mod:`~pipeline.networks.squeeze_excitation`.
        recalibrate_at: the stages: ``"encoder"`` (all but the deepest), ``"bottleneck"`` (the deepest), ``"decoder"``.

    Raises:
        ValueError: ``skip`` has another form or length, a name in it is not registered, a skip or recalibration does
            not take its options, or a skip overrides ``forward``.

    Shapes: input (N, in_channels, *spatial), each spatial size divisible by its axis's entry of ``size_divisor``, the
    product of the axis's strides; output (N, out_channels, *spatial), logits.
    """

    if TYPE_CHECKING:  # TorchScript would read annotations of the class as its own types.
        title: str
        publication: str
        reference: str
        spec: dict[str, Any] | None
        spatial_dims: int
        in_channels: int
        out_channels: int
        channels: tuple[int, ...]
        size_divisor: tuple[int, ...]
        levels: int
        deep_supervision: bool
        decoder: Any  # a list of modules, each a DecoderStage

    title = "encoder-decoder"
    publication = ""
    reference = ""
    spec = None
    # Not `Final`: TorchScript does not look for that in a base class.
    __constants__ = ["deep_supervision", "levels", "size_divisor", "spatial_dims"]  # noqa: RUF012

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        strides: Sequence[tuple[int, ...]],
        encoder: Sequence[EncoderStage],
        skip: LayerSpec | Sequence[LayerSpec],
        make_stage: Callable[[int, int, MakeSkip], DecoderStage],
        make_head: Callable[[int], nn.Module],
        deep_supervision: bool = False,
        recalibrate: LayerSpec | None = None,
        recalibrate_at: Sequence[str] = RECALIBRATED,
    ) -> None:
        super().__init__()
        if not isinstance(deep_supervision, bool):
            msg = f"deep_supervision is {deep_supervision!r}; expected true or false"
            raise ValueError(msg)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.size_divisor = size_divisor(strides)
        self.spatial_dims = len(self.size_divisor)
        if self.spatial_dims not in (2, 3):
            msg = f"spatial_dims is {self.spatial_dims}; expected 2 or 3"
            raise ValueError(msg)
        self.channels = tuple(stage.out_channels for stage in encoder)
        self.levels = len(encoder)
        self.deep_supervision = deep_supervision
        self.encoder = nn.ModuleList(cast("Sequence[nn.Module]", encoder))
        skips = skip_per_level(skip, self.levels - 1)
        # Deepest level first, the order in which they run.
        self.decoder = nn.ModuleList()
        widths = [self.channels[-1]]
        for level in reversed(range(self.levels - 1)):
            make_skip = partial(
                build_skip, skips[level], spatial_dims=self.spatial_dims, encoder_channels=self.channels[level]
            )
            stage = make_stage(level, widths[-1], make_skip)
            _refuse_own_forward(stage.skip)
            self.decoder.append(stage)
            widths.append(stage.out_channels)
        places = ["encoder"] * (self.levels - 1) + ["bottleneck"]
        self.recalibrate_encoder = self._build_recalibration(recalibrate, recalibrate_at, places, self.channels)
        places = ["decoder"] * (self.levels - 1)
        self.recalibrate_decoder = self._build_recalibration(recalibrate, recalibrate_at, places, widths[1:])
        self.head = make_head(widths[-1])
        pointwise = Conv[Conv.CONV, self.spatial_dims]
        self.deep_heads = nn.ModuleList(
            [pointwise(width, out_channels, kernel_size=1) for width in widths[1:-1]] if deep_supervision else []
        )

    def skips(self) -> dict[str, SkipConnection]:
        """Return the skip connections, finest level first, by their names in the network's state dict."""
        return {f"decoder.{i}.skip": self.decoder[i].skip for i in reversed(range(len(self.decoder)))}

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Map (N, in_channels, *spatial) to logits (N, out_channels, *spatial).

        Raises:
            ValueError: a spatial size is not divisible by its entry of ``size_divisor``. The message names sizes that
                are.
        """
        self._check_size(x)
        kept: list[Tensor] = []
        for level, (stage, recalibrate) in enumerate(zip(self.encoder, self.recalibrate_encoder)):  # noqa: B905
            x = recalibrate(stage(x))
            # The decoder runs deepest first. A light skip reduces the feature map now, so that memory does not
            # hold all of it until the decoder needs it.
            for i, up in enumerate(self.decoder):
                if level + i + 2 == self.levels:
                    kept.append(up.skip.keep(x))
        outputs: list[Tensor] = []
        for stage, recalibrate in zip(self.decoder, self.recalibrate_decoder):  # noqa: B905
            x = recalibrate(stage(x, kept.pop()))
            if self.deep_supervision:
                outputs.append(x)
        logits = self.head(x)
        if self.deep_supervision and self.training:
            supervised = [logits]
            for i, head in enumerate(self.deep_heads):
                supervised.insert(1, head(outputs[i]))
            return supervised
        return logits

    def _build_recalibration(
        self, spec: LayerSpec | None, chosen: Sequence[str], places: Sequence[str], widths: Sequence[int]
    ) -> nn.ModuleList:
        """Return a module per stage: squeeze & excitation where ``chosen`` has the stage's place, else an identity."""
        if not isinstance(chosen, list | tuple) or (spec is not None and not chosen):
            msg = f"recalibrate_at is {chosen!r}; expected a list of {', '.join(RECALIBRATED)}"
            raise ValueError(msg)
        for place in chosen:
            require_one_of("recalibrate_at", place, RECALIBRATED)
        if len(set(chosen)) < len(chosen):
            msg = f"recalibrate_at is {list(chosen)}; expected each place once"
            raise ValueError(msg)
        return nn.ModuleList(
            [
                nn.Identity()
                if spec is None or place not in chosen
                else build_recalibration(spec, spatial_dims=self.spatial_dims, channels=width)
                for place, width in zip(places, widths, strict=True)
            ]
        )

    def _check_size(self, x: Tensor) -> None:
        if x.dim() != self.spatial_dims + 2:
            raise ValueError(
                f"input has {x.dim()} dimensions; expected {self.spatial_dims + 2}: batch, channels and "
                f"{self.spatial_dims} spatial dimensions"
            )
        sizes = x.shape[2:]
        # TorchScript has no zip of a tuple, no `strict` and no generators.
        divisor = list(self.size_divisor)
        if any([size % d != 0 or size == 0 for size, d in zip(sizes, divisor)]):  # noqa: B905, C419
            smaller = [max(size // d, 1) * d for size, d in zip(sizes, divisor)]  # noqa: B905
            larger = [(max(size, 1) + d - 1) // d * d for size, d in zip(sizes, divisor)]  # noqa: B905
            multiple = f"{divisor[0]}" if min(divisor) == max(divisor) else f"{self.size_divisor}"
            raise ValueError(
                f"spatial size {list(sizes)} does not fit: each must be a multiple of {multiple}; "
                f"the nearest that fit are {smaller} and {larger}"
            )


def _refuse_own_forward(skip: SkipConnection) -> None:
    if type(skip).forward is not SkipConnection.forward:
        msg = (
            f"the skip connection {type(skip).__name__} overrides forward, which no network calls; "
            "override join instead"
        )
        raise ValueError(msg)
