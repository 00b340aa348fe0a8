"""Compare the time per voxel that `lightskip plan` assumes with that of the bundle's own training steps.

    python benchmarks/pace.py bundles/hippocampus_mri bundles/left_right bundles/em_membrane

The plan times forward, loss and backward of two patches, and multiplies by a factor for the rest of a step: loading,
augmentation, optimiser and averaging. This measures that factor. Both are processor times, on random scans, in turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json
from monai.bundle import ConfigParser
from processes import stream

from pipeline.bench.run import bench
from pipeline.bundle.planning.pace import WHOLE_STEP, measure_pace
from pipeline.data.errors import InputError

__all__ = ["main"]


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    found = {}
    try:
        for bundle in options.bundles:
            rounds = [
                next(stream(_measure, bundle, threads=options.threads, steps=options.steps))
                for _ in range(options.rounds)
            ]
            steps, plans = ([one[key] for one in rounds] for key in ("step", "plan"))
            found[bundle.name] = {
                "step_ns_per_voxel": Spread.of([1e9 * value for value in steps]),
                "plan_ns_per_voxel": Spread.of([1e9 * value for value in plans]),
                "factor": paired_ratio(steps, plans),
            }
    except InputError as error:
        say(f"error: {error}")
        return 2
    rows = [[name, *(one[key].text(digits=2) for key in one)] for name, one in found.items()]
    say(table(["bundle", "step, ns per voxel", "forward and backward", "factor"], rows))
    write_json(options.output, header("pace", options) | {"assumed_factor": WHOLE_STEP, "bundles": found})
    say(f"\nassumed by `lightskip plan`: {WHOLE_STEP}; {options.output}")
    return 0


def _measure(bundle: Path, *, threads: int, steps: int) -> Iterator[dict[str, float]]:
    """Yield the processor time (s) of a patch's voxel, in a step and as the plan times it without its factor."""
    torch.set_num_threads(threads)
    measured: dict[str, Any] = bench(bundle, steps=steps, cases=1, device="cpu")
    voxels = measured["training_step_voxels"]
    network = _read_network(bundle)
    yield {
        "step": measured["training_step_cpu_seconds"] / voxels,
        "plan": measure_pace(network.spec, network.size_divisor, device="cpu") / WHOLE_STEP * threads,
    }


def _read_network(bundle: Path) -> Any:
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "train.json")
    return parser.get_parsed_content("network_def")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path, help="folders of bundles")
    parser.add_argument("--rounds", type=int, default=3, help="of both measurements [%(default)s]")
    parser.add_argument("--steps", type=int, default=15, help="training steps of a round [%(default)s]")
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "pace.json", help="the JSON [%(default)s]")
    parser.set_defaults(device="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
