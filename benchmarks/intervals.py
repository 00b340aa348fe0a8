"""Measure how often intervals cover the truth, how often a difference is shown, and their time.

    python benchmarks/intervals.py

All values are simulated, so the truth is known. "Dice with misses" is a beta distribution (18, 2) of which 3 % are
zero, as in a fold with a few missed structures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import RESULTS, header, say, table, write_json
from numpy.typing import NDArray
from scipy.stats import wilcoxon
from tqdm import tqdm

from pipeline.evaluation.detectable import LEVEL, find_detectable
from pipeline.evaluation.intervals import bca_interval, hierarchical_interval
from pipeline.evaluation.paired import compare_arms, compare_labels
from pipeline.evaluation.ranking import rank_sets
from pipeline.evaluation.subject_draws import draw_means, draw_subjects, total_subjects

__all__ = ["main"]

_RESAMPLES = 1000
_MISSES = 0.03
_METRICS, _LABELS, _CASES = 14, 2, 208
_TRAININGS = (2, 3, 5)
_TRAINING_SPREADS = (0.05, 0.2, 0.5)
_SUBJECTS = 40  # of each training
_FOLD = 42  # cases of a validation
_SEEDS = (2, 3, 5, 10)  # trainings of two equal arms

Sampler = Callable[[np.random.Generator, int], NDArray[np.float64]]
Ends = tuple[float, ...] | None


def _sample_dice(rng: np.random.Generator, cases: int) -> NDArray[np.float64]:
    return rng.beta(18, 2, cases) * (rng.random(cases) >= _MISSES)


SAMPLERS: dict[str, tuple[Sampler, float]] = {
    "normal": (lambda rng, cases: rng.normal(size=cases), 0.0),
    "Dice with misses": (_sample_dice, 0.9 * (1 - _MISSES)),
}


def main() -> int:
    """Measure, print the tables and write the results."""
    options = _options()
    rng = np.random.default_rng(options.seed)
    repetitions = 20 if options.quick else options.repetitions
    sizes = (5, 20) if options.quick else (5, 10, 20, 40, 100)
    covered = {
        name: {
            str(size): measure_coverage(rng, sampler, truth, size, repetitions) for size in tqdm(sizes, disable=None)
        }
        for name, (sampler, truth) in SAMPLERS.items()
    }
    rows = [
        [f"{name}, {size} subjects", *(f"{share:.3f}" for share in found.values())]
        for name, by_size in covered.items()
        for size, found in by_size.items()
    ]
    say(table(["95 % interval covers the mean", "BCa", "percentile"], rows) + "\n")

    trained = {
        f"{count} trainings, spread {spread:g}": measure_trainings(rng, count, spread, repetitions)
        for count in tqdm(_TRAININGS, disable=None)
        for spread in _TRAINING_SPREADS
    }
    rows = [[name, *(f"{share:.3f}" for share in found.values())] for name, found in trained.items()]
    say(table(["spread of trainings in that of cases", "trainings drawn", "subjects only"], rows) + "\n")

    power = {
        str(size): {name: measure_power(rng, sampler, size, repetitions) for name, (sampler, _) in SAMPLERS.items()}
        for size in tqdm((8, 20) if options.quick else (8, 12, 20, 42, 208), disable=None)
    }
    rows = [[f"{size} pairs", *(f"{share:.3f}" for share in found.values())] for size, found in power.items()]
    say(table(["the detectable difference is shown", *SAMPLERS], rows) + "\n")

    # Its own numbers, so that those of the other tables stay when one is added.
    own = np.random.default_rng([options.seed, 1])
    equal = {str(seeds): measure_equal_arms(own, seeds, repetitions) for seeds in tqdm(_SEEDS, disable=None)}
    rows = [
        [f"{seeds} trainings of each arm", *(f"{share:.3f}" for share in one.values())] for seeds, one in equal.items()
    ]
    say(table(["equal arms differ", "by the interval", "by p"], rows) + "\n")

    seconds = measure_time(rng)
    say(f"{_CASES} cases, {_LABELS} labels, {_METRICS} metrics, 2 sets: {seconds:.2f} s of processor time")
    found = {"coverage": covered, "trainings": trained, "power": power, "equal_arms": equal, "seconds": seconds}
    write_json(options.output, header("intervals", options) | found)
    say(f"\n{options.output}")
    return 0


def measure_coverage(
    rng: np.random.Generator, sampler: Sampler, truth: float, subjects: int, repetitions: int
) -> dict[str, float]:
    """Return the share of data sets whose interval has the truth, for BCa and the percentile interval."""
    draws = draw_subjects(range(subjects), resamples=_RESAMPLES)
    covered = {"bca": 0, "percentile": 0}
    for _ in range(repetitions):
        values = sampler(rng, subjects)
        means = draw_means(total_subjects(values[:, None], draws), draws)
        covered["bca"] += _covers(bca_interval(values, range(subjects), draws=draws), truth)
        covered["percentile"] += _covers(tuple(np.percentile(means, (2.5, 97.5))), truth)
    return {name: count / repetitions for name, count in covered.items()}


def measure_trainings(rng: np.random.Generator, trainings: int, spread: float, repetitions: int) -> dict[str, float]:
    """Return the share of data sets whose interval has the mean of all trainings and subjects, which is zero."""
    draws = draw_subjects(range(_SUBJECTS), resamples=_RESAMPLES)
    covered = {"hierarchical": 0, "subjects": 0}
    for _ in range(repetitions):
        values = rng.normal(0, spread, (trainings, 1)) + rng.normal(0, 1, (1, _SUBJECTS))
        values += rng.normal(0, 0.5, (trainings, _SUBJECTS))
        covered["hierarchical"] += _covers(hierarchical_interval(values, range(_SUBJECTS), draws=draws), 0)
        covered["subjects"] += _covers(bca_interval(values.mean(axis=0), range(_SUBJECTS), draws=draws), 0)
    return {name: count / repetitions for name, count in covered.items()}


def measure_power(rng: np.random.Generator, sampler: Sampler, pairs: int, repetitions: int) -> float:
    """Return how often new pairs, shifted by the detectable difference of others, have p at most the level."""
    shown = 0
    method = "exact" if pairs <= 50 else "asymptotic"
    for _ in range(repetitions):
        shift = find_detectable(sampler(rng, pairs) - sampler(rng, pairs))
        values = sampler(rng, pairs) - sampler(rng, pairs) + (shift or 0.0)
        shown += wilcoxon(values, method=method).pvalue <= LEVEL
    return shown / repetitions


def measure_equal_arms(rng: np.random.Generator, seeds: int, repetitions: int) -> dict[str, float]:
    """Return how often two arms that are equal differ: by the interval of the bootstrap, and by p.

    Dice of 42 cases with a standard deviation of .003 over trainings, and of .004 over cases and trainings.
    """
    draws = draw_subjects(range(_FOLD), resamples=_RESAMPLES)
    shown = {"interval": 0, "p": 0}
    for _ in range(repetitions):
        arms = rng.normal(0.88, 0.03, _FOLD) + rng.normal(0, 0.003, (2, seeds, 1))
        arms += rng.normal(0, 0.004, (2, seeds, _FOLD))
        found = compare_arms(arms[0], arms[1], range(_FOLD), better="higher", draws=draws)
        shown["interval"] += not _covers(found.interval.ends, 0)
        shown["p"] += found.p <= LEVEL
    return {name: count / repetitions for name, count in shown.items()}


def measure_time(rng: np.random.Generator) -> float:
    """Return the seconds of intervals, paired comparisons and rankings of two sets in all metrics."""
    names = [f"case_{number:03d}" for number in range(_CASES)]
    first = rng.beta(9, 1, (_METRICS, _CASES, _LABELS))
    second = np.clip(first + rng.normal(0.002, 0.02, first.shape), 0, 1)
    start = time.process_time()
    draws = draw_subjects(names)
    for one, other in zip(first, second, strict=True):
        for values in (one, other):
            for columns in (slice(0, 1), slice(1, 2), slice(None)):
                bca_interval(values[:, columns], names, draws=draws)
        compare_labels(one, other, names, ["a", "b"], better="higher", draws=draws)
        rank_sets(np.stack([one, other]), names, better="higher", draws=draws)
    return time.process_time() - start


def _covers(ends: Ends, truth: float) -> bool:
    return ends is not None and ends[0] <= truth <= ends[1]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000, help="data sets of each kind [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the data sets [%(default)s]")
    parser.add_argument("--quick", action="store_true", help="20 data sets: only shows that it runs")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "intervals.json", help="the JSON [%(default)s]")
    options: Any = parser.parse_args()
    options.device, options.threads = "cpu", 1
    return options


if __name__ == "__main__":
    sys.exit(main())
