"""The protocol that LightSkip's networks follow, and how to build one from its spec."""

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

    It maps (N, in_channels, *spatial) to logits (N, out_channels, *spatial). In training mode with deep supervision it
    returns a list of logits, finest first. :class:`~pipeline.networks.encoder_decoder.EncoderDecoder` implements this.

    Attributes:
        title: its common name, such as "V-Net".
        publication: where it was published, such as "Milletari et al., arXiv 1606.04797". Empty for none.
        reference: the same for a list of references, with the paper's title. Empty for none.
        spatial_dims: 2 or 3.
        in_channels: channels of the input.
        out_channels: number of classes, background included.
        channels: width of each encoder level, finest first.
        size_divisor: the numbers that must divide the spatial sizes, one per axis.
        spec: its registered name (``name``) and its arguments, JSON-able. None for a class that is not registered.
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
        ValueError: the name is missing or not registered (the message has the nearest names), or the network does not
            accept an argument.
    """
    if not isinstance(spec.get("name"), str):
        msg = f"found the network name {spec.get('name')!r}; expected one of {', '.join(_known_names())} as `name`"
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


def _known_names() -> list[str]:
    return [name.lower() for name in Networks.names]
