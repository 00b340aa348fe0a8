"""Skip connections: what a decoder level receives from the encoder level of the same resolution.

Every skip connection is a module ``skip(encoder, decoder) -> merged``. Its attributes are the number of channels that
it transfers (``transferred_channels``), how they are merged (``merge``) and the channels of the result
(``merged_channels``). ``Skip`` is the registry of the names in configs:

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

__all__ = ["Skip", "SkipConnection", "SumSkip", "build_skip", "project_if_needed", "skip_per_level"]

_FORMS = (
    'expected a name ("sat"), a pair of a name and its options (["sat", {"select": "hard"}]), '
    'or a list with one of these per level, finest first (["none", "sat"])'
)
# Options of a single skip that choose the levels at which it is.
_CHOICES = frozenset({"only", "all_but"})


Skip = Registry(
    name="Skip connections", description="What a decoder level receives from the encoder.", noun="skip connection"
)


class SkipConnection(nn.Module):
    """A skip connection between the encoder and the decoder at one level.

    Subclasses implement :meth:`transfer`. Their first arguments are ``spatial_dims``, ``encoder_channels`` and
    ``decoder_channels``; their own options are keywords.

    Networks call :meth:`keep` after the encoder computed its feature map, and :meth:`join` when the decoder reaches the
    level. :meth:`forward` does both at once. :meth:`join` merges by concatenation or sum. A network may call
    :meth:`transfer` alone and merge by itself, as :class:`~pipeline.networks.VNet` does with ``residual="decoder"``;
    it then refuses a subclass that overrides ``join`` and transfers channels. Every network refuses a subclass that
    overrides ``forward``, because networks do not call it.

    Args:
        decoder_channels: channels of the decoder's upsampled feature map, C_d.
        transferred_channels: channels that :meth:`transfer` returns, C_t. 0 for a skip that transfers nothing.
        merge: ``"concat"`` appends the transferred channels to the decoder's, ``"sum"`` adds them (C_t = C_d).
    """

    merge: Final[str]
    decoder_channels: Final[int]
    transferred_channels: Final[int]
    merged_channels: Final[int]

    def __init__(self, *, decoder_channels: int, transferred_channels: int, merge: str = "concat") -> None:
        super().__init__()
        if merge not in ("concat", "sum"):
            msg = f"merge is '{merge}'; expected 'concat' or 'sum'"
            raise ValueError(msg)
        if merge == "sum" and transferred_channels != decoder_channels:
            msg = (
                f"a skip with merge 'sum' transfers {transferred_channels} channels; expected {decoder_channels}, as "
                "many as the decoder has"
            )
            raise ValueError(msg)
        self.merge = merge
        self.decoder_channels = decoder_channels
        self.transferred_channels = transferred_channels
        self.merged_channels = decoder_channels + (transferred_channels if merge == "concat" else 0)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return what to keep of the encoder's feature map until the decoder reaches its level.

        Networks call this as soon as the encoder computed its feature map, and keep only the result. A light skip
        reduces the feature map here. By default all of it is kept.

        Args:
            encoder: the encoder's feature map, shape (N, C_e, *spatial).

        Returns:
            Shape (N, C_k, *spatial), for :meth:`transfer`.
        """
        return encoder

    @abstractmethod
    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Return the tensor to merge into the decoder's.

        Args:
            kept: the result of :meth:`keep`, shape (N, C_k, *spatial); usually the encoder's feature map.
            decoder: the decoder's feature map at the same resolution, shape (N, C_d, *spatial).

        Returns:
            Shape (N, C_t, *spatial).
        """

    def forward(self, encoder: Tensor, decoder: Tensor) -> Tensor:
        """Return the merged feature map, shape (N, merged_channels, *spatial)."""
        return self.join(self.keep(encoder), decoder)

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:
        """Return the merged feature map from the result of :meth:`keep`, shape (N, merged_channels, *spatial)."""
        transferred = self.transfer(kept, decoder)
        if self.merge == "sum":
            return decoder + transferred
        return torch.cat((decoder, transferred), dim=1)


@Skip.register("concat")
class ConcatSkip(SkipConnection):
    """Concatenate the whole encoder feature map, as the published V-Net and U-Net do (ORG in the paper)."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=encoder_channels)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the encoder's feature map, shape (N, C_e, *spatial)."""
        return kept


@Skip.register("sum")
class SumSkip(SkipConnection):
    """Add the encoder feature map to the decoder's, through a 1x1 convolution if their channels differ."""

    projects_early: Final[bool]

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:
        super().__init__(decoder_channels=decoder_channels, transferred_channels=decoder_channels, merge="sum")
        self.project = project_if_needed(spatial_dims, encoder_channels, decoder_channels)
        self.projects_early = decoder_channels < encoder_channels

    def keep(self, encoder: Tensor) -> Tensor:
        """Return the feature map, projected if that makes it smaller: shape (N, min(C_e, C_d), *spatial)."""
        return self.project(encoder) if self.projects_early else encoder

    def project_late(self, kept: Tensor) -> Tensor:
        """Return the feature map in the decoder's channels, shape (N, C_d, *spatial)."""
        return kept if self.projects_early else self.project(kept)

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the feature map to add, shape (N, C_d, *spatial)."""
        return self.project_late(kept)


@Skip.register("none")
class NoSkip(SkipConnection):
    """Transfer nothing: the decoder only has the next coarser feature map."""

    def __init__(self, spatial_dims: int, encoder_channels: int, decoder_channels: int) -> None:  # noqa: ARG002
        super().__init__(decoder_channels=decoder_channels, transferred_channels=0)

    def keep(self, encoder: Tensor) -> Tensor:
        """Return no channels, shape (N, 0, *spatial). A copy: a slice would keep the whole feature map in memory."""
        return encoder[:, :0].clone()

    def transfer(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return no channels, shape (N, 0, *spatial)."""
        return kept

    def join(self, kept: Tensor, decoder: Tensor) -> Tensor:  # noqa: ARG002
        """Return the decoder's feature map as it is, shape (N, C_d, *spatial)."""
        return decoder


def project_if_needed(spatial_dims: int, in_channels: int, out_channels: int) -> nn.Module:
    """Return a 1x1 convolution, or an identity if the channels are equal."""
    if in_channels == out_channels:
        return nn.Identity()
    conv: nn.Module = Conv[Conv.CONV, spatial_dims](in_channels, out_channels, kernel_size=1)
    return conv


def skip_per_level(skip: LayerSpec | Sequence[LayerSpec], levels: int) -> list[LayerSpec]:
    """Return one skip per level.

    Args:
        skip: a registered name, a pair of a name and its options such as ``("sat", {"select": "hard"})``, or a list
            with one of these per level, finest first. For a single skip the options can have ``only`` or ``all_but``:
            a level or a list of levels, 0 is the finest. ``("concat", {"only": 0})`` is ``concat`` at the finest level
            and ``none`` elsewhere; ``("concat", {"all_but": 0})`` is the opposite.
        levels: number of skips.

    Raises:
        ValueError: it has none of these forms or another length, a name in the list is not registered, or a level does
            not exist.
    """
    if _is_one_skip(skip):
        return _expand(skip, levels)
    if not isinstance(skip, list | tuple) or not all(_is_one_skip(entry) for entry in skip):
        msg = f"skip is {skip!r}; {_FORMS}"
        raise ValueError(msg)
    try:
        for entry in skip:
            name, options = split_args(entry)
            Skip[name]
            if chosen := _CHOICES & set(options):
                msg = f"found {min(chosen)!r} in a list with a skip per level; expected it for a single skip"
                raise ValueError(msg)
        return per_level("skip", skip, levels)
    except ValueError as error:
        # ("sat", "hard") means two names, one per level, but the user may have meant a name and its option.
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
        ValueError: the name is not registered, or the skip does not take an option. The message has the nearest
            names.
    """
    name, options = split_args(skip)
    built: SkipConnection = Skip.build(name, options, spatial_dims, encoder_channels, decoder_channels)
    return built


def _expand(skip: LayerSpec, levels: int) -> list[LayerSpec]:
    """Return the skip at each level that ``only`` or ``all_but`` leave it, and ``none`` at the others."""
    name, options = split_args(skip)
    chosen = _CHOICES & set(options)
    if not chosen:
        return [skip] * levels
    if len(chosen) > 1:
        msg = f"skip is {skip!r}; expected 'only' or 'all_but', not both"
        raise ValueError(msg)
    (word,) = chosen
    wanted = options[word] if isinstance(options[word], list | tuple) else [options[word]]
    if not wanted or not all(type(level) is int and 0 <= level < levels for level in wanted):
        msg = (
            f"skip is {skip!r}; expected a level of 0 (the finest) to {levels - 1}, or a list of these, after "
            f"'{word}': a network of {levels + 1} levels has {levels} skips"
        )
        raise ValueError(msg)
    own: LayerSpec = (name, {key: value for key, value in options.items() if key not in _CHOICES})
    return [own if (level in wanted) == (word == "only") else "none" for level in range(levels)]


def _is_one_skip(skip: Any) -> TypeGuard[LayerSpec]:
    if isinstance(skip, str):
        return True
    is_pair = isinstance(skip, list | tuple) and len(skip) == 2
    return is_pair and isinstance(skip[0], str) and isinstance(skip[1], dict)
