"""What a bundle's files say about a prediction, before its config is evaluated. Needs neither torch nor MONAI."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

from ..bundle.launch_checks import check_overrides_given, config_files, config_given, read
from ..bundle.nested_rules import check_nested
from ..bundle.words import lightskip_command
from ..data.dropout_samples import check_dropout_samples
from ..data.errors import InputError
from ..data.int8_file import find_int8
from ..data.weights import require_weights
from .foreign import adapt_config, count_regions, is_foreign, require_decision
from .option_checks import check_settings_given, check_switches, check_weights_given
from .settings import choose_device, config_overrides, refuse_reserved

__all__ = [
    "BundleFiles",
    "Grid",
    "read_bundle_files",
    "read_bundle_name",
    "read_inference_config",
    "read_label_names",
    "read_region_names",
]

_OWN_WEIGHTS = "$@bundle_root + '/models/model.pt'"


@dataclass(frozen=True)
class Grid:
    """The network's grid and windows, as the config has them.

    Attributes:
        spacing: mm along each axis; none if scans are not resampled.
        window: size in voxels, 0 or less for the whole axis.
        overlap: share of a window that overlaps the next one.
    """

    spacing: tuple[float, ...]
    window: tuple[int, ...]
    overlap: float

    def count_windows(self, shape: Sequence[int], spacing: Sequence[float]) -> int:
        """Return about how many windows a scan has.

        Args:
            shape: voxels of the scan along each axis.
            spacing: mm along each axis.
        """
        # The longest axis of the scan is taken for the longest of the window: the order of axes is not known yet.
        lengths = sorted(n * own / new for n, own, new in zip(shape, spacing, self.spacing or spacing, strict=False))
        steps = [max(1.0, side * (1 - self.overlap)) for side in sorted(self.window)]
        sides = sorted(self.window)
        return prod(
            1 if side <= 0 or length <= side else 1 + ceil((length - side) / step)
            for length, side, step in zip(lengths, sides, steps, strict=False)
        )


@dataclass(frozen=True)
class BundleFiles:
    """What a bundle's files say.

    Attributes:
        folder: the bundle's folder.
        name: the bundle's name in its metadata.
        version: the bundle's version in its metadata.
        channels: channels of a scan; None if only evaluating the config tells.
        labels: value by name; None likewise.
        regions: names of the regions that the network predicts, in the order of its channels; none if it predicts
            labels.
        precision: number format in the config, such as ``"auto"``.
        grid: spacing (mm) of the network's grid, size (voxels) and overlap (a share) of its windows; None if only
            evaluating the config tells.
        weights: files of the weights; none if only evaluating the config tells.
        sha256: checksum of each of these files.
    """

    folder: Path
    name: str
    version: str
    channels: int | None
    labels: Mapping[str, int] | None
    precision: str
    weights: tuple[Path, ...]
    sha256: tuple[str, ...]
    grid: Grid | None = None
    regions: tuple[str, ...] = ()


def read_inference_config(
    bundle: str | Path,
    *,
    checkpoints: Sequence[str | Path] = (),
    device: str = "auto",
    tta: bool = False,
    dropout_samples: int = 1,
    fast: bool = False,
    settings: Mapping[str, Any] | None = None,
    runtime: str = "pytorch",
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return the file of a bundle's inference config, its content, and the overrides of it; all are checked.

    Args:
        bundle: the bundle's folder.
        checkpoints: weights instead of the bundle's own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        tta: whether to average over mirrored inputs.
        dropout_samples: passes with dropout to average over; 1: one pass without.
        fast: whether windows overlap by a quarter.
        settings: further overrides, by id.
        runtime: one of `RUNTIMES`.

    Raises:
        InputError: the folder is not a bundle, a setting, the device or the runtime is unknown, or an option is of
            another type.
    """
    check_switches(tta=tta, fast=fast)
    check_settings_given(settings)
    device = choose_device(runtime, device)
    refuse_reserved(settings or {})
    check_dropout_samples(dropout_samples, runtime)
    own = config_overrides(checkpoints, device, tta=tta, dropout_samples=dropout_samples, fast=fast)
    overrides = {**own, **(settings or {})}
    files = config_files("predict", Path(bundle).expanduser())
    config = read(files[0])
    for key in {"tta", "dropout_samples"} - config.keys():
        # An exported bundle has no such key; MONAI's runner would ignore it.
        overrides.pop(key, None)
    metadata = _read_metadata(files[0].with_name("metadata.json"))
    adapted = {}
    if is_foreign(config):
        adapted = adapt_config(files[0], config, metadata)
    else:
        require_decision(files[0], config)
    # Keys that the config gets here are no mistakes of the user.
    check_overrides_given("predict", files, {key: value for key, value in overrides.items() if key not in adapted})
    whole = config_given(files, {**adapted, **overrides})
    # What other projects' parts accept is not known; their windows are those of MONAI's inferers.
    check_nested({"inferer": whole.get("inferer")} if is_foreign(config) else whole, str(files[0]))
    return files[0], config, {**adapted, **overrides}


def read_bundle_files(bundle: str | Path, *, checkpoints: Sequence[str | Path] = (), **options: Any) -> BundleFiles:
    """Return what a bundle's files say about a prediction.

    Args:
        bundle: the bundle's folder.
        checkpoints: weights instead of the bundle's own.
        **options: see `read_inference_config`.

    Raises:
        InputError: as in `read_inference_config`; weights are missing or named twice, or their int8 form is missing.
    """
    check_weights_given(checkpoints)
    file, config, overrides = read_inference_config(bundle, checkpoints=checkpoints, **options)
    folder = Path(bundle).expanduser()
    metadata = _read_metadata(file.with_name("metadata.json"))
    value = {**config, **overrides}
    own = [folder / "models" / "model.pt"] if value.get("checkpoint") == _OWN_WEIGHTS else []
    weights = tuple(Path(path).expanduser() for path in checkpoints) or tuple(own)
    for path in own:
        require_weights(path)
    if options.get("runtime") == "int8":
        for path in weights:
            find_int8(path)
    channels = value.get("in_channels")
    labels = value["labels"] if "labels" in value else read_label_names(metadata)
    if fast := overrides.get("inferer#overlap"):
        value["inferer"] = {**config["inferer"], "overlap": fast}
    return BundleFiles(
        folder=folder,
        name=_name_bundle(folder, metadata),
        version=str(metadata.get("version", "")),
        channels=channels if isinstance(channels, int) else None,
        labels=labels if isinstance(labels, dict) and labels else None,
        precision=str(value.get("precision", "float32")),
        weights=weights,
        sha256=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in weights),
        grid=_read_grid(value),
        regions=read_region_names(metadata, count_regions(config)),
    )


def read_bundle_name(bundle: str | Path) -> str:
    """Return the name that a bundle's predictions record. Its weights need not exist.

    Raises:
        InputError: as in `read_inference_config`.
    """
    file, _, _ = read_inference_config(bundle)
    return _name_bundle(Path(bundle).expanduser(), _read_metadata(file.with_name("metadata.json")))


def _name_bundle(folder: Path, metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("name", folder.resolve().name))


def read_label_names(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Return the value of each label by name in a bundle's metadata; nothing if they have none.

    The inference config of an exported bundle has no labels. Where the network predicts regions, its channels are no
    labels, and the metadata have labels of their own.
    """
    if isinstance(labels := metadata.get("labels"), Mapping):
        return {str(name): int(value) for name, value in labels.items()}
    return {name: int(value) for value, name in _read_channels(metadata).items()}


def read_region_names(metadata: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Return the names of a bundle's regions: those of the network's channels in its metadata, or else numbers.

    Args:
        metadata: the bundle's metadata.
        count: number of regions.
    """
    names = _read_channels(metadata)
    places = [str(place) for place in range(count)]
    return (
        tuple(names[place] for place in places) if set(names) == set(places) else tuple(f"region_{n}" for n in places)
    )


def _read_channels(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the network's output channels by their numbers."""
    outputs = metadata.get("network_data_format", {}).get("outputs", {})
    names: Mapping[str, str] = next((value.get("channel_def", {}) for value in outputs.values()), {})
    return {str(number): str(name) for number, name in names.items()}


def _read_grid(config: Mapping[str, Any]) -> Grid | None:
    """Return the grid and windows in a config; None if it has other values than numbers there."""
    try:
        transforms = config["preprocessing"]["transforms"]
        spacings = [one["pixdim"] for one in transforms if str(one["_target_"]).endswith("Spacingd")]
        inferer = config["inferer"]
        spacing = tuple(float(size) for one in spacings[:1] for size in one)
        return Grid(spacing, tuple(int(size) for size in inferer["roi_size"]), float(inferer["overlap"]))
    except (KeyError, TypeError, ValueError):
        return None


def _read_metadata(file: Path) -> Mapping[str, Any]:
    """Return a bundle's metadata; nothing if there is no such file. Raise InputError if it cannot be used."""
    if not file.is_file():
        return {}
    content = read(file)
    formats = content.get("network_data_format", {})
    places = [formats.get(key, {}) for key in ("inputs", "outputs")] if isinstance(formats, dict) else [formats]
    for place in places:
        if not isinstance(place, dict) or not all(isinstance(value, dict) for value in place.values()):
            raise _metadata_error(
                file, f"network_data_format {formats!r}", "inputs and outputs, each with a description"
            )
        for value in place.values():
            channels = value.get("channel_def", {})
            # The names of inputs are not read by number: others write ranges such as 0-2.
            known = place is places[0] or (isinstance(channels, dict) and all(str(key).isdecimal() for key in channels))
            if not known:
                raise _metadata_error(file, f"channel_def {channels!r}", 'names by number, such as {"0": "background"}')
    labels = content.get("labels")
    if isinstance(labels, dict) and not all(type(value) is int for value in labels.values()):
        raise _metadata_error(file, f"labels {labels!r}", "whole numbers by name")
    return content


def _metadata_error(file: Path, found: str, expected: str) -> InputError:
    remedy = f"write it again: {lightskip_command('render', file.parents[1])}"
    return InputError(file, found=found[:200], expected=expected, remedy=remedy)
