"""The network that is exported: its weights, and the skip connections that hard selection leaves."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch import nn

from ..bundle.plan import Plan
from ..bundle.trained_network import network_of_spec, read_spec_of
from ..data.errors import InputError
from ..inference.weights import check_weights
from ..networks import Network
from ..networks.prune import Pruned, prune_skips
from ..networks.skips import SkipConnection
from .given import weights_file

__all__ = ["Exported", "load_network"]


@dataclass(frozen=True)
class Exported:
    """What is exported of a network.

    Attributes:
        pruned: its spec and weights, without the channels that hard selection leaves out.
        target: its class, dotted.
        title: what people call the network, such as "V-Net".
        publication: where it was published; empty for none.
        channels: width of each encoder level, finest first.
        parameters: how many weights it has.
        registering: modules of ours that register the skip connections, dotted names.
        own: modules of the user's that do.
        source: the file that the weights are from.
    """

    pruned: Pruned
    target: str
    title: str
    publication: str
    channels: tuple[int, ...]
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
    network = network_of_spec(_built(bundle), read_spec_of(source), source).eval()
    check_weights(source, network)
    assert isinstance(network, Network)
    _check_window(plan, network)
    network.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
    _require_finite(source, network)
    left = prune_skips(network)
    registering, own = _homes(network, bundle, plan)
    learned = left.weights.keys() - dict(network.named_buffers()).keys()
    return Exported(
        pruned=left,
        target=f"{type(network).__module__}.{type(network).__qualname__}",
        title=network.title,
        publication=network.publication,
        channels=network.channels,
        parameters=sum(left.weights[name].numel() for name in learned),
        registering=registering,
        own=own,
        source=source,
    )


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


def _built(bundle: Path) -> nn.Module:
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
    if not isinstance(network, Network) or network.spec is None:
        raise InputError(
            file,
            found=f"network_def is a {type(network).__name__}",
            expected="a network of LightSkip's, or one of your own that is registered",
            remedy="register the class: @Networks.register(NAME), from pipeline.networks import Networks",
        )
    return network  # type: ignore[return-value]


def _check_window(plan: Plan, network: Network) -> None:
    wrong = [size for size, step in zip(plan.window, network.size_divisor, strict=True) if size % step]
    if wrong:
        raise InputError(
            "plan.yaml, window",
            found=f"{plan.window}, which the network of the weights does not take",
            expected=f"multiples of {network.size_divisor}",
            remedy="give window such sizes, and run lightskip render",
        )


def _require_finite(source: Path, network: nn.Module) -> None:
    broken = [name for name, value in network.state_dict().items() if not value.isfinite().all()]
    if broken:
        raise InputError(
            source,
            found=f"{broken[0]} with values that are no finite numbers",
            expected="weights of a training that went well",
            remedy="export weights of an earlier epoch, or train again with a lower learning rate",
        )


def _homes(network: nn.Module, bundle: Path, plan: Plan) -> tuple[list[str], list[Path]]:
    """Return the modules to carry: LightSkip's that register the network's skips, the user's next to the plan."""
    skips = {type(part).__module__ for part in network.modules() if isinstance(part, SkipConnection)}
    ours = {name for name in skips if _is_ours(name)}
    # All of the plan's, whatever they register: a skip, an activation, a normalisation.
    named = {name for name in (*skips, type(network).__module__, *plan.imports) if not _is_ours(name)}
    own = {bundle / f"{name}.py" for name in named}
    missing = [file for file in own if not file.is_file()]
    if missing:
        raise InputError(
            missing[0],
            found="no such file, and the network needs a module of that name",
            expected="modules of one's own beside plan.yaml, so that the exported bundle can carry them",
            remedy="copy the module there",
        )
    return sorted(ours), sorted(own)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]
