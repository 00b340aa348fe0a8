"""The network that is exported: its weights, and the skip connections that hard selection leaves."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from ..bundle.plan import Plan
from ..data.errors import InputError
from ..inference.weights import check_weights
from ..networks import VNet
from ..networks.prune import Pruned, pruned
from ..networks.skips import SkipConnection
from .given import weights_file

__all__ = ["Exported", "load_network"]


@dataclass(frozen=True)
class Exported:
    """What is exported of a network.

    Attributes:
        pruned: its skip connections and weights, those that hard selection leaves out aside.
        parameters: how many weights it has.
        registering: modules of ours that register the skip connections, dotted names.
        own: modules of the user's that do.
        source: the file that the weights are from.
    """

    pruned: Pruned
    parameters: int
    registering: list[str]
    own: list[Path]
    source: Path

    @property
    def is_pruned(self) -> bool:
        """Whether anything was left out."""
        return bool(self.pruned.left_out)


def load_network(bundle: Path, plan: Plan, checkpoint: Path | None) -> Exported:
    """Build a bundle's network with its weights.

    Args:
        bundle: its folder.
        plan: its plan.
        checkpoint: weights that are not the bundle's own ``models/model.pt``.

    Raises:
        InputError: there are no weights, they are not this network's, or not all of them are finite.
    """
    source, _ = weights_file(bundle, checkpoint)
    _import_own(bundle, plan)
    network, skip = _built(bundle)
    check_weights(source, network)
    network.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
    _require_finite(source, network)
    left = pruned(network, skip)
    registering, own = _homes(network, bundle, plan)
    learned = left.weights.keys() - dict(network.named_buffers()).keys()
    return Exported(left, sum(left.weights[name].numel() for name in learned), registering, own, source)


def _import_own(bundle: Path, plan: Plan) -> None:
    """Import the user's modules, which lie beside the plan and register what it names."""
    # At the end, where nothing in the folder can hide a module that is installed.
    sys.path.append(str(bundle))
    try:
        for module in plan.imports:
            _import(module, bundle)
    finally:
        sys.path.remove(str(bundle))


def _import(module: str, bundle: Path) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:
        raise InputError(
            f"{bundle / 'plan.yaml'}, imports",
            found=f"the module {module} cannot be imported ({type(error).__name__}: {error})",
            expected="modules of one's own beside plan.yaml",
            remedy=f"put {module}.py there; where it is there, correct what its error names",
        ) from error


def _built(bundle: Path) -> tuple[VNet, Any]:
    file = bundle / "configs" / "inference.json"
    parser = ConfigParser()
    parser.read_config(str(file))
    try:
        network = parser.get_parsed_content("network_def")
    except RuntimeError as error:
        # So a constructor refuses its arguments; anything else is a bug, and keeps its traceback.
        refusal = " ".join(str(error.__cause__).split()).rstrip(".")
        if not isinstance(error.__cause__, ValueError) and "unexpected keyword argument" not in refusal:
            raise
        raise InputError(
            file,
            found=f"a network that cannot be built: {refusal}",
            expected="settings that the network takes",
            remedy="correct skip, imports or network in plan.yaml, and run lightskip render",
        ) from error
    if not isinstance(network, VNet):
        raise InputError(
            file,
            found=f"network_def is a {type(network).__name__}",
            expected="a pipeline.networks.VNet, as recipes have it",
            remedy="export bundles that `lightskip render` made",
        )
    return network.eval(), parser.get_parsed_content("skip")


def _require_finite(source: Path, network: VNet) -> None:
    broken = [name for name, value in network.state_dict().items() if not value.isfinite().all()]
    if broken:
        raise InputError(
            source,
            found=f"{broken[0]} with values that are no finite numbers",
            expected="weights of a training that went well",
            remedy="export weights of an earlier epoch, or train again with a lower learning rate",
        )


def _homes(network: VNet, bundle: Path, plan: Plan) -> tuple[list[str], list[Path]]:
    """Modules that the exported network needs: those of ours that define its skips, and the user's beside the plan."""
    names = {type(part).__module__ for part in network.modules() if isinstance(part, SkipConnection)}
    ours = {name for name in names if name.partition(".")[0] == __name__.partition(".")[0]}
    # All of the plan's, whatever they register: a skip, an activation, a normalisation.
    own = {bundle / f"{name}.py" for name in {*names, *plan.imports} - ours}
    missing = [file for file in own if not file.is_file()]
    if missing:
        raise InputError(
            missing[0],
            found="no such file, and the network needs a module of that name",
            expected="modules of one's own beside plan.yaml, so that the exported bundle can carry them",
            remedy="copy the module there",
        )
    return sorted(ours), sorted(own)
