"""Squeeze and excitation as skip connections: the gated feature map is added to the decoder's, or concatenated.

The gates and their papers are in :mod:`~pipeline.networks.squeeze_excitation`. Their use on a skip is LightSkip's.
"""

from typing import Any, Final

from torch import Tensor

from .skips import Skip, SkipConnection, project_if_needed
from .squeeze_excitation import (
    ChannelExcitation,
    ProjectExcitation,
    SpatialChannelExcitation,
    SpatialExcitation,
)

__all__ = ["ChannelExciteSkip", "ProjectExciteSkip", "SpatialChannelExciteSkip", "SpatialExciteSkip"]


class _ExcitationSkip(SkipConnection):
    """Transfer the gated feature map: added to the decoder's, or concatenated.

    The encoder's feature map is kept: a gated copy would be no smaller. Where a sum projects it to fewer channels,
    these are kept.
    """

    gates_early: Final[bool]

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, excitation: Any, merge: str
    ) -> None:
        made: int = excitation.out_channels
        if merge == "sum" and made != encoder_channels:
            msg = f"aggregation 'concat' makes {made} channels of {encoder_channels}; expected merge 'concat' with it"
            raise ValueError(msg)
        super().__init__(
            decoder_channels=decoder_channels,
            transferred_channels=decoder_channels if merge == "sum" else made,
            merge=merge,
        )
        self.excitation = excitation
        self.project = project_if_needed(spatial_dims, made, self.transferred_channels)
        self.gates_early = self.transferred_channels < encoder_channels

    def keep(self, encoder: Tensor) -> Tensor:
        """Return the feature map, or what is transferred if that is smaller: shape (N, min(C_e, C_t), *spatial)."""
        return self._gate(encoder) if self.gates_early else encoder

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the gated feature map, shape (N, C_t, *spatial)."""
        return kept if self.gates_early else self._gate(kept)

    def _gate(self, encoder: Tensor) -> Tensor:
        return self.project(self.excitation(encoder))


@Skip.register("cse")
class ChannelExciteSkip(_ExcitationSkip):
    """cSE as a skip: add the encoder's feature map, each channel times its gate.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        reduction: see :class:`ChannelExcitation`.
        merge: ``"sum"``, with a 1x1 convolution where C_e and C_d differ, or ``"concat"``.
    """

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, reduction: int = 2, merge: str = "sum"
    ) -> None:
        excitation = ChannelExcitation(spatial_dims, encoder_channels, reduction=reduction)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("sse")
class SpatialExciteSkip(_ExcitationSkip):
    """sSE as a skip: add the encoder's feature map, each position times its gate.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, merge: str = "sum") -> None:
        excitation = SpatialExcitation(spatial_dims, encoder_channels)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("scse")
class SpatialChannelExciteSkip(_ExcitationSkip):
    """scSE as a skip: add the encoder's feature map, gated by channel and by position.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        aggregation: see :class:`SpatialChannelExcitation`; ``"concat"`` needs ``merge="concat"``.
        reduction: see :class:`ChannelExcitation`.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        aggregation: str = "max",
        reduction: int = 2,
        merge: str = "sum",
    ) -> None:
        excitation = SpatialChannelExcitation(
            spatial_dims, encoder_channels, aggregation=aggregation, reduction=reduction
        )
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)


@Skip.register("project_excite")
class ProjectExciteSkip(_ExcitationSkip):
    """Project & Excite as a skip: add the encoder's feature map times the gates of its profiles.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        reduction: see :class:`ProjectExcitation`.
        merge: as in :class:`ChannelExciteSkip`.
    """

    def __init__(
        self, spatial_dims: int, encoder_channels: int, decoder_channels: int, *, reduction: int = 2, merge: str = "sum"
    ) -> None:
        excitation = ProjectExcitation(spatial_dims, encoder_channels, reduction=reduction)
        super().__init__(spatial_dims, encoder_channels, decoder_channels, excitation, merge)
