"""Measure the time and memory of `lightskip check` and `lightskip plan`, each in its own process.

    python benchmarks/check.py --dataset_dir Task04_Hippocampus
    python benchmarks/check.py --quick

The check is measured cold (without an earlier check) and warm (with a complete one), with one worker and with two. The
plan is made from its report. The targets are for the 208 cases of the hippocampus dataset on two cores: a cold check in
20 s, a plan in 5 s, 1 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import RESULTS, Spread, header, say, table, write_json
from processes import VERB, run_alone

from pipeline.data.sample import make_sample

__all__ = ["main", "run_verb"]

MARKS = {"check cold, 2 workers": 20.0, "plan": 5.0}
MEMORY_MARK_GB = 1.0


def run_verb(words: Sequence[str], folder: Path) -> dict[str, float]:
    """Run one verb of the command line in a fresh process, with one thread.

    Args:
        words: the words after ``lightskip``.
        folder: where to run it.

    Returns:
        Its wall time and processor time (s) and its peak of resident memory (GB, 1e9 bytes).

    Raises:
        RuntimeError: it could not run (exit status 2 or more). A check that found problems has status 1.
    """
    accepted = (0, 1) if words[0] == "check" else (0,)
    run = run_alone([*VERB, *words], folder / "log.txt", folder=folder, accepted=accepted)
    return {"wall": run.seconds, "cpu": run.cpu_seconds, "memory": run.peak / 1e9}


def main() -> int:
    """Measure, print and write the results. Return 0, or 2 if a verb could not run."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset, datalist = options.dataset_dir, options.datalist
        if options.quick or dataset is None:
            datalist = make_sample(folder / "data", cases=12, scans=0, folds=3)
            dataset = datalist.parent
        datalist = (datalist or dataset / "dataset.json").resolve()
        try:
            cases, results = _measure(dataset.resolve(), datalist, folder, quick=options.quick, rounds=options.rounds)
        except RuntimeError as error:
            say(f"error: {error}")
            return 2
    spreads = {key: {unit: Spread.of([run[unit] for run in runs]) for unit in runs[0]} for key, runs in results.items()}
    say(f"{cases} cases; median [quartiles] of {len(results['plan'])} runs, each in a fresh process\n")
    rows = [
        [
            key,
            each["wall"].text(),
            each["cpu"].text(),
            each["memory"].text(),
            f"{MARKS[key]:g} s" if key in MARKS else "",
        ]
        for key, each in spreads.items()
    ]
    say(table(["", "wall s", "cpu s", "peak GB", "target"], rows))
    marks = {key: spreads[key]["wall"].median < mark for key, mark in MARKS.items()}
    marks["memory"] = max(each["memory"].high for each in spreads.values()) < MEMORY_MARK_GB
    say("\n" + ", ".join(f"{key}: {'met' if met else 'missed'}" for key, met in marks.items()))
    write_json(options.output, header("check", options) | {"cases": cases, "runs": spreads, "marks_met": marks})
    say(f"\n{options.output}")
    return 0


def _measure(
    dataset: Path, datalist: Path, folder: Path, *, quick: bool, rounds: int
) -> tuple[int, dict[str, list[dict[str, float]]]]:
    """Return the number of cases, and the runs of each measurement."""
    listed = folder / "list.json"
    # A datalist with folds, which a plan needs.
    run_verb(["datalist", str(datalist), "--dataset_dir", str(dataset), "-o", str(listed), "--no-checksums"], folder)
    results: dict[str, list[dict[str, float]]] = {}
    for number in range(1 if quick else rounds):
        for workers in (2,) if quick else (1, 2):
            report = folder / f"report_{number}_{workers}"
            words = ["check", str(listed), "-o", str(report), "--workers", str(workers)]
            for state in ("cold", "warm"):
                key = f"check {state}, {workers} worker{'s' * (workers > 1)}"
                results.setdefault(key, []).append(run_verb(words, folder))
        words = [
            "plan",
            str(listed),
            "--name",
            "measured",
            "-o",
            str(folder / f"bundles_{number}"),
            "--check",
            str(report),
        ]
        results.setdefault("plan", []).append(run_verb(words, folder))
    return len(json.loads((report / "check.json").read_text())["cases"]), results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", type=Path, help="folder of the dataset [the built-in sample]")
    parser.add_argument("--datalist", type=Path, help="its datalist [dataset.json in the folder]")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each [%(default)s]")
    parser.add_argument("--note", default="", help="a remark on the machine during the run")
    parser.add_argument("--quick", action="store_true", help="the built-in sample, once: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "check.json", help="the JSON [%(default)s]")
    options: Any = parser.parse_args()
    options.device, options.threads = "cpu", 1
    return options


if __name__ == "__main__":
    sys.exit(main())
