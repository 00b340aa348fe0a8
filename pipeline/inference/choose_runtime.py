"""Choose the runtime that computes a network's windows soonest: PyTorch or OpenVINO, by timing a window of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.errors import InputError
from ..runtime_names import PACKAGES
from .inferers import apply_precision
from .runtime_cache import RuntimeCache, name_processor
from .runtimes import OpenVINONetwork

__all__ = ["CONTINUED", "RuntimeChoice", "choose_runtime", "load_on_runtime", "time_window"]

# A conversion takes about half a second and the time of four windows, and saves about half of PyTorch's time. As it is
# kept for later starts, it pays if it saves a third of its time now.
_CONVERSION_SECONDS, _CONVERSION_WINDOWS = 0.5, 4
_SAVED_SHARE, _KEPT_SHARE = 0.5, 1 / 3
_TOO_FEW = "too few windows to win back a conversion"
CONTINUED = "the output folder was begun with it"
_REPEATS = 3  # timed calls after a first one
_MAX_TIMING = 2.0  # seconds after which no more calls are timed


@dataclass(frozen=True)
class RuntimeChoice:
    """The runtime that was chosen, and why.

    Attributes:
        runtime: ``"pytorch"``, ``"openvino"`` or ``"int8"``.
        network: the network on this runtime.
        seconds: seconds of a window by runtime, measured now or earlier.
        start_seconds: seconds of converting the network, or of reading it from the cache.
        reason: a sentence for the report.
        way: how PyTorch runs it on a GPU, one of `gpu_ways.WAYS`; empty for another runtime or device.
    """

    runtime: str
    network: nn.Module
    seconds: dict[str, float] = field(default_factory=dict)
    start_seconds: float = 0.0
    reason: str = ""
    way: str = ""


def load_on_runtime(
    network: nn.Module,
    runtime: str,
    *,
    shape: Sequence[int],
    precision: str,
    model: Path | None = None,
    reason: str = "as requested",
) -> RuntimeChoice:
    """Return the network on the runtime that the user named.

    Args:
        network: on the CPU for another runtime than PyTorch, ready for inference.
        runtime: ``"pytorch"``, ``"openvino"`` or ``"int8"``.
        shape: shape of a window, (C, *spatial).
        precision: number format of the network's layers; of int8's layers that are not quantised it is float32.
        model: file of the network in int8, for that runtime: see `find_int8`.
        reason: why this runtime, for the report.

    Raises:
        InputError: the runtime is not installed; or see `OpenVINONetwork`.
    """
    if runtime == "pytorch":
        return RuntimeChoice(runtime, network, reason=reason)
    if find_spec(PACKAGES[runtime]) is None:
        raise InputError(
            f"--runtime {runtime}",
            found=f"no package {PACKAGES[runtime]}",
            expected="the package of this runtime",
            remedy="install it: pip install 'lightskip[runtime]'; or leave --runtime out",
        )
    if runtime == "int8":
        start = time.perf_counter()
        # float32 besides, so that label maps are the same on processors with and without bfloat16.
        quantised = OpenVINONetwork(network, shape=shape, precision="float32", model=model)
        return RuntimeChoice(runtime, quantised, start_seconds=time.perf_counter() - start, reason=reason)
    converted, seconds = _convert(network, shape, precision, RuntimeCache(network, shape))
    return RuntimeChoice(runtime, converted, start_seconds=seconds, reason=reason)


def choose_runtime(
    network: nn.Module,
    *,
    shape: Sequence[int],
    precision: str,
    windows: float | None,
    batch: int = 1,
    only: str | None = None,
    cache: RuntimeCache | None = None,
) -> RuntimeChoice:
    """Return the network on the runtime that computes some windows soonest, its start included.

    The times of a window are measured once, and kept per processor, network, window, number format and threads. So is
    the converted network. A network that OpenVINO cannot convert runs on PyTorch.

    Args:
        network: on the CPU, ready for inference. It takes (N, C, *spatial) and returns logits (N, K, *spatial).
        shape: shape of a window, (C, *spatial).
        precision: number format of the network's layers.
        windows: number of windows to compute; None: many.
        batch: windows that PyTorch computes at a time.
        only: runtime of an earlier call whose results this one continues; None if there is none.
        cache: where times and converted network are kept; None: in the user's cache folder.
    """
    reason = _find_reason_for_pytorch(only, windows)
    if reason:
        return RuntimeChoice("pytorch", network, reason=reason)
    cache = cache or RuntimeCache(network, shape)
    name = f"{name_processor()}, {precision}, {torch.get_num_threads()} threads, {batch} at a time"
    times = cache.read_times(name)
    if times.keys() != {"pytorch", "openvino"}:
        times = {}
    if only is None and "openvino" not in times:
        run = apply_precision(network, torch.empty(0), precision)
        times["pytorch"] = time_window(run, shape, batch, enough=lambda seconds: not _may_pay(seconds, windows))
    if only is None and not _is_worth_it(times, windows):
        return RuntimeChoice("pytorch", network, times, reason=_explain(times))
    try:
        converted, seconds = _convert(network, shape, precision, cache)
    except InputError as error:
        return RuntimeChoice("pytorch", network, times, reason=f"OpenVINO cannot be used: {error.found}")
    if "openvino" not in times:
        times["openvino"] = time_window(converted, shape, 1)
        if "pytorch" in times:
            cache.write_times(name, times)
    if only is None and times["openvino"] >= times["pytorch"]:
        return RuntimeChoice("pytorch", network, times, seconds, _explain(times))
    return RuntimeChoice("openvino", converted, times, seconds, CONTINUED if only else _explain(times))


def _find_reason_for_pytorch(only: str | None, windows: float | None) -> str:
    """Return why PyTorch is taken without a measurement; an empty text if it is not."""
    if only == "pytorch":
        return CONTINUED
    if find_spec("openvino") is None:
        return "OpenVINO is not installed"
    return "" if only or _may_pay(float("inf"), windows) else _TOO_FEW


def _is_worth_it(times: Mapping[str, float], windows: float | None) -> bool:
    """Return whether OpenVINO is worth its start: by measured times, else by PyTorch's alone."""
    return _pays(times, windows) if "openvino" in times else _may_pay(times["pytorch"], windows)


def _may_pay(pytorch: float, windows: float | None) -> bool:
    """Return whether converting may pay, by PyTorch's seconds per window alone."""
    if windows is None:
        return True
    # Per second of a window, so that infinite seconds can be asked about.
    conversion = _CONVERSION_SECONDS / pytorch + _CONVERSION_WINDOWS
    return windows * _SAVED_SHARE > conversion * _KEPT_SHARE


def _pays(times: Mapping[str, float], windows: float | None) -> bool:
    """Return whether OpenVINO ends sooner, by measured times: the converted network is in the cache."""
    saved = times["pytorch"] - times["openvino"]
    if windows is None or saved <= 0:
        return saved > 0
    # The start compares both runtimes on a window.
    return windows * saved > _CONVERSION_SECONDS * _KEPT_SHARE + times["pytorch"]


def _explain(times: Mapping[str, float]) -> str:
    if "openvino" not in times:
        return _TOO_FEW
    return f"OpenVINO takes {times['openvino'] / times['pytorch']:.2f} of PyTorch's time for a window"


def _convert(
    network: nn.Module, shape: Sequence[int], precision: str, cache: RuntimeCache
) -> tuple[OpenVINONetwork, float]:
    """Return the network on OpenVINO, and the seconds that it took."""
    start = time.perf_counter()
    converted = OpenVINONetwork(network, shape=shape, precision=precision, cache=cache)
    return converted, time.perf_counter() - start


def time_window(
    run: Callable[[Tensor], Any], shape: Sequence[int], batch: int, *, enough: Callable[[float], bool] | None = None
) -> float:
    """Return the seconds of a window: the least of some calls after a first one.

    Args:
        run: the network.
        shape: shape of a window, (C, *spatial).
        batch: windows at a time.
        enough: returns whether the first call's seconds, which choosing kernels is part of, are all that is needed.
    """
    x = torch.randn((batch, *shape), generator=torch.Generator().manual_seed(0))
    times: list[float] = []
    with torch.inference_mode():
        while len(times) <= _REPEATS and sum(times) < _MAX_TIMING:
            start = time.perf_counter()
            run(x)
            times.append((time.perf_counter() - start) / batch)
            if enough is not None and enough(times[0]):
                break
    return min(times[1:] or times)
