"""Measure the membranes that trained networks find: Dice, V_rand and V_info, with and without passes with dropout.

    python benchmarks/membranes.py --dataset_dir em_isbi2012 --runs runs/membranes --trainings dice cross_entropy

Dice is that of the label map, averaged over the pictures of the fold that validates. V_rand and V_info are at their
best threshold of all pictures. Unsure is the share of pixels with a probability of membrane between 0.1 and 0.9: only
there can a threshold choose. The time is that of the processor, for the windows and the scores.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import RESULTS, header, say, table, write_json

from pipeline.data.errors import InputError
from pipeline.study.membranes import find_membranes, open_evaluation, score_maps

__all__ = ["main", "measure_weights"]


def main() -> int:
    """Measure, print the table and write the results. Return 0, or 2 for a mistake of the user's."""
    options = _options()
    torch.set_num_threads(options.threads)
    rows = []
    try:
        for name in options.trainings:
            file = options.runs.absolute() / name / "model.pt"
            rows += [{"training": name, **found} for found in measure_weights(file, options)]
    except InputError as error:
        say(f"error: {error}")
        return 2
    write_json(options.output, {**header("membranes", options), "rows": rows})
    cells = [
        [
            f"{row['training']}, {row['samples']} {'pass' if row['samples'] == 1 else 'passes'}",
            f"{row['dice']:.4f}",
            *(_score(row, measure) for measure in ("v_rand", "v_info")),
            f"{row['unsure']:.3f}",
            f"{row['seconds']:.0f}",
        ]
        for row in rows
    ]
    say(table(["", "Dice", "V_rand (at)", "V_info (at)", "unsure", "s"], cells))
    say(f"written: {options.output}")
    return 0


def measure_weights(file: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return Dice, scores and seconds of a file of weights, for each number of passes.

    Raises:
        InputError: bundle, dataset or weights cannot be used.
    """
    overrides = {"precision": options.precision, "device": options.device}
    rows = []
    with open_evaluation(options.bundle, file, options.fold, options.dataset_dir, overrides) as session:
        for samples in options.samples:
            start = time.process_time()
            maps = list(find_membranes(session, samples))
            dice = [2 * ((p > 0.5) & y).sum() / max((p > 0.5).sum() + y.sum(), 1) for p, y in maps]
            scores = score_maps(maps)
            seconds = round(time.process_time() - start, 1)
            unsure = float(np.mean([((p > 0.1) & (p < 0.9)).mean() for p, _ in maps]))
            found = {"samples": samples, "dice": float(np.mean(dice)), **scores, "unsure": unsure, "seconds": seconds}
            rows.append(found)
    return rows


def _score(row: dict[str, Any], measure: str) -> str:
    value = row[measure]
    return "-" if value is None else f"{value:.4f} ({row[f'{measure}_threshold']:.1f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="bundles/em_membrane", help="the weights' bundle [%(default)s]")
    parser.add_argument("--dataset_dir", type=Path, required=True, help="the bundle's dataset")
    parser.add_argument("--runs", type=Path, default=Path("runs/membranes"), help="folder of trainings [%(default)s]")
    parser.add_argument("--trainings", nargs="+", required=True, metavar="NAME", help="folders in it, with model.pt")
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 8], help="passes with dropout [%(default)s]")
    parser.add_argument("--fold", type=int, default=0, help="fold that validates [%(default)s]")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="PyTorch's threads [%(default)s]")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, ... [%(default)s]")
    parser.add_argument("--precision", default="auto", help="auto, bfloat16, float16, float32 [%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "membranes.json", help="the JSON [%(default)s]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
