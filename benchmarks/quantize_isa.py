"""Time and test saved models in this process, whose environment may limit the instructions; write JSON.

`quantize.py` starts it: oneDNN reads `ONEDNN_MAX_CPU_ISA` once, when OpenVINO is loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from measure import rounds_in_time, seconds, write_json
from predict_parts import case_dice, fold_cases
from quantize_models import CompiledModel

from pipeline.prediction.predictor import Predictor

__all__ = ["main"]


def main() -> int:
    """Time every model of a folder in every format, in turn; then its Dice in a fold's cases, with a dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", help="JSON, see `quantize.py`")
    options = argparse.Namespace(**json.loads(parser.parse_args().options))
    torch.set_num_threads(1)
    files = {file.stem: file for file in sorted(Path(options.folder).glob("*.xml"))}
    found = {"times": _time(files, options)}
    if options.dataset_dir is not None:
        found["dice"] = _measure_dice(files, options)
    write_json(Path(options.output), found)
    return 0


def _time(files: Mapping[str, Path], options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of a window and the kernels of each model in each format."""
    x = torch.randn(options.shape, generator=torch.Generator().manual_seed(options.seed))
    models = {
        _join(name, precision): CompiledModel(file, precision=precision)
        for name, file in files.items()
        if name not in options.untimed
        for precision in options.formats
    }
    calls = {
        name: partial(seconds, partial(model, x), "cpu", repeats=3, clock=options.clock)
        for name, model in models.items()
    }
    rounds = list(rounds_in_time(calls, minutes=0, at_least=options.rounds, seed=options.seed))
    return {
        name: {"seconds": [one[name] for one in rounds], "kernels": model.primitives()}
        for name, model in models.items()
    }


def _join(model: str, precision: str) -> str:
    """Return the name of a model in a format: of int8, the format of its other layers."""
    return precision if model == "float32" else f"{model}, rest {precision}"


def _measure_dice(files: Mapping[str, Path], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the mean Dice of each label over the fold's cases with each model; layers in float are float32."""
    predictor = Predictor(options.bundle, device="cpu", settings={"precision": "float32"})
    labels = predictor.bundle.labels
    cases = fold_cases(Path(options.datalist), Path(options.dataset_dir), options.fold)
    scans = [predictor.prepare(case["image"]) for case in cases]
    dice = {}
    for name, file in files.items():
        predictor.bundle = replace(predictor.bundle, network=CompiledModel(file))
        rows = [
            case_dice(predictor.segment(scan).labels, case["label"], labels)
            for scan, case in zip(scans, cases, strict=True)
        ]
        dice[name] = {label: fmean(row[label] for row in rows) for label in rows[0]}
    return dice


if __name__ == "__main__":
    sys.exit(main())
