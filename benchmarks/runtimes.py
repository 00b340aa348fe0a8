"""Compare runtimes for a network's forward pass: their time, and whether their labels equal PyTorch's.

    python benchmarks/runtimes.py --dataset_dir Task04_Hippocampus
    python benchmarks/runtimes.py --device cuda:0 --dataset_dir Task04_Hippocampus
    python benchmarks/runtimes.py --quick

The networks are the shipped one with the bundle's windows, one and two at a time, and a wider one (32-64-128-256,
random weights) with windows of 96 x 96 x 96, with one thread and two. Ways are measured in turn, round after round.
Ratios are to PyTorch in the same round, in float32 and in bfloat16, which `lightskip predict` uses by itself if the CPU
has it. Then follow the cases of the hippocampus dataset's fold 0, on which the bundle was not trained: voxels whose
label differs from PyTorch's in float32, Dice, and the time in the network.

On a CPU, OpenVINO and ONNX Runtime (with onnx and onnxscript) are measured if they are installed. On a GPU, PyTorch is
measured as it is, channels last, in CUDA graphs and with both, in float32 and in the format that `lightskip predict`
uses there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, Spread, header, paired_ratio, rounds_in_time, say, seconds, table, write_json
from monai.bundle import ConfigParser
from predict_parts import make_bundle
from runtimes_cases import measure_cases, report_cases
from runtimes_ways import FLOAT32, PACKAGES, Way, build_gpu_ways, build_ways, is_installed, is_plain
from torch import nn

from pipeline.data.errors import InputError
from pipeline.inference.gpu import Gpu
from pipeline.inference.runtimes import OpenVINONetwork

__all__ = ["main"]

_WIDER = (32, 64, 128, 256)


@dataclass(frozen=True)
class Setting:
    """A network with windows of one shape, (N, C, *spatial)."""

    name: str
    network: nn.Module
    shape: tuple[int, ...]


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if something could not run."""
    options = _options()
    try:
        if options.device != "cpu" and not torch.cuda.is_available():
            raise RuntimeError(f"--device {options.device}: found no GPU; expected an NVIDIA GPU")
        with tempfile.TemporaryDirectory() as name:
            if options.quick:
                options.bundle = make_bundle(
                    Path(name) / "bundle", classes=3, spacing=(1.0,) * 3, window=16, normalisation="zscore"
                )
            results = header("runtimes", options)
            for package in sorted({one for names in PACKAGES.values() for one in names if find_spec(one)}):
                results["versions"][package] = version(package)
            results["start"] = _start(options)
            results["forward"] = _forward(options, results["start"])
            _report_forward(results)
            write_json(options.output, results)
            if options.dataset_dir is not None:
                results["cases"] = measure_cases(options)
                report_cases(results["cases"])
    except (InputError, OSError, RuntimeError) as error:
        say(f"error: {error}")
        return 2
    write_json(options.output, results)
    say(f"\n{options.output}")
    return 0


def _settings(options: argparse.Namespace) -> list[Setting]:
    """Return the shipped network with one and two windows at a time, and a wider one."""
    parser = ConfigParser()
    parser.read_config(str(Path(options.bundle) / "configs" / "inference.json"))
    window = parser.get("inferer#roi_size")
    channels = parser.get("in_channels")
    own = parser.get_parsed_content("network_def")
    own.load_state_dict(torch.load(Path(options.bundle) / "models" / "model.pt", weights_only=True))
    wider = (4, 8) if options.quick else _WIDER
    side = (16,) * len(window) if options.quick else (96,) * len(window)
    definition = parser.get("network_def") | {"channels": list(wider)}
    if options.quick:
        definition |= {"convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
    parser["network_def"] = definition
    parser.parse(reset=True)
    torch.manual_seed(options.seed)
    large = parser.get_parsed_content("network_def")
    for network in (own, large):
        network.eval().requires_grad_(False).to(options.device)
    name = "-".join(map(str, wider))
    return [
        Setting(f"{Path(options.bundle).name}, 1 window", own, (1, channels, *window)),
        Setting(f"{Path(options.bundle).name}, 2 windows", own, (2, channels, *window)),
        Setting(f"{name}, 1 window of {'x'.join(map(str, side))}", large, (1, channels, *side)),
    ]


def _forward(options: argparse.Namespace, start: dict[str, float]) -> dict[str, Any]:
    """Time every way in every setting with each number of threads, and compare its logits.

    Args:
        options: the options.
        start: gets the seconds of starting each way of a GPU.
    """
    for runtime, packages in PACKAGES.items():
        if options.device == "cpu" and not is_installed(runtime):
            say(f"{runtime} is not measured: it needs {', '.join(packages)}")
    found: dict[str, Any] = {}
    for setting in _settings(options):
        x = torch.randn(setting.shape, generator=torch.Generator().manual_seed(options.seed)).to(options.device)
        for threads in options.with_threads:
            torch.set_num_threads(threads)
            known: dict[str, Way]
            if options.device == "cpu":
                known = build_ways(setting.network, setting.shape, threads)
            else:
                gpu = Gpu(torch.device(options.device))
                known, spent = build_gpu_ways(setting.network, setting.shape, gpu, on_problem=say)
                start |= {f"{setting.name}, {name}": taken for name, taken in spent.items()}
            expected = known[FLOAT32](x)
            logits = {name: way(x) for name, way in known.items()}
            calls = {name: partial(seconds, partial(way, x), options.device, repeats=3) for name, way in known.items()}
            rounds = list(rounds_in_time(calls, minutes=0, at_least=options.rounds, seed=options.seed))
            times = {name: [one[name] for one in rounds] for name in known}
            found[f"{setting.name}, {threads} thread{'s' * (threads > 1)}"] = {
                name: {
                    "seconds": Spread.of(times[name]),
                    **{f"to {base}": paired_ratio(times[name], times[base]) for base in _bases(times)},
                    "logits_differ_at_most": float((logits[name] - expected).abs().max()),
                    "logits_differ_of_norm": float((logits[name] - expected).norm() / expected.norm()),
                    "labels_differ": float((logits[name].argmax(1) != expected.argmax(1)).float().mean()),
                }
                for name in known
            }
    return found


def _bases(times: Mapping[str, Any]) -> list[str]:
    return [name for name in times if is_plain(name)]


def _start(options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of converting, compiling and comparing at the start, with one thread."""
    if options.device != "cpu" or not is_installed("OpenVINO"):
        return {}
    torch.set_num_threads(1)
    found = {}
    for setting in (one for one in _settings(options) if one.shape[0] == 1):
        start = time.perf_counter()
        OpenVINONetwork(setting.network, shape=setting.shape[1:], threads=1)
        found[f"{setting.name}, OpenVINO"] = time.perf_counter() - start
    return found


def _report_forward(results: Mapping[str, Any]) -> None:
    for setting, found in results["forward"].items():
        bases = [key for key in next(iter(found.values())) if key.startswith("to ")]
        rows = [
            [name, one["seconds"].text(1e3, 1), *(one[key].text() for key in bases), f"{one['labels_differ']:.2%}"]
            for name, one in found.items()
        ]
        say(f"\n{setting}: milliseconds, ratios within a round, median [quartiles]\n")
        say(table(["", "ms", *bases, "labels that differ"], rows))
    for name, taken in results["start"].items():
        say(f"\nstart, {name}: {taken:.2f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="[%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, help="folder of the hippocampus dataset [no cases]")
    parser.add_argument("--datalist", type=Path, default=_DATALIST, help="cases with folds [%(default)s]")
    parser.add_argument("--fold", type=int, default=0, help="fold to predict [%(default)s]")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each [%(default)s]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--with_threads", type=int, nargs="+", default=[1, 2], help="[%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, inputs and the order in a round [%(default)s]")
    parser.add_argument("--note", default="", help="a remark on the machine during the run")
    parser.add_argument("--quick", action="store_true", help="toy sizes, a few seconds: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "runtimes.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    options.threads = max(options.with_threads)
    if options.quick or options.device != "cpu":
        # A GPU needs no threads of the CPU.
        options.with_threads = [1]
    if options.quick:
        options.rounds = 1
    return options


_DATALIST = Path(__file__).resolve().parents[1] / "data_manifests" / "msd_task04_hippocampus.json"

if __name__ == "__main__":
    sys.exit(main())
