"""The networks to compare, their sizes, and the task that they compute.

All have the plan's widths, kernel size, normalisation and activation, with the exceptions in ``REMARKS``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.networks import nets
from torch import nn

from pipeline.bench.counting import MultiplyAdds
from pipeline.bundle.plan import load_plan
from pipeline.bundle.render import list_skips, read_skip, recipes_folder
from pipeline.bundle.schema import Plan
from pipeline.data.errors import InputError
from pipeline.inference import choose_precision
from pipeline.networks import Networks, VNet, build_network
from pipeline.networks.levels import kernel_per_level, size_divisor, stride_per_transition

__all__ = ["MONAI_ARMS", "REMARKS", "Arm", "Task", "monai_network", "parse_skip", "read_network", "read_task"]

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
# Arguments of a plan's network that another network takes from it.
_SHARED = ("channels", "kernel_size", "strides", "norm", "act", "dropout")

MONAI_ARMS = ("MONAI DynUNet", "MONAI UNet", "MONAI VNet")
REMARKS = {
    "MONAI DynUNet": "nnU-Net's network: two convolutions per level, concatenation",
    "MONAI UNet": "two convolutions per residual unit; the first one already halves the grid; if kernels "
    "differ between levels, the deepest level's",
    "MONAI VNet": (
        "its own widths 16-32-64-128-256, 5x5x5 kernels, batch normalisation, dropout; patch sizes rounded up to "
        "multiples of 16"
    ),
}


@dataclass(frozen=True)
class Task:
    """The input and the settings that the networks are compared with.

    ``network`` has arguments of :class:`~pipeline.networks.VNet`; ``patch`` and ``window`` are in voxels.
    """

    network: dict[str, Any]
    in_channels: int
    out_channels: int
    patch: tuple[int, ...]
    window: tuple[int, ...]
    window_overlap: float
    batch: int
    device: str
    precision: str
    threads: int
    seed: int

    @property
    def levels(self) -> int:
        """Number of the network's levels."""
        return len(self.network["channels"])

    @property
    def size_divisor(self) -> tuple[int, ...]:
        """The numbers that must divide the network's input sizes, one per axis."""
        strides = self.network.get("strides")
        return size_divisor(stride_per_transition(strides, spatial_dims=len(self.patch), levels=self.levels))

    def resized(self, *, width: float = 1, levels: int | None = None, **changes: Any) -> Task:
        """Return the same task with other widths or levels.

        Deeper levels double the width, halve all axes and repeat the last stage's settings.
        """
        levels = levels or self.levels
        network = dict(self.network)
        deeper = [network["channels"][-1] * 2 ** (i + 1) for i in range(levels - self.levels)]
        channels = [*network["channels"], *deeper][:levels]
        network["channels"] = [max(round(width * count), 1) for count in channels]
        for key, entries in (("convs_per_level", levels), ("decoder_convs_per_level", levels - 1)):
            network[key] = [*network[key], *[network[key][-1]] * levels][:entries]
        if network.get("strides"):
            network["strides"] = [*network["strides"], *[2] * levels][: levels - 1]
        kernels = kernel_per_level(network["kernel_size"], spatial_dims=len(self.patch), levels=self.levels)
        if len(set(kernels)) > 1:
            network["kernel_size"] = [list(kernel) for kernel in [*kernels, *[kernels[-1]] * levels][:levels]]
        return replace(self, network=network, **changes)


@dataclass(frozen=True)
class Arm:
    """One of the networks: LightSkip's V-Net with a skip connection, or one of ``MONAI_ARMS`` by name.

    With ``spec``, the network of a spec for :func:`~pipeline.networks.build_network`, in place of the task's.
    """

    name: str
    skip: Any = None
    residual: str | None = None
    spec: Mapping[str, Any] | None = None

    def patch(self, task: Task) -> tuple[int, ...]:
        """Return the task's patch (voxels), rounded up to a size that fits the network."""
        divisor = (16,) * len(task.patch) if self.name == "MONAI VNet" else task.size_divisor
        if self.spec is not None:
            with torch.device("meta"):
                divisor = self.build(task).size_divisor
        return tuple(-(-size // d) * d for size, d in zip(task.patch, divisor, strict=True))

    def build(self, task: Task) -> Any:
        """Build the network, a module, with the task's seed, on PyTorch's default device."""
        torch.manual_seed(task.seed)
        shape: dict[str, Any] = {
            "spatial_dims": len(task.patch),
            "in_channels": task.in_channels,
            "out_channels": task.out_channels,
        }
        if self.spec is not None:
            return build_network({**self.spec, **shape})
        if self.name in MONAI_ARMS:
            name, options = monai_network(self.name, task.network)
            built: nn.Module = getattr(nets, name)(**shape, **options)
            return built
        changed = {} if self.residual is None else {"residual": self.residual}
        return VNet(**shape, **task.network | changed, skip=self.skip)

    def parameters(self, task: Task) -> int:
        """Return the number of learned parameters."""
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in self.build(task).parameters())

    def multiply_adds(self, task: Task) -> tuple[int, int]:
        """Return the multiply-adds of an inference and of a training step with one batch."""
        with torch.device("meta"):
            network = self.build(task)
            x = torch.empty(task.batch, task.in_channels, *self.patch(task))

        def step() -> None:
            network.train()(x).sum().backward()

        with torch.no_grad():
            forward = _multiply_adds(lambda: network.eval()(x))
        return forward, _multiply_adds(step)


def monai_network(arm: str, network: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a class name in ``monai.networks.nets`` and its arguments, except dimensions and in- and output channels.

    Args:
        arm: one of ``MONAI_ARMS``.
        network: the network of a plan: channels, kernel_size, norm, act, and strides if it has them.
    """
    levels = len(network["channels"])
    strides = network.get("strides") or [2] * (levels - 1)
    kernel = network["kernel_size"]
    nested = isinstance(kernel, list) and any(isinstance(entry, list) for entry in kernel)
    kernels = kernel if nested else [kernel] * levels
    if arm == "MONAI VNet":
        return "VNet", {}
    if arm == "MONAI UNet":
        sizes = {key: network[key] for key in ("channels", "kernel_size", "norm", "act")}
        return "UNet", {**sizes, "kernel_size": kernels[-1], "strides": strides, "num_res_units": 2}
    return "DynUNet", {
        "kernel_size": kernels,
        "strides": [1, *strides],
        "upsample_kernel_size": strides,
        "filters": network["channels"],
        "norm_name": network["norm"],
        "act_name": network["act"],
    }


def read_task(options: argparse.Namespace) -> Task:
    """Return the task with the sizes in a bundle's plan and the options that all benchmarks have.

    Raises:
        InputError: the plan is missing or has errors, or the device does not have the precision.
    """
    plan = load_plan(options.bundle)
    known = signature(VNet).parameters
    network = {key: value for key, value in plan.network.model_dump().items() if key in known}
    return Task(
        # As in configs/train.yaml.
        network={"head": "pointwise", **network},
        in_channels=len(plan.data.channels),
        out_channels=len(plan.labels),
        patch=tuple(plan.patch),
        window=tuple(plan.window),
        window_overlap=plan.window_overlap,
        batch=plan.batch,
        device=options.device,
        precision=choose_precision(options.device, options.precision),
        threads=options.threads,
        seed=options.seed,
    )


def parse_skip(text: str) -> Arm:
    """Return the arm of a skip on the command line: a name, or JSON such as ``["sat", {"maps": 4}]``, or one per level.

    A name of ``configs/skips``, such as ``sat4``, stands for what that file says.

    Raises:
        InputError: it starts like JSON but is not.
    """
    if text in list_skips():
        return Arm(text, read_skip(text, recipes_folder() / "skips", Path("--skip"))["skip"])
    if not text.lstrip().startswith("["):
        return Arm(text, text)
    try:
        skip = json.loads(text)
    except ValueError as error:
        raise InputError(
            "--skip",
            found=f"{text!r} ({error})",
            expected="a name, or JSON",
            remedy="""put it in single quotes: --skip '["sat", {"maps": 4}]'""",
        ) from None
    return Arm(_name_skip(skip), skip)


def read_network(text: str, plan: Plan, *, published: bool = False) -> dict[str, Any] | None:
    """Return the spec of LightSkip's network that an arm names, or None if it names none.

    Args:
        text: ``NAME SKIP``, such as ``unet sat4``: a registered network with the plan's widths, kernels, strides,
            normalisation, activation and dropout, as far as it takes them; or JSON with ``name``, ``skip`` and the
            network's arguments, which take precedence over the plan's. A skip is a file of ``configs/skips``, a
            registered name, or in JSON any form.
        plan: the bundle's plan.
        published: take nothing from the plan, so that arguments that are not given are the network's defaults.

    Raises:
        ValueError: the network does not take its arguments.
        InputError: the skip does not exist.
    """
    if text.lstrip().startswith("{"):
        given = json.loads(text)
    else:
        name, _, skip = text.partition(" ")
        if name.upper() not in Networks.names or not skip:
            return None
        given = {"name": name, "skip": skip}
    takes = signature(Networks[given["name"]]).parameters
    own = {} if given["name"].lower() == plan.network.name else _SHARED
    settings = plan.network.settings()
    shared = {key: settings[key] for key in (own or settings) if key in takes and key in settings and not published}
    skip = given["skip"]
    if isinstance(skip, str):
        file = CONFIGS / "skips" / f"{skip}.yaml"
        skip = yaml.safe_load(file.read_text(encoding="utf-8"))["skip"] if file.is_file() else skip
    spec = {**shared, **given, "skip": skip}
    task = {"spatial_dims": len(plan.spacing), "in_channels": 1, "out_channels": 2}
    with torch.device("meta"):
        # Report a network that cannot be built now, not in each of its trainings.
        build_network({**spec, **task})
    return spec


def _name_skip(skip: Any) -> str:
    if isinstance(skip, str):
        return skip
    if len(skip) == 2 and isinstance(skip[1], dict):
        return " ".join([skip[0], *(f"{key}={value}" for key, value in skip[1].items())])
    return ", ".join(_name_skip(entry) for entry in skip)


def _multiply_adds(work: Callable[[], object]) -> int:
    counter = MultiplyAdds()
    counter.start()
    try:
        work()
    finally:
        counter.stop()
    return counter.total
