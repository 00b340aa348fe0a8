"""Whether int8 pays on a CPU: the time of a window and the Dice of a fold, quantised by NNCF after training.

    pip install nncf
    python benchmarks/quantize.py --dataset_dir Task04_Hippocampus
    python benchmarks/quantize.py --quick

The shipped network is calibrated on training cases of the other folds. OpenVINO runs it in float32, bfloat16 and int8,
in turn, round after round, on one thread; also as on a CPU with less: oneDNN leaves out instructions beyond
`ONEDNN_MAX_CPU_ISA` (AVX512_CORE has no VNNI, AVX2 neither AVX-512 nor VNNI). The names of the kernels are recorded,
which show it. A wider network (random weights) is timed only. Then follow the cases of the fold, on which the bundle
was not trained: Dice of each label, in int8 and in float32, also with fewer instructions, where sums of int8 saturate.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from monai.bundle import ConfigParser
from predict_parts import fold_cases, make_bundle
from quantize_models import PACKAGES, VARIANTS, convert, is_installed, quantize, save
from torch import Tensor, nn

from pipeline.data.errors import InputError
from pipeline.inference.windows import Windows
from pipeline.networks.precision import cpu_has_bfloat16
from pipeline.prediction.predictor import Predictor

__all__ = ["main"]

_WIDER, _SIDE = (32, 64, 128, 256), 96
_RANDOM_WINDOWS = 2  # that calibrate the wider network: its time does not depend on them
_ISAS = ("native", "AVX512_CORE", "AVX2")
_BASE = "float32"
_SAME_TIME = ("int8, accurate bias correction",)  # other numbers in the same layers as int8
MAX_TIME, MAX_FALL = 0.75, 0.001  # of float32's on a CPU without VNNI; of any label's Dice
_DATALIST = Path(__file__).resolve().parents[1] / "data_manifests" / "msd_task04_hippocampus.json"


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if something could not run."""
    options = _options()
    if not is_installed():
        say(f"nothing is measured: it needs {' and '.join(PACKAGES)}")
        return 0
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as name:
            results = _measure(options, Path(name))
    except (InputError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        say(f"error: {error}{getattr(error, 'stderr', None) or ''}")
        return 2
    _report(results)
    write_json(options.output, results)
    say(f"\n{options.output}")
    return 0


def _measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    if options.quick:
        options.bundle = make_bundle(
            scratch / "bundle", classes=3, spacing=(1.0,) * 3, window=16, normalisation="zscore"
        )
    results = header("quantize", options)
    results["versions"] |= {package: version(package) for package in PACKAGES}
    own, wider, shape = _networks(options)
    windows = _random_windows(shape, options) if options.dataset_dir is None else _training_windows(options)
    float32 = convert(own, shape)
    models = {_BASE: float32} | {name: quantize(float32, windows, **words) for name, words in VARIANTS.items()}
    results["calibration_windows"] = len(windows)
    results["networks"] = {
        Path(options.bundle).name: _measure_models(
            models, shape, scratch / "own", options.rounds, options, options.dataset_dir
        )
    }
    side = 16 if options.quick else _SIDE
    shape = (*shape[:2], *[side] * (len(shape) - 2))
    float32 = convert(wider, shape)
    models = {_BASE: float32, "int8": quantize(float32, _random_windows(shape, options))}
    name = "-".join(map(str, (4, 8) if options.quick else _WIDER))
    results["networks"][f"{name}, {side}^{len(shape) - 2}"] = _measure_models(
        models, shape, scratch / "wider", options.wider_rounds, options
    )
    return results


def _networks(options: argparse.Namespace) -> tuple[nn.Module, nn.Module, tuple[int, ...]]:
    """Return the bundle's network, a wider one with random weights, and the shape of the bundle's window."""
    parser = ConfigParser()
    parser.read_config(str(Path(options.bundle) / "configs" / "inference.json"))
    shape = (1, parser.get("in_channels"), *parser.get("inferer#roi_size"))
    own = parser.get_parsed_content("network_def")
    own.load_state_dict(torch.load(Path(options.bundle) / "models" / "model.pt", weights_only=True))
    definition = parser.get("network_def") | {"channels": list(_WIDER)}
    if options.quick:
        definition |= {"channels": [4, 8], "convs_per_level": [1, 1], "decoder_convs_per_level": [1]}
    parser["network_def"] = definition
    parser.parse(reset=True)
    torch.manual_seed(options.seed)
    wider = parser.get_parsed_content("network_def")
    for network in (own, wider):
        network.eval().requires_grad_(False)
    return own, wider, shape


def _random_windows(shape: Sequence[int], options: argparse.Namespace) -> list[Tensor]:
    generator = torch.Generator().manual_seed(options.seed)
    return [torch.randn(tuple(shape), generator=generator) for _ in range(_RANDOM_WINDOWS)]


def _training_windows(options: argparse.Namespace) -> list[Tensor]:
    """Return the prepared windows of some cases outside the fold, as `lightskip predict` feeds them."""
    predictor = Predictor(options.bundle, device="cpu", settings={"precision": "float32"})
    bundle = predictor.bundle
    folds = sorted({case["fold"] for case in json.loads(options.datalist.read_text(encoding="utf-8"))["training"]})
    cases = [fold_cases(options.datalist, options.dataset_dir, fold) for fold in folds if fold != options.fold]
    windows: list[Tensor] = []

    def collect(x: Tensor) -> Tensor:
        windows.extend(x.clone().split(1))
        return torch.zeros((len(x), bundle.classes, *x.shape[2:]))

    # As many of each fold.
    for case in [case for some in zip(*cases, strict=False) for case in some][: options.cases]:
        image = predictor.prepare(case["image"]).image
        for _ in Windows(bundle.inferer, image, classes=bundle.classes, device=bundle.device).rows(collect):
            pass
    return windows


def _measure_models(
    models: Mapping[str, Any],
    shape: Sequence[int],
    folder: Path,
    rounds: int,
    options: argparse.Namespace,
    dataset_dir: Path | None = None,
) -> dict[str, Any]:
    """Return seconds, kernels and, with a dataset, Dice of each model with each set of instructions.

    Each set has a process of its own, `quantize_isa.py`.
    """
    folder.mkdir()
    for name, model in models.items():
        save(model, folder / f"{name}.xml")
    found: dict[str, Any] = {}
    for isa in options.isa:
        output = folder / f"{isa}.json"
        # With fewer instructions bfloat16 is emulated in several times the time, or refused.
        has_bfloat16 = isa == "native" and cpu_has_bfloat16()
        words = {
            "folder": str(folder),
            "output": str(output),
            "shape": list(shape),
            "formats": ["float32", "bfloat16"] if has_bfloat16 else ["float32"],
            "untimed": _SAME_TIME,
            "rounds": rounds,
            "dataset_dir": None if dataset_dir is None else str(dataset_dir),
            **{key: str(getattr(options, key)) for key in ("bundle", "datalist", "clock")},
            **{key: getattr(options, key) for key in ("fold", "seed")},
        }
        script = Path(__file__).with_name("quantize_isa.py")
        limits = {} if isa == "native" else {"ONEDNN_MAX_CPU_ISA": isa}
        subprocess.run(
            [sys.executable, "-W", "ignore", str(script), json.dumps(words)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | limits,
        )
        found[isa] = _with_ratios(json.loads(output.read_text(encoding="utf-8")))
    return found


def _with_ratios(run: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: one["seconds"] for name, one in run["times"].items()}
    bases = [name for name in ("float32", "bfloat16") if name in times]
    found: dict[str, Any] = {
        "times": {
            name: {
                "seconds": Spread.of(times[name]),
                **{f"to {base}": paired_ratio(times[name], times[base]) for base in bases},
                "kernels": one["kernels"],
            }
            for name, one in run["times"].items()
        }
    }
    if "dice" in run:
        dice = run["dice"]
        falls = {
            name: max(dice[_BASE][label] - value for label, value in one.items() if label != "mean")
            for name, one in dice.items()
        }
        found |= {"dice": dice, "largest_fall_of_a_label": falls}
    return found


def _report(results: Mapping[str, Any]) -> None:
    for network, isas in results["networks"].items():
        for isa, found in isas.items():
            bases = [key for key in found["times"][_BASE] if key.startswith("to ")]
            rows = [
                [name, one["seconds"].text(1e3, 1), *(one[key].text() for key in bases), " ".join(one["kernels"])]
                for name, one in found["times"].items()
            ]
            say(f"\n{network}, {isa}: milliseconds per window, median [quartiles]\n")
            say(table(["", "ms", *bases, "kernels of convolutions"], rows))
            if "dice" in found:
                names = list(found["dice"][_BASE])
                rows = [
                    [name, *(f"{one[label]:.4f}" for label in names), f"{found['largest_fall_of_a_label'][name]:.4f}"]
                    for name, one in found["dice"].items()
                ]
                say()
                say(table(["Dice", *names, "largest fall of a label"], rows))
    say(f"\nmarks: {MAX_TIME} of float32's time without VNNI; no label falls by more than {MAX_FALL}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="bundles/hippocampus_mri", help="[%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, help="folder of the hippocampus dataset [no cases]")
    parser.add_argument("--datalist", type=Path, default=_DATALIST, help="cases with folds [%(default)s]")
    parser.add_argument("--fold", type=int, default=0, help="fold to predict [%(default)s]")
    parser.add_argument("--cases", type=int, default=30, help="training cases that calibrate [%(default)s]")
    parser.add_argument("--isa", nargs="+", default=list(_ISAS), help="instructions, native: all [%(default)s]")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each [%(default)s]")
    parser.add_argument("--wider_rounds", type=int, default=3, help="of the wider network [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of weights, inputs and the order in a round [%(default)s]")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="cpu", help="[%(default)s]")
    parser.add_argument("--quick", action="store_true", help="toy sizes, a minute: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "quantize.json", help="the JSON [%(default)s]")
    options = parser.parse_args()
    options.device, options.threads = "cpu", 1
    if options.quick:
        options.rounds, options.wider_rounds, options.isa = 1, 1, ["native"]
    return options


if __name__ == "__main__":
    sys.exit(main())
