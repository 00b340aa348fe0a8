"""Skip connections: what a decoder level receives from the encoder level of the same resolution.

Every skip connection is a module ``skip(encoder, decoder) -> merged``. It says how many channels it transfers
(``transferred_channels``), how they join the decoder (``merge``) and how wide the result is (``merged_channels``).
``Skip`` is the registry; a name in a config is a name in it:

    >>> Skip["sat"](3, encoder_channels=64, decoder_channels=64, select="hard")
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final, TypeGuard

import torch
from monai.networks.layers.factories import Conv, split_args
from torch import Tensor, nn

from .blocks import LayerSpec
from .levels import per_level
from .registry import Registry

__all__ = ["Skip", "SkipConnection", "build_skip", "skip_per_level"]

_FORMS = (
    'it can be a name ("sat"), a pair of a name and its options (["sat", {"select": "hard"}]), '
    'or a list with one of these per level, finest first (["none", "sat"])'
)


Skip = Registry(
    name="Skip connections", description="What a decoder level receives from the encoder.", noun="skip connection"
)


class SkipConnection(nn.Module):
    """A skip connection between the encoder and the decoder at one level.

    Subclasses write :meth:`transfer`. They take ``spatial_dims``, ``encoder_channels`` and ``decoder_channels`` first
    and their own options by keyword.

    Networks call :meth:`keep` when the encoder has made its feature map, and :meth:`join` when the decoder has come up
    to the level; :meth:`forward` does both at once. :meth:`join` is this class's: it merges by concatenation or sum. A
    network may call :meth:`transfer` alone and merge by itself, as :class:`~pipeline.networks.VNet` does with
    ``residual="decoder"``. So a subclass that writes a ``join`` of its own, and transfers channels, is refused there;
    one that writes a ``forward`` of its own is refused by every network, which would not call it.

    Args:
        decoder_channels: channels of the decoder's upsampled feature map, C_d.
        transferred_channels: channels that :meth:`transfer` returns, C_t; 0 for a skip that transfers nothing.
        merge: ``"concat"`` appends the transferred channels to the decoder's, ``"sum"`` adds them (C_t = C_d).
    """

    merge: Final[str]
    decoder_channels: Final[int]
    transferred_channels: Final[int]
    merged_channels: Final[int]

    def __init__(self, *, decoder_channels: int, transferred_channels: int, merge: str = "concat") -> None:
        super().__init__()
        if merge not in ("concat", "sum"):
            msg = f"merge is '{merge}'; it is 'concat' or 'sum'"
            raise ValueError(msg)
        if merge == "sum" and transferred_channels != decoder_channels:
            msg = f"a sum needs equal channels, but the skip hands over {transferred_channels} to {decoder_channels}"
            raise ValueError(msg)
        self.merge = merge
        self.decoder_channels = decoder_channels
        self.transferred_channels = transferred_channels
        self.merged_channels = decoder_channels + (transferred_channels if merge == "concat" else 0)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return what is kept of the encoder's feature map until the decoder reaches its level.

        Networks call this as soon as the encoder has made its feature map, and hold nothing else of it. A light skip
        reduces it here; by default all of it is kept.

        Args:
            encoder: the encoder's feature map, shape (N, C_e, *spatial).

        Returns:
            Shape (N, C_k, *spatial): what :meth:`transfer` takes.
        """
        return encoder

    @abstractmethod
    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Return what the decoder gets.

        Args:
            kept: what :meth:`keep` gave, shape (N, C_k, *spatial): the encoder's feature map as a rule.
            decoder: the decoder's feature map at the same resolution, shape (N, C_d, *spatial).

        Returns:
            Shape (N, C_t, *spatial).
        """

    def forward(self, encoder: Tensor, decoder: Tensor) -> Tensor:
        """Merge what is transferred into the decoder: shape (N, merged_channels, *spatial)."""
        return self.join(self.keep(encoder), decoder)

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Merge what is transferred into the decoder, from what :meth:`keep` gave: (N, merged_channels, *spatial)."""
        transferred = self.transfer(kept, decoder)
        if self.merge == "sum":
            return decoder + transferred
        return torch.cat((decoder, transferred), dim=1)


@Skip.register("concat")
class ConcatSkip(SkipConnection):
    """The whole encoder feature map is concatenated: the published V-Net and U-Net (ORG in the paper)."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the encoder's feature map, shape (N, C_e, *spatial)."""
        return kept


@Skip.register("sum")
class SumSkip(SkipConnection):
    """The encoder feature map is added to the decoder's, through a 1x1 convolution where channels differ."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:
        super().__init__(decoder_channels=decoder_channels, transferred_channels=decoder_channels, merge="sum")
        self.project: nn.Module = nn.Identity()
        if encoder_channels != decoder_channels:
            self.project = Conv[Conv.CONV, spatial_dims](encoder_channels, decoder_channels, kernel_size=1)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the feature map to add, shape (N, C_d, *spatial)."""
        return self.project(kept)


@Skip.register("none")
class NoSkip(SkipConnection):
    """Nothing is transferred: the decoder works from below alone."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=0)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return no channels, shape (N, 0, *spatial); a copy, as a slice would hold on to the whole feature map."""
        return encoder[:, :0].clone()

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return no channels, shape (N, 0, *spatial)."""
        return kept

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the decoder's feature map as it is, shape (N, C_d, *spatial)."""
        return decoder


def skip_per_level(skip: LayerSpec | Sequence[LayerSpec], levels: int) -> list[LayerSpec]:
    """Return one skip per level.

    Args:
        skip: a registered name, a pair of a name and its options such as ``("sat", {"select": "hard"})``, or a list
            with one of these per level, finest first.
        levels: how many skips there are.

    Raises:
        ValueError: when it has none of these forms, is of another length, or a name in the list is not registered.
    """
    if _is_one_skip(skip):
        return [skip] * levels
    if not isinstance(skip, list | tuple) or not all(_is_one_skip(entry) for entry in skip):
        msg = f"skip is {skip!r}; {_FORMS}"
        raise ValueError(msg)
    try:
        for entry in skip:
            Skip[entry if isinstance(entry, str) else entry[0]]
        return per_level("skip", skip, levels)
    except ValueError as error:
        # ("sat", "hard") is two names, one per level, but may have been meant as a name and its option.
        msg = f"{error}; skip is {skip!r}; {_FORMS}"
        raise ValueError(msg) from error


def build_skip(
    skip: LayerSpec,
    *,
    spatial_dims: int,
    encoder_channels: int,
    decoder_channels: int,
) -> SkipConnection:
    """Build the skip connection that a config names.

    Args:
        skip: a registered name, or a pair of a name and its options such as ``("sat", {"select": "hard"})``.
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map.
        decoder_channels: channels of the decoder's feature map.

    Raises:
        ValueError: when the name is not registered; the message names the nearest.
        TypeError: when the skip connection does not take an option.
    """
    name, options = split_args(skip)
    built: SkipConnection = Skip[name](spatial_dims, encoder_channels, decoder_channels, **options)
    return built


def _is_one_skip(skip: Any) -> TypeGuard[LayerSpec]:
    if isinstance(skip, str):
        return True
    is_pair = isinstance(skip, list | tuple) and len(skip) == 2
    return is_pair and isinstance(skip[0], str) and isinstance(skip[1], dict)
