"""The trainer that nnU-Net v2 finds as an external trainer. This is the only module that imports nnU-Net.

nnU-Net (Isensee et al., Nature Methods 18, 2021) does everything else: preprocessing, augmentation, Dice and
cross-entropy loss, deep supervision, SGD, validation. Only the network, and the sparsity term of the selecting skips,
are LightSkip's.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from ..files import write_text
from ..networks import EncoderDecoder, sparsity
from .choice import Choice, read_trainer_name
from .network import build_planned_network
from .settings import Settings, read_settings

__all__ = ["LightSkipTrainer", "make_trainer"]


class LightSkipTrainer(nnUNetTrainer):
    """Train a LightSkip network in nnU-Net's pipeline.

    Subclasses differ by ``choice`` only; :func:`make_trainer` makes them. This class itself takes the network from the
    entry ``lightskip`` of the plans.

    Args:
        plans: nnU-Net's plans.
        configuration: name of a configuration in the plans, such as ``3d_fullres``.
        fold: number of the fold, or ``"all"``.
        dataset_json: content of the dataset's ``dataset.json``.
        device: the device to train on.
    """

    choice: ClassVar[Choice] = Choice()

    # nnU-Net reads the names of these arguments to save them, so they must be those of its own trainer.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.choice.epochs is not None:
            self.num_epochs = self.choice.epochs

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: Any,  # noqa: ARG003
        configuration_manager: Any,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> EncoderDecoder:
        """Return the network. nnU-Net calls this for training and for inference.

        Raises:
            InputError: see :func:`~pipeline.nnunet.settings.read_settings` and
                :func:`~pipeline.nnunet.network.build_planned_network`.
        """
        network = build_planned_network(
            configuration_manager.configuration["architecture"],
            cls.read_settings(configuration_manager),
            spatial_dims=len(configuration_manager.patch_size),
            in_channels=num_input_channels,
            out_channels=num_output_channels,
        )
        network.deep_supervision = enable_deep_supervision
        return network

    @classmethod
    def read_settings(cls, configuration_manager: Any) -> Settings:
        """Return the network to train, from the trainer's name and the plans."""
        return read_settings(cls.choice, configuration_manager.configuration)

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """Switch the list of logits on or off."""
        self._bare_network().deep_supervision = enabled

    def on_validation_epoch_start(self) -> None:
        """Set the network to evaluation mode.

        nnU-Net's validation loss is that of all levels, but LightSkip's networks return all levels in training mode
        only. So the network itself stays in training mode. Its layers, which the mode matters for, do not.
        """
        super().on_validation_epoch_start()
        self._bare_network().training = True

    def on_train_start(self) -> None:
        """Write the network's spec and the weight of the sparsity term to ``lightskip.json``, and to the log."""
        super().on_train_start()
        spec = self._bare_network().spec
        weight = self.read_settings(self.configuration_manager).sparsity
        if self.local_rank == 0:
            text = json.dumps({"network": spec, "sparsity": weight}, indent=2)
            write_text(Path(self.output_folder) / "lightskip.json", f"{text}\n")
        self.print_to_log_file(f"LightSkip: network {json.dumps(spec)}, weight of the sparsity term {weight:g}")

    def _build_loss(self) -> nn.Module:
        loss: nn.Module = super()._build_loss()
        weight = self.read_settings(self.configuration_manager).sparsity
        return SparseLoss(loss, self._bare_network(), weight) if weight > 0 else loss

    def _bare_network(self) -> EncoderDecoder:
        """Return the network without the wrappers of several processes and of ``torch.compile``."""
        network = self.network.module if self.is_ddp else self.network
        bare: EncoderDecoder = getattr(network, "_orig_mod", network)
        return bare


class SparseLoss(nn.Module):
    """``loss(outputs, targets) + weight * sparsity(network)``, with nnU-Net's loss. See ``SparseSkipLoss``.

    Args:
        loss: nnU-Net's loss, with its own deep supervision.
        network: the network whose skips are kept sparse.
        weight: weight of the sparsity term, 0 or more.
    """

    def __init__(self, loss: nn.Module, network: nn.Module, weight: float) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight
        # A tuple, so that PyTorch does not register the network's parameters as the loss's own.
        self._network = (network,)

    def forward(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss, a scalar, of logits (N, C, *spatial) and label maps (N, 1, *spatial), or lists of both."""
        value: Tensor = self.loss(outputs, targets)
        return value + self.weight * sparsity(self._network[0]).to(value.device)


@cache
def make_trainer(name: str) -> type[LightSkipTrainer]:
    """Return the trainer class of a name such as ``LightSkipTrainer_unet_sat4``.

    Raises:
        InputError: the name names no network or skip connection.
    """
    choice = read_trainer_name(name)
    if choice == Choice():
        return LightSkipTrainer
    # nnU-Net saves the name of the class, and finds it again for inference.
    return type(name, (LightSkipTrainer,), {"choice": choice, "__module__": __name__})
