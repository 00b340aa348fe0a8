"""Measure `lightskip predict`: against MONAI's runner, for large scans, and its overhead.

    taskset -c 1 python benchmarks/predict.py cases --dataset_dir Task04_Hippocampus
    taskset -c 1 python benchmarks/predict.py memory
    taskset -c 1 python benchmarks/predict.py preparation
    python benchmarks/predict.py overhead --dataset_dir Task04_Hippocampus

`cases`: the 42 cases of the hippocampus dataset's fold 0, on which the bundle was not trained. Every run is a separate
process with one thread. It compares time, memory and label maps with those of MONAI's runner, Dice with and without
``--fast`` and ``--tta``, and measures how well the entropy finds bad cases.
`memory`: synthetic CT scans and random weights; the peaks of whole processes.
`preparation`: the memory to prepare a scan, against the estimate of `pipeline.prediction.memory`.
`overhead`: a scan of 200 x 200 x 200 voxels; the time outside the network's forward passes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, header, say, write_json
from predict_cases import measure_cases, report_cases
from predict_memory import RUNS, measure_memory, report_memory
from predict_overhead import measure_overhead, report_overhead
from predict_preparation import PREPARATIONS, measure_preparations, report_preparations

from pipeline.data.errors import InputError

__all__ = ["main"]

PARTS = {
    "cases": (measure_cases, report_cases),
    "memory": (measure_memory, report_memory),
    "preparation": (measure_preparations, report_preparations),
    "overhead": (measure_overhead, report_overhead),
}
_DATALIST = Path(__file__).resolve().parents[1] / "data_manifests" / "msd_task04_hippocampus.json"


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if something could not run."""
    options = _options()
    measure, report = PARTS[options.part]
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            results = measure(options, Path(name))
    except (InputError, OSError, RuntimeError) as error:
        say(f"error: {error}")
        return 2
    output = options.output or RESULTS / f"predict_{options.part}.json"
    if getattr(options, "only", None) and output.exists():
        previous = json.loads(output.read_text(encoding="utf-8"))
        results = {key: previous.get(key, {}) | found for key, found in results.items()}
    report(results)
    write_json(output, header("predict", options) | results)
    say(f"\n{output}")
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    cases, memory, preparation, overhead = (parts.add_parser(name) for name in PARTS)
    for part in (cases, overhead):
        part.add_argument("--bundle", default="bundles/hippocampus_mri", help="[%(default)s]")
        part.add_argument("--dataset_dir", type=Path, help="folder of the hippocampus dataset")
        part.add_argument("--rounds", type=int, default=3, help="measurements of each [%(default)s]")
    cases.add_argument("--datalist", type=Path, default=_DATALIST, help="cases with folds [%(default)s]")
    cases.add_argument("--fold", type=int, default=0, help="fold to predict [%(default)s]")
    for part, names in ((memory, RUNS), (preparation, PREPARATIONS)):
        part.add_argument(
            "--only",
            nargs="+",
            choices=list(names),
            metavar="NAME",
            help="names to measure; the JSON keeps the others [all]",
        )
    overhead.add_argument("--with_threads", type=int, nargs="+", default=[1, 2], help="[%(default)s]")
    for part in (cases, memory, preparation, overhead):
        part.add_argument("--seed", type=int, default=0, help="seed of weights, scans and resampling [%(default)s]")
        part.add_argument("--scratch", type=Path, help="folder for temporary files, up to 3 GB [the system's]")
        part.add_argument("--note", default="", help="a remark on the machine during the run")
        part.add_argument("--quick", action="store_true", help="toy sizes, a few seconds: only shows that it runs")
        part.add_argument("-o", "--output", type=Path, help=f"the JSON [{RESULTS.name}/predict_PART.json]")
    options: Any = parser.parse_args()
    if options.part in ("cases", "overhead") and options.dataset_dir is None and not options.quick:
        parser.error(f"{options.part} needs --dataset_dir")
    options.device, options.threads = "cpu", 1
    return options


if __name__ == "__main__":
    sys.exit(main())
