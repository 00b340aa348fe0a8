"""What the rest of LightSkip asks of a network, and how one is built from its spec."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

from .registry import NetworkRegistry
from .skips import SkipConnection

__all__ = ["Network", "Networks", "build_network"]

Networks = NetworkRegistry(
    name="Networks", description="Encoder-decoders with a skip connection per level.", noun="network"
)


@runtime_checkable
class Network(Protocol):
    """A segmentation network with a skip connection per level.

    It maps (N, in_channels, *spatial) to logits (N, out_channels, *spatial); in training mode, with deep supervision,
    to a list of logits, finest first. :class:`~pipeline.networks.encoder_decoder.EncoderDecoder` has all of this.

    Attributes:
        title: what people call it, such as "V-Net".
        publication: where it was published, such as "Milletari et al., arXiv 1606.04797"; empty for none.
        reference: the same as a list of references has it, with the paper's title; empty for none.
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: the classes, background included.
        channels: width of each encoder level, finest first.
        size_divisor: what spatial sizes must divide by, one number per axis.
        spec: what builds it, JSON-able: its registered name as ``name``, and its arguments. None for a class that is
            not registered.
    """

    title: str
    publication: str
    reference: str
    spatial_dims: int
    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    size_divisor: tuple[int, ...]
    spec: dict[str, Any] | None

    def skips(self) -> dict[str, SkipConnection]:
        """Return the skip connections, finest level first, by their names in the network's state dict."""
        ...


def build_network(spec: Mapping[str, Any]) -> Any:
    """Build the network that a spec describes.

    Args:
        spec: ``name``, a registered network (case is ignored), and its arguments.

    Returns:
        The network, an ``nn.Module`` and a :class:`Network`, with new weights.

    Raises:
        ValueError: the name is missing or not registered (the message names the nearest), or the network does not take
            an argument.
    """
    if not isinstance(spec.get("name"), str):
        msg = f"a network's spec has a name, one of {', '.join(_known())}; found {spec.get('name')!r}"
        raise ValueError(msg)
    arguments = {key: value for key, value in spec.items() if key != "name"}
    network_type: type[nn.Module] = Networks[spec["name"]]
    try:
        return network_type(**arguments)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        msg = f"the network {spec['name']}: {error}"
        raise ValueError(msg) from error


def _known() -> list[str]:
    return [name.lower() for name in Networks.names]
