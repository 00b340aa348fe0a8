"""Start a training from other weights: what a bundle's config calls. Needs only torch and MONAI."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..data.finite_weights import require_finite
from ..networks.monai_names import KNOWN, rename_monai
from ..networks.take_weights import PARTS, ChannelNames, Fit, take_weights
from .start_file import bundle_of, find_start, read_channel_names, settings_of
from .trained_network import read_spec_of
from .unpack.weights import NOT_FINITE, examine_weights
from .words import shorten_path

__all__ = ["MIN_SHARE", "network_to_start", "read_start"]

# Of the network's parameters. With less a training starts as good as anew, which is hardly what was asked for.
MIN_SHARE = 0.1
_MAX_LINES = 8  # of tensors that were not taken; the file has all
_STATE_KEYS = ("model", "state_dict", "average", "network")  # the first one that a file has

logger = logging.getLogger(__name__)


def network_to_start(network: nn.Module, start_from: str | Path | None, bundle_root: str | Path) -> nn.Module:
    """Return the network with what fits of other weights.

    A line for each part of the network is logged, and what was not taken. ``pipeline.training.StartedFrom`` writes the
    same next to the training, from the attribute ``started_from`` that the network gets here.

    Args:
        network: the config's network, with new weights. It is changed in place.
        start_from: a file of weights, or a bundle: see :func:`.start_file.find_start`. None changes nothing.
        bundle_root: the bundle's folder, whose metadata name the channels.

    Raises:
        InputError: the weights cannot be found or loaded as data only, have a value that is no number, or fit less than
            ``MIN_SHARE`` of the network.
    """
    if start_from is None:
        return network
    path = find_start(start_from)
    weights, kind = rename_monai(read_start(path))
    source, target = bundle_of(path), Path(bundle_root)
    fits, unused = take_weights(
        network,
        weights,
        source=ChannelNames(*read_channel_names(source)),
        target=ChannelNames(*read_channel_names(target)),
    )
    _require_fit(path, fits, weights, network)
    # Numbers may be too large for the network's format.
    require_finite(path, dict(network.named_parameters()))
    record = {
        "weights": str(path),
        "sha256": _hash(path),
        "bundle": None if source is None else source.name,
        "network": kind or None,
        "share": _share(fits),
        "parts": {part: dict(zip(("taken", "of"), numbers, strict=True)) for part, numbers in _count(fits).items()},
        "notes": _compare_settings(settings_of(source), settings_of(target)),
        "whole": [fit.name for fit in fits if fit.is_whole and not fit.how],
        "by_rule": {fit.name: fit.how for fit in fits if fit.taken and fit.how},
        "not_taken": {fit.name: fit.how for fit in fits if not fit.taken},
        "unused": unused,
    }
    network.started_from = record  # type: ignore[assignment]
    if os.environ.get("RANK", "0") == "0":
        logger.info(_describe(record, path))
    return network


def read_start(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of weights, on the CPU, without running any code in it.

    Args:
        path: a state dict as ``torch.save`` writes it, also under the key ``model`` or ``state_dict``, or the
            ``last.pt`` of a training, whose averaged weights are taken. A prefix ``module.`` of all names is removed.

    Raises:
        InputError: the file is no such file, would run code, or has a value that is no number.
    """
    examined = examine_weights(path.parent, [path.name])
    about = examined[0] if examined else None
    if about is None or about.problem not in ("", NOT_FINITE) or about.program or not about.loaded:
        raise _no_weights_error(path, (about.problem or about.what) if about else "no weights")
    content: Any = torch.load(path, map_location="cpu", weights_only=True)
    key = next((key for key in _STATE_KEYS if isinstance(content, dict) and isinstance(content.get(key), dict)), None)
    content = content[key] if key is not None else content
    tensors = content if isinstance(content, Mapping) else {}
    weights = {str(name): value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not weights:
        raise _no_weights_error(path, f"a {type(content).__name__} without named tensors")
    if all(name.startswith("module.") for name in weights):
        weights = {name.removeprefix("module."): value for name, value in weights.items()}
    require_finite(path, weights)
    return weights


def _no_weights_error(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="a state dict written by torch.save, with tensors only",
        remedy="name a training's model.pt, or save the weights again: torch.save(network.state_dict(), FILE)",
    )


def _require_fit(path: Path, fits: Sequence[Fit], weights: Mapping[str, Tensor], network: nn.Module) -> None:
    share = _share(fits)
    if share >= MIN_SHARE:
        return
    misfits = [one for one in fits if not one.taken and one.is_parameter]
    first = f", the first {misfits[0].name}: {misfits[0].how}" if misfits else ""
    fit = "tensors that fit" if len(weights) > 1 else "tensor that fits"
    raise InputError(
        path,
        found=f"{len(weights)} {fit} {100 * share:.2g} % of the network's parameters{first}",
        expected=f"weights for at least {100 * MIN_SHARE:g} % of them",
        remedy=_advise(path, network),
    )


def _advise(path: Path, network: nn.Module) -> str:
    """Return the settings in which the network differs from that of the weights, if that is known."""
    theirs, ours = read_spec_of(path), getattr(network, "spec", None)
    general = (
        "use weights of the same network (name, channels, kernel_size), or set these in plan.yaml as they have them"
    )
    if theirs is None or not isinstance(ours, dict):
        return f"{general}; of MONAI's networks the names of {KNOWN} are known, and no others"
    differing = [f"{key} {value!r}" for key, value in theirs.items() if value != ours.get(key)]
    return f"{general}: {', '.join(differing)}" if differing else general


def _share(fits: Sequence[Fit]) -> float:
    counted = [fit for fit in fits if fit.is_parameter]
    return sum(fit.taken for fit in counted) / max(sum(fit.size for fit in counted), 1)


def _count(fits: Sequence[Fit]) -> dict[str, tuple[int, int]]:
    """Return by part how many parameters were taken, and how many there are."""
    parts = [*PARTS, *dict.fromkeys(fit.part for fit in fits if fit.part not in PARTS)]
    counts = {}
    for part in parts:
        inside = [fit for fit in fits if fit.part == part and fit.is_parameter]
        if inside:
            counts[part] = (sum(fit.taken for fit in inside), sum(fit.size for fit in inside))
    return counts


def _compare_settings(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Return a line for each way in which scans are prepared otherwise than for the weights."""
    return [
        f"{key}: the weights learnt with {theirs[key]}, this bundle has {ours[key]}"
        for key in theirs
        if key in ours and theirs[key] != ours[key]
    ]


def _describe(record: Mapping[str, Any], path: Path) -> str:
    rows = [("part", "taken", "of")]
    rows += [(part, f"{one['taken']:,}", f"{one['of']:,}") for part, one in record["parts"].items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    of = f" of {record['network']}" if record["network"] else ""
    lines = [f"starting from {shorten_path(path)}{of}: {100 * record['share']:.1f} % of the parameters"]
    lines += [f"  {part:{widths[0]}}  {taken:>{widths[1]}}  {total:>{widths[2]}}" for part, taken, total in rows]
    lines += [f"  note: {note}" for note in record["notes"]]
    listed = [
        *(f"{name}: {how}" for name, how in record["by_rule"].items()),
        *(f"{name} is new: {how}" for name, how in record["not_taken"].items()),
        *(f"{name} of the weights is not used" for name in record["unused"]),
    ]
    lines += [f"  {text}" for text in listed[:_MAX_LINES]]
    if len(listed) > _MAX_LINES:
        lines.append(f"  {len(listed) - _MAX_LINES} more in started_from.json")
    return "\n".join(lines)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
