"""Load the network to export: its weights, and the skip channels that hard selection keeps."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch import nn

from ..bundle.plan import Plan
from ..bundle.trained_network import network_of_spec, read_spec_of
from ..data.errors import InputError
from ..data.int8_file import find_int8, read_int8_record
from ..inference.runtimes import OpenVINONetwork
from ..inference.weights_file import check_weights
from ..networks import Network
from ..networks.prune import Pruned, prune_skips
from ..networks.skips import SkipConnection
from ..runtime_names import PACKAGES
from .given import weights_file

__all__ = ["ExportedNetwork", "load_network"]


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as it is exported.

    Attributes:
        pruned: its spec and weights, without the channels that hard selection leaves out.
        target: dotted name of its class.
        title: the network's usual name, such as "V-Net".
        publication: where it was published; empty for none.
        channels: width of each encoder level, finest first.
        parameters: number of trained weights.
        registering: dotted names of LightSkip's modules that register the skip connections.
        user_modules: files of the user's modules that register parts.
        source: the file of the weights.
    """

    pruned: Pruned
    target: str
    title: str
    publication: str
    channels: tuple[int, ...]
    parameters: int
    skip_modules: list[str]
    user_modules: list[Path]
    source: Path

    @property
    def is_pruned(self) -> bool:
        """Whether channels were left out."""
        return bool(self.pruned.left_out)


def load_network(bundle: Path, plan: Plan, checkpoint: Path | None, *, int8: bool = False) -> ExportedNetwork:
    """Return a bundle's network with its weights.

    Args:
        bundle: the bundle's folder.
        plan: the bundle's plan.
        checkpoint: file of the weights; None for the bundle's own ``models/model.pt``.
        int8: whether the weights' int8 form is needed.

    Raises:
        InputError: there are no weights, they are another network's, or not all of them are finite; or the int8 form is
            missing, damaged or another network's.
    """
    source, _ = weights_file(bundle, checkpoint)
    _import_user_modules(bundle, plan)
    network = network_of_spec(_build_network(bundle), read_spec_of(source), source).eval()
    check_weights(source, network, plan.outputs)
    assert isinstance(network, Network)
    _check_window(plan, network)
    network.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
    if int8:
        _check_int8(source, network)
    left = prune_skips(network)
    skip_modules, user_modules = _find_modules(network, bundle, plan)
    learned = left.weights.keys() - dict(network.named_buffers()).keys()
    return ExportedNetwork(
        pruned=left,
        target=f"{type(network).__module__}.{type(network).__qualname__}",
        title=network.title,
        publication=network.publication,
        channels=network.channels,
        parameters=sum(left.weights[name].numel() for name in learned),
        skip_modules=skip_modules,
        user_modules=user_modules,
        source=source,
    )


def _check_int8(source: Path, network: nn.Module) -> None:
    """Compare the int8 form with the network, as every prediction does; without OpenVINO only its checksums."""
    model = find_int8(source)
    if find_spec(PACKAGES["int8"]) is not None:
        OpenVINONetwork(network, shape=read_int8_record(source)["window"], model=model)


def _import_user_modules(bundle: Path, plan: Plan) -> None:
    """Import the user's modules next to the plan, which register the parts that the plan names."""
    # At the end of the path, so that no file in the folder hides an installed module.
    sys.path.append(str(bundle))
    try:
        for module in plan.imports:
            _import_module(module, bundle)
    finally:
        sys.path.remove(str(bundle))


def _import_module(module: str, bundle: Path) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:
        raise InputError(
            f"{bundle / 'plan.yaml'}, imports",
            found=f"the module {module}, which cannot be imported ({type(error).__name__}: {error})",
            expected="your modules next to plan.yaml",
            remedy=f"put {module}.py there, or correct the error in it",
        ) from error


def _build_network(bundle: Path) -> nn.Module:
    file = bundle / "configs" / "inference.json"
    parser = ConfigParser()
    parser.read_config(str(file))
    try:
        network = parser.get_parsed_content("network_def")
    except RuntimeError as error:
        # A constructor that refuses its arguments raises one of these. Others are bugs, and keep their traceback.
        refusal = " ".join(str(error.__cause__).split()).rstrip(".")
        if not isinstance(error.__cause__, ValueError) and "unexpected keyword argument" not in refusal:
            raise
        raise InputError(
            file,
            found=f"settings from which the network cannot be built: {refusal}",
            expected="settings that the network accepts",
            remedy="correct skip, imports or network in plan.yaml, and run lightskip render",
        ) from error
    if not isinstance(network, Network) or network.spec is None:
        raise InputError(
            file,
            found=f"{type(network).__name__} as network_def",
            expected="a network of LightSkip, or a registered one of yours",
            remedy="register the class: @Networks.register(NAME), from pipeline.networks import Networks",
        )
    return network  # type: ignore[return-value]


def _check_window(plan: Plan, network: Network) -> None:
    wrong = [size for size, step in zip(plan.window, network.size_divisor, strict=True) if size % step]
    if wrong:
        raise InputError(
            "plan.yaml, window",
            found=f"{plan.window}, which the network of the weights does not accept",
            expected=f"multiples of {network.size_divisor}",
            remedy="set window to such sizes, and run lightskip render",
        )


def _find_modules(network: nn.Module, bundle: Path, plan: Plan) -> tuple[list[str], list[Path]]:
    """Return the modules to include: LightSkip's that register the network's skips, and the user's next to the plan."""
    skips = {type(part).__module__ for part in network.modules() if isinstance(part, SkipConnection)}
    skip_modules = {name for name in skips if _is_lightskip(name)}
    # All of the plan's imports: they may register skips, activations or normalisations.
    named = {name for name in (*skips, type(network).__module__, *plan.imports) if not _is_lightskip(name)}
    user_modules = {bundle / f"{name}.py" for name in named}
    missing = [file for file in user_modules if not file.is_file()]
    if missing:
        raise InputError(
            missing[0],
            found="no such file, but the network needs a module of that name",
            expected="your modules next to plan.yaml, to be included in the exported bundle",
            remedy="copy the module there",
        )
    return sorted(skip_modules), sorted(user_modules)


def _is_lightskip(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]
