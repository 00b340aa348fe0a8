"""A training step of this checkout and of another, in turn.

    git worktree add ../before COMMIT
    taskset -c 1 python benchmarks/step_builds.py ../before

Augmentation, forward, loss, backward and Muon for a random batch of the bundle's network and patch, of the kind that
MONAI's loader returns, on one thread. Augmentations are the same in both. Each checkout has a process, and only one of
them computes at a time. Ratios are taken within a round of some steps each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from measure import RESULTS, Spread, header, paired_ratio, say, table, write_json

__all__ = ["main", "measure_steps"]

HERE = Path(__file__).resolve().parents[1]
_STEPS = 5
# For each line that it reads: time some steps, write the median. Each checkout has its own copy of these modules.
_WORKER = """
import json, statistics, sys, time
from argparse import Namespace
from pathlib import Path
root, bundle, clock, quick, steps = Path(sys.argv[1]), *sys.argv[2:]
sys.path[:0] = [str(root), str(root / "benchmarks")]
import torch
from arms import parse_skip, read_task
from measure import CLOCKS
from monai.data import MetaTensor
from pipeline.training import AugmentBatch, keep_memory
from steps import Work
keep_memory()
torch.set_num_threads(1)
task = read_task(Namespace(bundle=bundle, device="cpu", precision="auto", threads=1, seed=0))
if quick == "True":
    task = task.resized(width=0.5, patch=(16,) * len(task.patch))
skip = json.loads((Path(bundle) / "configs" / "train.json").read_text(encoding="utf-8"))["skip"]
torch.manual_seed(0)
work = Work(parse_skip(json.dumps(skip)), task)
augment = AugmentBatch(spatial_dims=len(task.patch), spacing=[1.0] * len(task.patch))
loaded = {"image": MetaTensor(work.images), "label": MetaTensor(work.labels.to(torch.uint8))}
def step(number):
    keys = torch.arange(number * task.batch, (number + 1) * task.batch)
    work.images, work.labels = augment(loaded | {"key": keys}, "cpu")
    work.train()
done = 0
for done in range(3):
    step(done)
for line in sys.stdin:
    times = []
    for _ in range(int(steps)):
        start = CLOCKS[clock]()
        step(done := done + 1)
        times.append(CLOCKS[clock]() - start)
    print(statistics.median(times), flush=True)
"""


def main() -> int:
    """Measure, print and write; 0, or 2 where something could not run."""
    options = _options()
    try:
        found = measure_steps(
            options.other, options.bundle, rounds=options.rounds, clock=options.clock, quick=options.quick
        )
    except OSError as error:
        say(f"error: {error}")
        return 2
    cells = [spread.text(digits=3) for spread in found.values()]
    say(table(["", "this build, s", "the other, s", "ratio"], [["step", *cells]]))
    write_json(options.output, header("step_builds", options) | {"seconds": found})
    say(f"\n{options.output}")
    return 0


def measure_steps(other: Path, bundle: Path, *, rounds: int, clock: str, quick: bool = False) -> dict[str, Spread]:
    """Return the seconds of a step in both checkouts, and their ratios (this to the other).

    Args:
        other: the other checkout's folder.
        bundle: its plan has the network and the patch, for both.
        rounds: how often each is measured.
        clock: see :func:`measure.seconds`.
        quick: a toy size, which shows that it runs and no more.

    Raises:
        OSError: there is no checkout in that folder, or a build failed.
    """
    if not (other / "benchmarks" / "steps.py").is_file():
        msg = f"{other}: found no benchmarks/steps.py; expected a checkout of LightSkip"
        raise OSError(msg)
    workers = [_start(checkout, bundle, clock, quick=quick) for checkout in (HERE, other.resolve())]
    try:
        times: list[list[float]] = [[], []]
        for number in range(rounds):
            # The first of a round alternates.
            for index in (0, 1) if number % 2 == 0 else (1, 0):
                times[index].append(_ask(workers[index]))
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    return {"this": Spread.of(times[0]), "other": Spread.of(times[1]), "ratio": paired_ratio(*times)}


def _start(checkout: Path, bundle: Path, clock: str, *, quick: bool) -> subprocess.Popen[str]:
    words = [sys.executable, "-W", "ignore", "-c", _WORKER, str(checkout), str(bundle.resolve()), clock, str(quick)]
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*words, str(_STEPS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout
    )


def _ask(worker: subprocess.Popen[Any]) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        msg = "a build ended before its measurement; its own message is above"
        raise OSError(msg)
    return float(answer)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument(
        "--bundle",
        type=Path,
        default=HERE / "bundles" / "hippocampus_mri",
        help="its plan sizes the network [bundles/hippocampus_mri]",
    )
    parser.add_argument("--rounds", type=int, default=20, help="how often each is measured [%(default)s]")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine [%(default)s]"
    )
    parser.add_argument("--quick", action="store_true", help="a toy size: shows that it runs, no more")
    output = RESULTS / "step_builds.json"
    parser.add_argument("-o", "--output", type=Path, default=output, help="the JSON [%(default)s]")
    parser.set_defaults(device="cpu", threads=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
