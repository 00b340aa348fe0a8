"""Gated skip connections: the attention gate, which asks the decoder, and one learned number per skip."""

import math

import torch
import torch.nn.functional as F
from monai.networks.nets.attentionunet import AttentionBlock
from torch import Tensor, nn

from .blocks import require_one_of
from .skips import Skip, SkipConnection, SumSkip, project_if_needed

__all__ = ["AttentionGateSkip", "ScalarSkip"]


@Skip.register("attention_gate")
class AttentionGateSkip(SkipConnection):
    """Attention gate: concatenate the encoder's feature map, each position times a gate that the decoder helps choose.

    ``x * sigmoid(norm(psi(relu(norm(W_x x) + norm(W_g g)))))``, with one gate per position (Oktay et al., "Attention
    U-Net", arXiv 1804.03999). ``x`` is the encoder's feature map and ``g`` the decoder's. It is MONAI's
    ``AttentionBlock``, whose ``g`` is the decoder's feature map after upsampling. The published gate takes it before,
    and resamples the gate.

    All of the encoder's feature map is kept: the gate multiplies it, so a reduced map would not be exact.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
        hidden: channels of ``W_x x`` and ``W_g g``. None is C_e // 2 and at least 1, as in MONAI's ``AttentionUnet``.
        norm: normalisation after each of the three 1x1 convolutions: ``"batch"``, as in MONAI, or None for none.
        merge: ``"concat"`` as published, or ``"sum"``, with a 1x1 convolution where C_e and C_d differ.

    Raises:
        ValueError: ``hidden`` is below 1, or ``norm`` has another value.
    """

    def __init__(
        self,
        spatial_dims: int,
        encoder_channels: int,
        decoder_channels: int,
        *,
        hidden: int | None = None,
        norm: str | None = "batch",
        merge: str = "concat",
    ) -> None:
        super().__init__(
            decoder_channels=decoder_channels,
            transferred_channels=decoder_channels if merge == "sum" else encoder_channels,
            merge=merge,
        )
        if hidden is None:
            hidden = max(encoder_channels // 2, 1)
        if type(hidden) is not int or hidden < 1:
            msg = f"hidden is {hidden!r}; expected a number of channels, at least 1"
            raise ValueError(msg)
        require_one_of("norm", norm or "none", ("batch", "none"))
        self.gate = AttentionBlock(spatial_dims, f_int=hidden, f_g=decoder_channels, f_l=encoder_channels)
        if norm is None:
            for layers in (self.gate.W_g, self.gate.W_x, self.gate.psi):
                layers[1] = nn.Identity()
        self.project = project_if_needed(spatial_dims, encoder_channels, self.transferred_channels)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Return the gated feature map, shape (N, C_t, *spatial)."""
        return self.project(self.gate(decoder, kept))


@Skip.register("scalar")
class ScalarSkip(SumSkip):
    """Scalar gate: add the encoder's feature map times one learned number that is never negative.

    ``decoder + softplus(beta) * encoder``, with one learned ``beta`` per skip (Additive U-Net, arXiv 2601.13208).
    LightSkip's choices: the number starts at 1, so that training starts from ``sum``, and a 1x1 convolution comes
    before the sum where the channels differ.

    Args:
        spatial_dims: 2 or 3.
        encoder_channels: channels of the encoder's feature map, C_e.
        decoder_channels: channels of the decoder's feature map, C_d.
    """

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:
        super().__init__(spatial_dims, encoder_channels, decoder_channels)
        # The softplus of this is 1.
        self.beta = nn.Parameter(torch.tensor(math.log(math.e - 1)))

    def alpha(self) -> Tensor:
        """Return the number that multiplies the feature map, a scalar above 0."""
        return F.softplus(self.beta)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the feature map to add, shape (N, C_d, *spatial)."""
        return self.alpha().to(kept.dtype) * self.project_late(kept)

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Return the sum, shape (N, C_d, *spatial)."""
        kept = self.project_late(kept)
        # In one pass, without a scaled copy.
        return torch.addcmul(decoder, kept.to(decoder.dtype), self.alpha().to(decoder.dtype))
