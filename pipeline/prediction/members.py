"""The networks of a prediction: one per file of weights, combined into one on the chosen runtime."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from monai.inferers.inferer import SlidingWindowInferer
from torch import nn

from ..bundle.trained_network import network_of_spec, read_spec_of
from ..data.dropout_samples import check_dropout_samples
from ..data.int8_file import find_int8
from ..inference import Ensemble, mirror_network
from ..inference.choose_runtime import CONTINUED, RuntimeChoice, choose_runtime, load_on_runtime
from ..inference.dropout_average import ONLY_PYTORCH, average_dropout
from ..inference.gpu_ways import choose_gpu_way
from ..inference.runtimes import OpenVINONetwork
from ..inference.weights_file import check_outputs, read_weights
from ..inference.windows import find_window_size

__all__ = ["combine_members", "load_members"]


def load_members(
    network: nn.Module,
    paths: Sequence[Path],
    device: torch.device,
    *,
    given: Collection[str] = (),
    outputs: Sequence[str] | None = None,
) -> list[nn.Module]:
    """Return one network per file of weights, with the weights loaded.

    Args:
        network: the config's network, which is used for weights without a spec.
        paths: files of weights.
        device: device to load them to.
        given: names of the network's arguments that the user set: see `network_of_spec`.
        outputs: names of the output channels, in the bundle's order; None if the config does not have them.

    Raises:
        InputError: a file is missing, does not fit its network or has its outputs in another order, or its network
            contradicts the user's arguments.
    """
    members = []
    for path in paths:
        member = network_of_spec(network, read_spec_of(path), path, given=given)
        weights = read_weights(path, member)
        if outputs is not None:
            check_outputs(path, outputs)
        if member is network and path is not paths[-1]:
            member = copy.deepcopy(network)
        member.load_state_dict(weights)
        members.append(member.to(device))
    return members


def combine_members(
    members: Sequence[nn.Module],
    *,
    runtime: str,
    inferer: SlidingWindowInferer,
    channels: int,
    spatial_dims: int,
    axes: Sequence[int],
    dropout_samples: int = 1,
    sigmoid: bool = False,
    windows: float | None = None,
    only: str | None = None,
    weights: Sequence[Path] = (),
) -> RuntimeChoice:
    """Return one network, ready for inference, that averages all members over all mirrored inputs, on a runtime.

    Args:
        members: networks with their weights.
        runtime: runtime to compute on, one of `RUNTIMES`; ``"auto"`` chooses the one that ends soonest. On a GPU
            that is PyTorch, in the way that ends soonest.
        inferer: inferer that sets the window and the precision.
        channels: channels of a scan.
        spatial_dims: 2 or 3.
        axes: spatial axes, from 0, to mirror inputs along.
        dropout_samples: passes of each member with dropout, see `DropoutAveraged`; more than one are computed by plain
            PyTorch. 1: one pass without.
        sigmoid: whether the members' channels are regions.
        windows: number of windows to compute, for ``"auto"``; None: many.
        only: runtime that ``"auto"`` continues; None if there is none.
        weights: the members' files of weights, whose int8 form is beside them.

    Raises:
        InputError: a member cannot be converted for the runtime, has no int8 form, or has no dropout.
    """
    place: dict[str, Any] = {
        "shape": (channels, *find_window_size(inferer, [64] * spatial_dims)),
        "precision": getattr(inferer, "precision", "float32"),
    }
    for member in members:
        member.eval().requires_grad_(False)
    check_dropout_samples(dropout_samples, runtime)
    if dropout_samples > 1:
        members = [average_dropout(member, dropout_samples, sigmoid=sigmoid) for member in members]
        # No graph of a GPU can draw other values in each pass.
        runtime, place["reason"] = "pytorch", ONLY_PYTORCH
    first, *others = members
    device = next(first.parameters(), torch.empty(0)).device.type
    if runtime == "auto" and device == "cuda":
        # All members and mirrored inputs in one, so that one graph has all of their work.
        whole = mirror_network(Ensemble(members, sigmoid=sigmoid) if others else first, axes).eval()
        return choose_gpu_way(whole, windows=windows, batch=inferer.sw_batch_size, **place)
    if runtime == "auto" and only == "int8":
        runtime, place["reason"] = only, CONTINUED
    models: Sequence[Path | None] = [None] * len(members)
    if runtime == "int8":
        models = [find_int8(file, shape=place["shape"]) for file in weights]
    if runtime != "auto":
        choice = load_on_runtime(first, runtime, model=models[0], **place)
    elif device != "cpu":
        choice = RuntimeChoice("pytorch", first, reason="the network is not on the CPU")
    else:
        each = len(members) * 2 ** len(axes)
        windows = None if windows is None else windows * each
        choice = choose_runtime(first, windows=windows, batch=inferer.sw_batch_size, only=only, **place)
    rest = [
        load_on_runtime(member, choice.runtime, model=model, **place)
        for member, model in zip(others, models[1:], strict=True)
    ]
    every = [choice.network, *(one.network for one in rest)]
    together = Ensemble(every, sigmoid=sigmoid) if rest else choice.network
    if isinstance(together, OpenVINONetwork) and not axes:
        # The windows use the logits of a batch before the next one is computed.
        together.reuses_output = True
    network = mirror_network(together, axes).eval().requires_grad_(False)
    spent = choice.start_seconds + sum(one.start_seconds for one in rest)
    return replace(choice, network=network, start_seconds=spent)
