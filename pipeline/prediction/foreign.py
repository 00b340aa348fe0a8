"""Inference configs of other projects' bundles, such as MONAI's model zoo: what LightSkip can run, and in which form.

Such a config has MONAI's inference properties, but not the other keys that LightSkip reads. LightSkip itself computes
windows, softmax, the way back to the scan and argmax, so that only configs with exactly these steps give the same
label maps. Needs neither torch nor MONAI.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.json_file import load_json

__all__ = [
    "DECODER",
    "adapt_config",
    "count_regions",
    "is_foreign",
    "monai_command",
    "next_command",
    "require_decision",
    "why_not",
]

DECODER = "DecodeRegionsd"
"""Name of the class that turns regions into a label map. An exported bundle has a copy of its own."""

_LOADER = {"_target_": "pipeline.data.reader.LoadScand", "keys": "image", "ensure_channel_first": True}
# Transforms after which a voxel's place is still in the affine, and that need nothing but the image.
_PREPARING = (
    *("Orientationd", "Spacingd", "ScaleIntensityd", "ScaleIntensityRanged", "ScaleIntensityRangePercentilesd"),
    *("NormalizeIntensityd", "EnsureTyped", "CastToTyped", "ToTensord"),
)
_CLEANING = ("KeepLargestConnectedComponentd", "FillHolesd", "RemoveSmallObjectsd", "EnsureTyped", "CastToTyped")
_PARTS = ("network", "preprocessing", "inferer", "postprocessing")
_NEEDED = ("network_def", *_PARTS, "device", "dataset")
_CONFIGS = ("inference.json", "inference.yaml", "inference.yml")
# Run ids of MONAI's bundles: the usual one, and that of older ones.
_RUNS = ("run", "evaluating")


def is_foreign(config: Mapping[str, Any]) -> bool:
    """Return whether an inference config lacks keys that every config of LightSkip has."""
    return "in_channels" not in config or "spatial_dims" not in config


def why_not(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """Return why LightSkip cannot run another project's bundle; an empty text if it can.

    Args:
        config: its inference config, not evaluated.
        metadata: its metadata.
    """
    lacking = [key for key in _NEEDED if key not in config]
    if lacking:
        return f"no key {lacking[0]}"
    inferer = config["inferer"]
    if _target(inferer) != "SlidingWindowInferer":
        return f"an inferer that is {_target(inferer) or 'an expression'}"
    for find in (_odd_preparation, _odd_postprocessing):
        odd = find(_transforms(config["preprocessing" if find is _odd_preparation else "postprocessing"]))
        if odd:
            return odd
    image, pred = _format(metadata, "inputs"), _format(metadata, "outputs")
    if not isinstance(image.get("num_channels"), int) or _count_axes(config, image) is None:
        return "metadata without the number of channels or axes of the network's input"
    names = pred.get("channel_def")
    channels = set(map(str, names)) if isinstance(names, Mapping) else set()
    count = len(channels)
    if count < 2 or channels != set(map(str, range(count))) or pred.get("num_channels") != count:
        return "metadata without a name for every channel of the network's output (channel_def)"
    return ""


def adapt_config(file: Path, config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides with which another project's config has the keys that LightSkip reads.

    Scans are read by LightSkip's reader, weights are in ``models/model.pt``, and nothing runs at the start.

    Args:
        file: the inference config.
        config: its content.
        metadata: the bundle's metadata.

    Raises:
        InputError: the config has steps that LightSkip does not compute; the remedy is MONAI's own command.
    """
    reason = why_not(config, metadata)
    bundle = file.parents[1]
    if reason:
        raise InputError(
            file,
            found=f"a bundle of another project with {reason}",
            expected="a config that lightskip render wrote, or one with sliding windows, softmax, Invertd and argmax",
            remedy=f"run it with MONAI: {monai_command(bundle, config)}",
        )
    image = _format(metadata, "inputs")
    # The first entries are LoadImaged and perhaps EnsureChannelFirstd.
    prepared = [one for one in _transforms(config["preprocessing"])[1:] if _target(one) != "EnsureChannelFirstd"]
    return {
        "bundle_root": str(bundle.resolve()),
        "in_channels": image["num_channels"],
        "spatial_dims": _count_axes(config, image),
        "checkpoint": "$@bundle_root + '/models/model.pt'",
        "preprocessing#transforms": [_LOADER, *prepared],
        "initialize": [],
    }


def require_decision(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse a config with LightSkip's keys whose labels are not those of softmax and argmax, or of decoded regions.

    Args:
        file: the inference config.
        config: its content.

    Raises:
        InputError: the labels may overlap, or are found in another way; the remedy is MONAI's own command.
    """
    if reason := _odd_labels(config):
        raise InputError(
            file,
            found=reason,
            expected="softmax, Invertd between voxels, and argmax; or sigmoid, Invertd and DecodeRegionsd",
            remedy=f"run it with MONAI: {monai_command(file.parents[1], config)}",
        )


def count_regions(config: Mapping[str, Any]) -> int:
    """Return the number of regions that a config's post-processing decodes; 0 if it chooses labels."""
    decoding = [one for one in _transforms(config.get("postprocessing")) if _target(one) == DECODER]
    regions = decoding[0].get("regions") if decoding else None
    return len(regions) if isinstance(regions, list) else 0


def monai_command(bundle: Path, config: Mapping[str, Any] | None = None, *, name: str = "inference.json") -> str:
    """Return MONAI's command that runs a bundle's inference on a folder of scans.

    Args:
        bundle: its folder.
        config: its inference config, if it is known.
        name: of the config's file.
    """
    run = next((key for key in _RUNS if config is not None and key in config), "run")
    words = ["python", "-m", "monai.bundle", "run", *([] if run == "run" else [run])]
    words += ["--config_file", f"configs/{name}", "--bundle_root", "."]
    if config is None or "dataset_dir" in config:
        words += ["--dataset_dir", "DIR"]
    # Its scripts are found from its folder.
    return f"cd {shlex.quote(str(bundle))} && {shlex.join(words)}"


def _odd_preparation(transforms: Sequence[Any]) -> str:
    names = [_target(one) for one in transforms]
    if not names or names[0] != "LoadImaged":
        return "pre-processing that does not begin with LoadImaged"
    loader = transforms[0]
    first = names[1:2] == ["EnsureChannelFirstd"]
    if not (loader.get("ensure_channel_first") is True or first) or not set(loader) <= {
        *("_target_", "keys", "ensure_channel_first", "image_only", "_disabled_", "dtype"),
    }:
        return "a LoadImaged that reads channels in another way"
    odd = [name or "an expression" for name in names[1 + first :] if name not in _PREPARING]
    if odd:
        return f"pre-processing by {odd[0]}"
    if any(not _only_key(one, "image") for one in transforms):
        return "pre-processing of more than the image"
    return ""


def _odd_postprocessing(transforms: Sequence[Any]) -> str:
    names = [_target(one) for one in transforms]
    if names[:3] != ["Activationsd", "Invertd", "AsDiscreted"]:
        return f"post-processing by {', '.join(name or 'an expression' for name in names) or 'nothing'}"
    if unusual := _odd_argmax(*transforms[:3]):
        return unusual
    rest = [one for one in transforms[3:] if _target(one) != "SaveImaged"]
    odd = [_target(one) or "an expression" for one in rest if _target(one) not in _CLEANING]
    if odd:
        return f"post-processing by {odd[0]}"
    if any(not _only_key(one, "pred") for one in transforms):
        return "post-processing of more than the prediction"
    return ""


def _odd_labels(config: Mapping[str, Any]) -> str:
    """Return what is unusual about the labels of a config with LightSkip's keys; other transforms are not judged."""
    found = [one for one in _transforms(config.get("postprocessing")) if _target(one) != "SaveProbabilitiesd"][:3]
    names = [_target(one) for one in found]
    if names == ["Activationsd", "Invertd", DECODER]:
        return _odd_regions(*found[:2])
    return _odd_argmax(*found) if names == ["Activationsd", "Invertd", "AsDiscreted"] else ""


def _odd_argmax(softmax: Mapping[str, Any], back: Mapping[str, Any], argmax: Mapping[str, Any]) -> str:
    """Return what is unusual about Activationsd, Invertd and AsDiscreted."""
    if softmax.get("softmax") is not True or softmax.get("sigmoid") or softmax.get("other"):
        return "another activation than softmax: labels that may overlap"
    if odd := _odd_inverse(back):
        return odd
    if argmax.get("argmax") is not True or argmax.get("threshold") is not None or argmax.get("to_onehot"):
        return "AsDiscreted without argmax, or with more than that"
    return ""


def _odd_regions(sigmoid: Mapping[str, Any], back: Mapping[str, Any]) -> str:
    """Return what is unusual about Activationsd and Invertd before regions are decoded."""
    if sigmoid.get("sigmoid") is not True or sigmoid.get("softmax") or sigmoid.get("other"):
        return "another activation than sigmoid for regions"
    return _odd_inverse(back)


def _odd_inverse(back: Mapping[str, Any]) -> str:
    nearest = back.get("nearest_interp", True) is not False
    return "an Invertd that resamples probabilities by the nearest voxel" if nearest else ""


def _transforms(chain: Any) -> list[Any]:
    """Return the transforms of a Compose that are not disabled."""
    listed = chain.get("transforms") if isinstance(chain, Mapping) else None
    return [one for one in listed if not _is_disabled(one)] if isinstance(listed, list) else []


def _is_disabled(component: Any) -> bool:
    return isinstance(component, Mapping) and component.get("_disabled_") in (True, "true", "True")


def _target(component: Any) -> str:
    """Return the class name of a component; empty for an expression, or one that may be disabled."""
    if not isinstance(component, Mapping) or str(component.get("_disabled_", "")).startswith(("$", "@")):
        return ""
    return str(component.get("_target_", "")).rpartition(".")[2]


def _only_key(transform: Mapping[str, Any], key: str) -> bool:
    return transform.get("keys") in (key, [key])


def _format(metadata: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    formats = metadata.get("network_data_format", {})
    found: Any = next(iter(formats.get(side, {}).values()), {}) if isinstance(formats, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _count_axes(config: Mapping[str, Any], image: Mapping[str, Any]) -> int | None:
    network, window = config["network_def"], config["inferer"].get("roi_size")
    named = network.get("spatial_dims") if isinstance(network, Mapping) else None
    shape = window if isinstance(window, list) else image.get("spatial_shape")
    axes = named if isinstance(named, int) else len(shape) if isinstance(shape, list) else None
    return axes if axes in (2, 3) else None


def next_command(bundle: Path) -> str:
    """Return the command that segments scans with an unpacked bundle: LightSkip's, or MONAI's; empty without a config.

    Args:
        bundle: its folder. Its files are read as data.
    """
    names = [name for name in _CONFIGS if (bundle / "configs" / name).is_file()]
    if not names:
        return ""
    config = _read(bundle / "configs" / names[0])
    metadata = _read(bundle / "configs" / "metadata.json") or {}
    if config is None or names[0] != _CONFIGS[0]:
        return monai_command(bundle, name=names[0])
    try:
        own = not is_foreign(config) and all(key in config for key in _PARTS) and not _odd_labels(config)
        suits = own or (is_foreign(config) and not why_not(config, metadata))
    except (AttributeError, KeyError, TypeError, ValueError):
        # A part of another form than MONAI describes.
        suits = False
    if not suits:
        return monai_command(bundle, config)
    return f"lightskip predict {shlex.quote(str(bundle))} SCANS -o OUT"


def _read(file: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is none."""
    try:
        content = load_json(file)
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
