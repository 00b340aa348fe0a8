"""The parts of a bundle that prediction runs, from its own inference config, evaluated by MONAI."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigItem
from monai.inferers.inferer import SlidingWindowInferer
from monai.transforms import (
    Compose,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    Spacingd,
)
from nibabel.orientations import axcodes2ornt
from numpy.typing import NDArray
from torch import nn

from ..bundle.launch_checks import check_given, config_files, read
from ..bundle.trained_network import given_arguments
from ..data.errors import InputError
from ..labelmaps.label_table import Label, make_label_table
from .chains import REMEDY, cleaning, reading
from .config import evaluated_config, explained, refuse_own, same_program
from .members import loaded_members, one_network
from .settings import device_name

__all__ = ["Parts", "read_parts"]

_FAST_OVERLAP = 0.25


@dataclass(frozen=True)
class Parts:
    """What prediction takes from a bundle.

    Attributes:
        bundle: its folder.
        name: of the bundle, by its metadata.
        version: likewise.
        labels: value by name, 0 the background.
        channels: of a scan.
        spatial_dims: 2 or 3.
        device: where the network runs.
        network: with its weights, ready for inference; averaged over mirrored inputs and checkpoints where asked.
        loader: reads files, ``image`` of a case.
        preprocessing: what the config does after reading.
        inferer: sliding windows.
        clean: post-processing of the label map, ``pred`` of a case.
        checkpoints: the files of the weights.
        sha256: of each of these files.
        precision: number format of the network.
        modality: of the scans, by the metadata.
        runtime: what the network computes on, one of `RUNTIMES`.
        converting: seconds that its conversion for another runtime than PyTorch took.
    """

    bundle: Path
    name: str
    version: str
    labels: dict[str, int]
    channels: int
    spatial_dims: int
    device: torch.device
    network: nn.Module
    loader: LoadImaged
    preprocessing: Compose
    inferer: SlidingWindowInferer
    clean: Compose
    checkpoints: tuple[Path, ...]
    sha256: tuple[str, ...]
    precision: str
    modality: str
    runtime: str
    converting: float

    @property
    def table(self) -> list[Label]:
        """The foreground labels with their colours."""
        return make_label_table(self.labels)

    @property
    def own_affine(self) -> NDArray[np.float64]:
        """Voxel to world (mm, RAS) of a scan that has the orientation and spacing of the network's grid already."""
        affine = np.eye(4)
        for transform in self.preprocessing.transforms:
            if isinstance(transform, Orientationd):
                axcodes = transform.ornt_transform.axcodes
                affine[:3, :3] = 0
                for axis, (world, sign) in enumerate(axcodes2ornt((*axcodes, "S")[:3])):
                    affine[int(world), axis] = sign
        return affine @ np.diag((*(*(self.own_spacing or ()), 1.0, 1.0, 1.0)[:3], 1.0))

    @property
    def own_spacing(self) -> tuple[float, ...] | None:
        """Spacing of the network's grid (mm); None where the config does not resample."""
        spacings = [t.spacing_transform.pixdim for t in self.preprocessing.transforms if isinstance(t, Spacingd)]
        return tuple(np.ravel(spacings[0]).tolist()) if spacings else None

    @property
    def masked(self) -> bool:
        """Whether a scan is normalised by its voxels that are not zero."""
        found = (t for t in self.preprocessing.transforms if isinstance(t, NormalizeIntensityd))
        return any(transform.normalizer.nonzero for transform in found)

    @property
    def classes(self) -> int:
        """Channels that the network gives: one per label, the background's included."""
        return len(self.labels)


def read_parts(
    bundle: str | Path,
    *,
    checkpoints: Sequence[str | Path] = (),
    device: str = "auto",
    tta: bool = False,
    fast: bool = False,
    postprocessing: bool = True,
    settings: Mapping[str, Any] | None = None,
    runtime: str = "pytorch",
) -> Parts:
    """Evaluate a bundle's inference config, as MONAI's runner does, and load the network's weights.

    Args:
        bundle: the bundle's folder, with rendered configs.
        checkpoints: weights instead of the bundle's own; of several the probabilities are averaged.
        device: ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over the mirror axes that training used.
        fast: windows overlap by a quarter instead of what the config says.
        postprocessing: whether the label map is post-processed as the bundle declares.
        settings: further overrides of the config, by id.
        runtime: what the network is to compute on, one of `RUNTIMES`; another than PyTorch needs ``device="cpu"``.

    Raises:
        InputError: the folder is no bundle, a setting is not known or cannot work, weights are missing or others than
            the network's, it cannot be converted for the runtime, or the config's post-processing is not what
            `lightskip render` writes.
    """
    bundle = Path(bundle).expanduser()
    files = config_files("predict", bundle)
    refuse_own(settings or {})
    # An exported bundle has neither of the two: MONAI's runner would do nothing with them there.
    config = read(files[0])
    given = {**_settings(device, tta and "tta" in config, fast), **(settings or {})}
    if checkpoints:
        given["checkpoint"] = str(Path(checkpoints[0]).expanduser())
    check_given("predict", files, given)
    with same_program():
        # The scans come later, one by one.
        workflow = evaluated_config(files, {**given, "dataset#data": [], **_unread(config)})
        try:
            return _parts(
                workflow.parser,
                bundle,
                checkpoints,
                tta=tta,
                postprocessing=postprocessing,
                runtime=runtime,
                network_given=given_arguments(_network_def(config), given),
            )
        except Exception as error:
            raise explained(error) from error
        finally:
            workflow.finalize()


def _settings(device: str, tta: bool, fast: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if device != "auto":
        settings["device"] = f"$torch.device({device_name(device)!r})"
    if tta:
        settings["tta"] = True
    if fast:
        settings["inferer#overlap"] = _FAST_OVERLAP
    return settings


def _network_def(config: Mapping[str, Any]) -> Mapping[str, Any]:
    definition = config.get("network_def", {})
    return definition if isinstance(definition, Mapping) else {}


def _parts(
    parser: Any,
    bundle: Path,
    checkpoints: Sequence[str | Path],
    *,
    tta: bool,
    postprocessing: bool,
    runtime: str,
    network_given: Collection[str],
) -> Parts:
    network = parser.get_parsed_content("network")
    device = parser.get_parsed_content("device")
    paths = [Path(path).expanduser() for path in checkpoints] or [Path(parser.get_parsed_content("checkpoint"))]
    axes = parser.get_parsed_content("mirror_axes", default=ConfigItem([])) if tta else ()
    if tta and not axes:
        raise InputError(
            "--tta",
            found=f"no mirror axes in {bundle}",
            expected="a bundle that was trained with mirrored patches (mirror_axes of its plan)",
            remedy="leave --tta out: mirrored scans are new to this network",
        )
    members = loaded_members(network, paths, device, given=network_given)
    inferer, channels = parser.get_parsed_content("inferer"), int(parser.get_parsed_content("in_channels"))
    spatial_dims = int(parser.get_parsed_content("spatial_dims"))
    start = time.perf_counter()
    together = one_network(
        members, runtime=runtime, inferer=inferer, channels=channels, spatial_dims=spatial_dims, axes=axes
    )
    # PyTorch needs no conversion: not even the time of this call counts as one.
    converting = 0.0 if runtime == "pytorch" else time.perf_counter() - start
    loader, preprocessing = reading(parser)
    metadata = parser.get("_meta_", {})
    return Parts(
        bundle=bundle,
        name=str(metadata.get("name", bundle.resolve().name)),
        version=str(metadata.get("version", "")),
        labels=_labels(parser, metadata),
        channels=channels,
        spatial_dims=spatial_dims,
        device=device,
        network=together.to(device),
        loader=loader,
        preprocessing=preprocessing,
        inferer=inferer,
        clean=cleaning(parser, bundle) if postprocessing else Compose([]),
        checkpoints=tuple(paths),
        sha256=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths),
        precision=str(parser.get_parsed_content("used_precision", default=ConfigItem("float32"))),
        modality=_modality(metadata),
        runtime=runtime,
        converting=converting,
    )


def _unread(config: Mapping[str, Any]) -> dict[str, Any]:
    """The override that leaves the config's own check of all scans out, where it has one."""
    return {"check_data": False} if "check_data" in config else {}


def _labels(parser: Any, metadata: Mapping[str, Any]) -> dict[str, int]:
    """Values by name: the config's, or those that the metadata of an exported bundle give the network's channels."""
    if "labels" in parser.get():
        return dict(parser.get_parsed_content("labels"))
    outputs = metadata.get("network_data_format", {}).get("outputs", {})
    names: dict[str, str] = next((value.get("channel_def", {}) for value in outputs.values()), {})
    if not names:
        raise InputError(
            "configs/metadata.json",
            found="no channel_def of the network's output, and no labels in the inference config",
            expected="the names of the labels",
            remedy=REMEDY,
        )
    return {str(name): int(value) for value, name in names.items()}


def _modality(metadata: Mapping[str, Any]) -> str:
    inputs = metadata.get("network_data_format", {}).get("inputs", {})
    return next((str(value.get("modality", "")) for value in inputs.values()), "")
