"""A bundle loaded for prediction: its inference config evaluated by MONAI, and the network with its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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

from ..bundle.trained_network import find_given_arguments
from ..data.errors import InputError
from ..imports import deferred_imports
from ..inference.choose_runtime import RuntimeChoice
from ..inference.smaller_batches import with_smaller_batches
from ..labelmaps.label_table import Label, make_label_table
from ..labelmaps.region_masks import Regions
from .bundle_files import read_inference_config, read_label_names, read_region_names
from .chains import REMEDY, cleaning_transforms, find_regions, split_preprocessing
from .config import evaluate_config, explain_error, preserve_global_state
from .foreign import count_regions
from .members import combine_members, load_members
from .option_checks import check_weights_given

__all__ = ["LoadedBundle", "load_bundle"]

_ROOT_OF_FRAMES = "inspect.stack"


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle, ready for prediction.

    Attributes:
        folder: the bundle's folder.
        name: the bundle's name in its metadata.
        version: the bundle's version in its metadata.
        labels: value by name; 0 is the background.
        regions: the regions that the network predicts; None if it predicts labels.
        channels: channels of a scan.
        spatial_dims: 2 or 3.
        device: device of the network.
        network: the network with its weights, ready for inference; it averages over mirrored inputs and checkpoints if
            requested.
        loader: transform that reads the files in ``image`` of a case.
        preprocessing: transforms after reading.
        inferer: the config's sliding windows.
        clean: post-processing of the label map in ``pred`` of a case.
        checkpoints: the files of the weights.
        sha256: checksum of each of these files.
        precision: number format of the network.
        modality: modality of the scans in the metadata.
        training_scans: the training scans in numbers, in the metadata; None in bundles that do not have them.
        runtime: the network's runtime, and why it was chosen; its `network` is the one above.
    """

    folder: Path
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
    training_scans: Mapping[str, Any] | None
    runtime: RuntimeChoice
    regions: Regions | None = None

    @property
    def table(self) -> list[Label]:
        """The foreground labels with their colours."""
        return make_label_table(self.labels)

    @property
    def own_affine(self) -> NDArray[np.float64]:
        """Voxel to world (mm, RAS), 4x4, of a scan with the orientation and spacing of the network's grid."""
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
        """Spacing of the network's grid (mm); None if the config does not resample."""
        spacings = [t.spacing_transform.pixdim for t in self.preprocessing.transforms if isinstance(t, Spacingd)]
        return tuple(np.ravel(spacings[0]).tolist()) if spacings else None

    @property
    def masked(self) -> bool:
        """Whether scans are normalised by their voxels that are not zero."""
        found = (t for t in self.preprocessing.transforms if isinstance(t, NormalizeIntensityd))
        return any(transform.normalizer.nonzero for transform in found)

    @property
    def classes(self) -> int:
        """Channels of the network's output: one per region, or per label, including the background."""
        return len(self.labels if self.regions is None else self.regions.names)


def load_bundle(
    bundle: str | Path,
    *,
    checkpoints: Sequence[str | Path] = (),
    device: str = "auto",
    tta: bool = False,
    dropout_samples: int = 1,
    fast: bool = False,
    postprocessing: bool = True,
    settings: Mapping[str, Any] | None = None,
    runtime: str = "pytorch",
    windows: float | None = None,
    only: str | None = None,
) -> LoadedBundle:
    """Evaluate a bundle's inference config, as MONAI's runner does, and load the network's weights.

    Args:
        bundle: the bundle's folder, with rendered configs.
        checkpoints: weights instead of the bundle's own; the probabilities of several are averaged.
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: average over the mirror axes that training used.
        dropout_samples: passes with dropout whose probabilities are averaged; 1: one pass without.
        fast: let windows overlap by a quarter, whatever the config says.
        postprocessing: whether to post-process the label map as the bundle declares.
        settings: further overrides of the config, by id.
        runtime: runtime to compute on, one of `RUNTIMES`; others than PyTorch need a CPU.
        windows: number of windows to compute, for the runtime ``"auto"``; None: many.
        only: runtime that ``"auto"`` continues; None if there is none.

    Raises:
        InputError: the folder is not a bundle, a setting is unknown or does not work, weights are missing or do not fit
            the network, the network has no dropout to average over or cannot be converted for the runtime, or the
            config's post-processing is not one that `lightskip render` writes.
    """
    folder = Path(bundle).expanduser()
    file, config, overrides = read_inference_config(
        bundle,
        checkpoints=checkpoints,
        device=device,
        tta=tta,
        dropout_samples=dropout_samples,
        fast=fast,
        settings=settings,
        runtime=runtime,
    )
    check_weights_given(checkpoints)
    network_given = find_given_arguments(_network_def(config), overrides)
    if _ROOT_OF_FRAMES in str(config.get("bundle_root")):
        # The recipe finds the folder in the runner's stack frames, which takes a while.
        overrides.setdefault("bundle_root", str(folder.resolve()))
    # The scans come later, one by one, and each is checked then.
    overrides["dataset#data"] = []
    if "check_data" in config:
        overrides["check_data"] = False
    # MONAI's reader looks for every package that can read an image.
    with preserve_global_state(), deferred_imports():
        workflow = evaluate_config([file], overrides)
        try:
            return _load(
                workflow.parser,
                folder,
                checkpoints,
                tta=tta,
                dropout_samples=dropout_samples,
                postprocessing=postprocessing,
                network_given=network_given,
                region_count=count_regions(config),
                runtime=runtime,
                windows=windows,
                only=only,
            )
        except Exception as error:
            raise explain_error(error) from error
        finally:
            workflow.finalize()


def _network_def(config: Mapping[str, Any]) -> Mapping[str, Any]:
    definition = config.get("network_def", {})
    return definition if isinstance(definition, Mapping) else {}


def _load(
    parser: Any,
    folder: Path,
    checkpoints: Sequence[str | Path],
    *,
    tta: bool,
    postprocessing: bool,
    network_given: Collection[str],
    region_count: int,
    **runtime: Any,
) -> LoadedBundle:
    network = parser.get_parsed_content("network")
    device = parser.get_parsed_content("device")
    paths = [Path(path).expanduser() for path in checkpoints] or [Path(parser.get_parsed_content("checkpoint"))]
    axes = parser.get_parsed_content("mirror_axes", default=ConfigItem([])) if tta else ()
    if tta and not axes:
        raise InputError(
            "--tta",
            found=f"no mirror axes in {folder}",
            expected="a bundle that was trained with mirrored patches (mirror_axes of its plan)",
            remedy="leave --tta out: this network has not seen mirrored scans",
        )
    # Exported configs, and those of earlier versions, do not have the names.
    members = load_members(network, paths, device, given=network_given, outputs=parser.get("output_names"))
    inferer, channels = parser.get_parsed_content("inferer"), int(parser.get_parsed_content("in_channels"))
    spatial_dims = int(parser.get_parsed_content("spatial_dims"))
    # Choosing how to compute runs a batch of windows.
    choice = with_smaller_batches(
        inferer,
        partial(
            combine_members,
            members,
            inferer=inferer,
            channels=channels,
            spatial_dims=spatial_dims,
            axes=axes,
            weights=paths,
            sigmoid=region_count > 0,
            **runtime,
        ),
    )
    precision = str(parser.get_parsed_content("used_precision", default=ConfigItem("float32")))
    loader, preprocessing = split_preprocessing(parser)
    metadata = parser.get("_meta_", {})
    regions = find_regions(parser, read_region_names(metadata, region_count)) if region_count else None
    return LoadedBundle(
        folder=folder,
        name=str(metadata.get("name", folder.resolve().name)),
        version=str(metadata.get("version", "")),
        labels=_labels(parser, metadata),
        channels=channels,
        spatial_dims=spatial_dims,
        device=device,
        network=choice.network.to(device),
        loader=loader,
        preprocessing=preprocessing,
        inferer=inferer,
        clean=cleaning_transforms(parser, folder) if postprocessing else Compose([]),
        checkpoints=tuple(paths),
        sha256=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths),
        precision="int8" if choice.runtime == "int8" else precision,
        modality=_modality(metadata),
        training_scans=scans if isinstance(scans := metadata.get("training_scans"), Mapping) else None,
        runtime=choice,
        regions=regions,
    )


def _labels(parser: Any, metadata: Mapping[str, Any]) -> dict[str, int]:
    """Return the value of each label by name: from the config, or from the metadata of an exported bundle."""
    if "labels" in parser.get():
        return dict(parser.get_parsed_content("labels"))
    names = read_label_names(metadata)
    if not names:
        raise InputError(
            "configs/metadata.json",
            found="no channel_def of the network's output, and no labels in the inference config",
            expected="the names of the labels",
            remedy=REMEDY,
        )
    return names


def _modality(metadata: Mapping[str, Any]) -> str:
    inputs = metadata.get("network_data_format", {}).get("inputs", {})
    return next((str(value.get("modality", "")) for value in inputs.values()), "")
