"""What a trained network's gates say: selected channels, learned numbers, and the means of gates over cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from monai.networks.nets.attentionunet import AttentionBlock
from torch import Tensor, nn

from ..networks.select_attend_transfer import Select
from .levels import Level

__all__ = ["GateMeans", "describe_inner_selections", "describe_weights", "watch_gates"]

See = Callable[[str, Tensor], None]


def describe_weights(level: Level) -> dict[str, Any]:
    """Return what a level's skip has learned that needs no scan, ready for JSON.

    ``selection``: the mode of the selection (``soft`` or ``hard``), its weight per encoder channel, and the indices of
    those at or above the threshold. ``alpha``: the number that a ``scalar`` skip multiplies by. Empty for other skips.
    """
    found: dict[str, Any] = {}
    for module in level.skip.modules():
        if isinstance(module, Select):
            found["selection"] = _describe_selection(module)
    alpha: Any = getattr(level.skip, "alpha", None)
    if callable(alpha):
        found["alpha"] = round(float(alpha().detach()), 6)
    return found


def describe_inner_selections(network: nn.Module, levels: Sequence[Level]) -> dict[str, Any]:
    """Return the selections outside of skips, by their name in the network: those inside of Tiramisu's dense blocks."""
    inside = tuple(level.name for level in levels)
    return {
        name.removesuffix(".select"): _describe_selection(module)
        for name, module in network.named_modules()
        if isinstance(module, Select) and not name.startswith(inside)
    }


def _describe_selection(select: Select) -> dict[str, Any]:
    return {
        "mode": select.mode,
        "threshold": select.threshold,
        "weights": [round(float(weight), 6) for weight in select.weight.detach()],
        "selected": select.selected(),
    }


class GateMeans:
    """The mean of each gate over its values, over windows and cases: call it with what `watch_gates` sees."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, name: str, gate: Tensor) -> None:
        """Add the gates (N, ...) of a batch of windows."""
        means = gate.float().flatten(1).mean(dim=1)
        self._sums[name] = self._sums.get(name, 0.0) + float(means.sum())
        self._counts[name] = self._counts.get(name, 0) + len(means)

    def means(self, prefix: str = "") -> dict[str, float]:
        """Return the mean of each gate whose name begins so, by the rest of its name."""
        return {
            name.removeprefix(prefix).removeprefix("."): round(total / self._counts[name], 6)
            for name, total in self._sums.items()
            if name.startswith(prefix)
        }


@contextmanager
def watch_gates(network: nn.Module, see: See) -> Iterator[None]:
    """Call a function with every gate that the network computes inside the block.

    Gates are those of squeeze & excitation (their method ``gate``) and of MONAI's ``AttentionBlock`` (its ``psi``).

    Args:
        network: the network, or one of its parts.
        see: called with the name of the gate's module and the gates: (N, C, 1, ...) for channels, (N, 1, *spatial) for
            positions, (N, C, *spatial) for both.
    """
    changed: list[nn.Module] = []
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, AttentionBlock):
            hooks.append(module.psi.register_forward_hook(_hook(name, see)))
        elif callable(getattr(type(module), "gate", None)):
            setattr(module, "gate", _watched(getattr(module, "gate"), name, see))  # noqa: B009, B010 - a method
            changed.append(module)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in changed:
            delattr(module, "gate")


def _hook(name: str, see: See) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        see(name, output)

    return hook


def _watched(own: Callable[[Tensor], Tensor], name: str, see: See) -> Callable[[Tensor], Tensor]:
    def gate(x: Tensor) -> Tensor:
        gates = own(x)
        see(name, gates)
        return gates

    return gate
