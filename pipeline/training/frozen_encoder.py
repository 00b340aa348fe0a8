"""Keep an encoder as it is while the rest of a network trains: its parameters and its running statistics."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from monai.networks.utils import freeze_layers
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..data.errors import InputError

__all__ = ["FrozenEncoder"]

# The parts of LightSkip's networks before the decoder: the stages, and squeeze & excitation after them.
_ENCODER = ("encoder.", "recalibrate_encoder.")


class FrozenEncoder:
    """Freeze an encoder, and release it again.

    A frozen parameter gets no gradient, so an optimiser neither moves it nor keeps a state for it: PyTorch's
    optimisers and Muon skip it, weight decay included. Normalisations with running statistics use them and keep them.

    Args:
        network: the network.
        names: names of its tensors that may be frozen; those of the encoder among them are.
        only_gradients: discard the gradients instead of not computing them. ``DistributedDataParallel`` expects them of
            every parameter that had them when it was made.

    Raises:
        InputError: none of the encoder's parameters may be frozen.
    """

    def __init__(self, network: nn.Module, names: Collection[str], *, only_gradients: bool = False) -> None:
        self.network = network
        self.only_gradients = only_gradients
        self.is_on = False
        chosen = {name for name in names if name.startswith(_ENCODER)}
        self._parameters = {name: one for name, one in network.named_parameters() if name in chosen}
        if not self._parameters:
            raise InputError(
                "--frozen_epochs",
                found="no tensor of the network's encoder that was taken whole from the weights to start from",
                expected="weights whose encoder fits",
                remedy="leave --frozen_epochs out, or use weights of a network with the same channels and kernel_size",
            )
        self._norms = [
            module
            for name, module in network.named_modules()
            if f"{name}.running_mean" in chosen and isinstance(module, nn.modules.batchnorm._NormBase)
        ]
        self._hooks: list[RemovableHandle] = []

    def freeze(self) -> int:
        """Freeze the encoder; return the number of its tensors that are frozen."""
        self.is_on = True
        if self._parameters and not self.only_gradients:
            freeze_layers(self.network, freeze_vars=f"^({'|'.join(map(re.escape, self._parameters))})$")
        # MONAI's trainer sets the whole network to training mode before each step.
        self._hooks = [norm.register_forward_pre_hook(_evaluate) for norm in self._norms]
        self.drop_gradients()
        return len(self._parameters)

    def release(self) -> None:
        """Let the encoder train."""
        self.is_on = False
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def drop_gradients(self) -> None:
        """Discard the gradients of frozen parameters, before the optimiser uses them."""
        if self.is_on:
            for parameter in self._parameters.values():
                parameter.grad = None


def _evaluate(module: nn.Module, _: Any) -> None:
    module.eval()
